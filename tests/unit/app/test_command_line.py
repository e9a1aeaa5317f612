"""The command line as people call it: help that teaches, one line when something is wrong."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from scopegate.app.command_line import CANNOT_RUN, WRONG_SETTINGS, main
from scopegate.app.prefix import Prefix

SCOPEGATE = Path(sys.executable).with_name("scopegate")


def called(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "SCOPEGATE" not in name}
    return subprocess.run(
        [str(SCOPEGATE), *arguments],
        cwd=folder,
        env={**clean, "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@dataclass
class Said:
    """What a command wrote, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """As `called`, in this process; for what ends before anything is started."""

    def in_this_process(*arguments: str, **environment: str) -> Said:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["scopegate", *arguments])
        for name, value in {"COLUMNS": "100", **environment}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(ended.value.code, *capsys.readouterr())

    return in_this_process


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ()])
def test_the_help_says_how_to_begin(call: Callable[..., Said], arguments: tuple[str, ...]) -> None:
    said = call(*arguments)
    shown = said.stdout + said.stderr
    for text in ("scopegate demo", "scopegate start", "http POST localhost:8001/services", "check"):
        assert text in shown


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("start", "scopegate start -c /etc/scopegate/scopegate.conf"),
        ("demo", "scopegate demo --proxy-port 9000"),
        ("check", "scopegate check -c scopegate.conf"),
    ],
)
def test_every_command_has_an_example(
    call: Callable[..., Said], command: str, example: str
) -> None:
    said = call(command, "--help")
    assert said.returncode == 0
    assert example in said.stdout


@pytest.mark.parametrize("command", ["start", "check"])
def test_wrong_settings_are_lines_and_exit_code_2(
    call: Callable[..., Said], tmp_path: Path, command: str
) -> None:
    (tmp_path / "my.conf").write_text("log_level = loud\n")
    said = call(command, "-c", "my.conf", SCOPEGATE_PROXY_LISTN="x")
    assert said.returncode == WRONG_SETTINGS
    assert said.stdout == ""
    assert said.stderr.splitlines() == [
        "scopegate: SCOPEGATE_PROXY_LISTN in the environment is no setting: did you mean"
        " proxy_listen?",
        'scopegate: my.conf:1: log_level = "loud" is wrong: it should be debug or info or warn or'
        " error or crit",
    ]
    assert not (tmp_path / ".scopegate").exists()


@pytest.mark.slow
def test_a_prefix_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = called(tmp_path, "start", SCOPEGATE_PREFIX="file/state")
    assert said.returncode == CANNOT_RUN
    assert re.fullmatch(r"scopegate: prefix: .*: not a directory; make .*\n", said.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nowhere/access.log", "the folder /nowhere does not exist; make it"),
        ("/tmp", "is a folder; give a file in it"),
    ],
)
def test_an_access_log_that_cannot_be_written_is_one_line(
    tmp_path: Path, listen: dict[str, str], path: str, why: str
) -> None:
    said = called(tmp_path, "start", **listen, SCOPEGATE_PROXY_ACCESS_LOG=path)
    assert said.returncode == CANNOT_RUN
    assert said.stderr == (
        f"scopegate: proxy_access_log (SCOPEGATE_PROXY_ACCESS_LOG): {path}: {why}, or set"
        " proxy_access_log = off\n"
    )


@pytest.mark.slow
def test_a_database_that_does_not_serve_ends_the_first_start_with_its_reason(
    tmp_path: Path, listen: dict[str, str]
) -> None:
    (tmp_path / "junk.db").write_text("this is not a database, and long enough to be seen as none")
    said = called(
        tmp_path,
        "start",
        **listen,
        SCOPEGATE_SQLITE_PATH=str(tmp_path / "junk.db"),
        SCOPEGATE_LOG_FORMAT="json",
    )
    assert said.returncode == CANNOT_RUN
    logged = [json.loads(line) for line in said.stderr.splitlines()]
    (why, end) = [line for line in logged if line["level"] == "critical"]
    assert why["detail"].startswith("sqlite_path (SCOPEGATE_SQLITE_PATH): database ")
    assert why["detail"].endswith("name another file, or restore a backup")
    assert end["why"] == "control cannot start"
    assert sum(line["event"] == "process started" for line in logged) <= 4, "tried once"


def test_a_disk_without_room_is_one_line(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/state/run/envoy.json")

    monkeypatch.setattr("scopegate.app.start.start", full)
    said = call("start")
    assert said.returncode == CANNOT_RUN
    assert said.stderr == "scopegate: /state/run/envoy.json: no space left on device\n"


def test_markup_in_a_value_is_shown_as_it_is(call: Callable[..., Said]) -> None:
    said = call("start", SCOPEGATE_LOG_LEVEL="[red]x[/]")
    assert 'log_level = "[red]x[/]" is wrong' in said.stderr


def test_an_unknown_option_or_port_is_a_usage_error(call: Callable[..., Said]) -> None:
    assert call("start", "--colour").returncode == 2
    assert call("demo", "--proxy-port", "0").returncode == 2


@pytest.mark.slow
def test_version_names_all_three(tmp_path: Path) -> None:
    said = called(tmp_path, "version")
    assert re.fullmatch(
        r"scopegate \d+\.\d+\.\d+\nenvoy \d+\.\d+\.\d+\npython 3\.\d+\.\d+\n", said.stdout
    )


@pytest.fixture
def listen() -> dict[str, str]:
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        ports = [each.getsockname()[1] for each in free]
    return {
        "SCOPEGATE_PROXY_LISTEN": f"127.0.0.1:{ports[0]}, 127.0.0.1:{ports[1]} ssl",
        "SCOPEGATE_ADMIN_LISTEN": f"127.0.0.1:{ports[2]}",
        "SCOPEGATE_STATUS_LISTEN": f"127.0.0.1:{ports[3]}",
    }


def test_check_ticks_everything_off_and_leaves_no_trace(
    call: Callable[..., Said], tmp_path: Path, listen: dict[str, str]
) -> None:
    said = call("check", **listen)
    assert said.returncode == 0, said.stdout
    lines = said.stdout.splitlines()
    assert [line[0] for line in lines] == ["✓"] * 12
    assert lines[0] == (
        "✓ settings: right (from SCOPEGATE_ADMIN_LISTEN, SCOPEGATE_PROXY_LISTEN,"
        " SCOPEGATE_STATUS_LISTEN, default)"
    )
    assert lines[-2].startswith("✓ envoy: version ")
    assert lines[-1].endswith("fits this release, and Envoy loads it")
    assert list(tmp_path.iterdir()) == []


def test_check_says_everything_that_is_in_the_way(
    call: Callable[..., Said], tmp_path: Path, listen: dict[str, str]
) -> None:
    host, _, port = listen["SCOPEGATE_ADMIN_LISTEN"].partition(":")
    (tmp_path / "file").write_text("")
    with socket.create_server((host, int(port))):
        said = call(
            "check",
            **listen,
            SCOPEGATE_PREFIX="file/p",
            SCOPEGATE_LUA_SSL_TRUSTED_CERTIFICATE="none.pem",
            SCOPEGATE_SQLITE_PATH=str(tmp_path),
            SCOPEGATE_PROXY_ACCESS_LOG="/nowhere/access.log",
            SCOPEGATE_SSL_CERT="none.crt",
            SCOPEGATE_SSL_CERT_KEY="none.key",
        )
    assert said.returncode == CANNOT_RUN
    wrong = [line for line in said.stdout.splitlines() if line.startswith("✗")]
    assert [line.split()[1].rstrip(":") for line in wrong] == [
        "prefix",
        "sqlite_path",
        "admin_listen",
        "ssl_cert",
        "lua_ssl_trusted_certificate",
        "proxy_access_log",
    ]


def test_check_knows_that_scopegate_runs_already(
    call: Callable[..., Said], tmp_path: Path, listen: dict[str, str]
) -> None:
    prefix = Prefix(tmp_path / "p")
    prefix.prepare()
    with prefix.locked():
        said = call("check", **listen, SCOPEGATE_PREFIX="p")
    assert said.returncode == CANNOT_RUN
    assert f"Scopegate already runs on {tmp_path}/p" in said.stdout


def test_check_warns_of_an_admin_api_that_others_can_reach(
    call: Callable[..., Said], tmp_path: Path, listen: dict[str, str]
) -> None:
    port = listen["SCOPEGATE_ADMIN_LISTEN"].rpartition(":")[2]
    said = call("check", **listen | {"SCOPEGATE_ADMIN_LISTEN": f"0.0.0.0:{port}"})
    assert said.returncode == 0
    assert "! admin_listen: 0.0.0.0" in said.stdout
