"""Names that filters must know until no Envoy has an older configuration."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import structlog

from scopegate.app.control.handed_out_names import HandedOutNames
from scopegate.ir.gateway import GatewayCookie, PolicyNames

COOKIE = GatewayCookie("session", ("1AQ",), ("session2",))
ALL = PolicyNames(
    frozenset({"x-up"}), frozenset({"x-down"}), frozenset({"x-guarded"}), frozenset({COOKIE})
)


def up(*names: str) -> PolicyNames:
    return PolicyNames(upstream_headers=frozenset(names))


def test_what_was_handed_out_counts_until_a_later_configuration_is_settled(tmp_path: Path):
    names = HandedOutNames(tmp_path / "names")
    names.add(up("a"))
    names.add(up("b"))
    assert names.known == up("a", "b")
    names.settle(up("b"))
    assert names.known == up("b")


def test_the_next_control_knows_them(tmp_path: Path):
    path = tmp_path / "names"
    HandedOutNames(path).add(ALL)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert HandedOutNames(path).known == ALL
    assert HandedOutNames(path, up("a")).known == ALL | up("a")


def test_those_of_a_last_good_configuration_are_written_when_it_is_settled(tmp_path: Path):
    path = tmp_path / "names"
    HandedOutNames(path, up("a")).settle(up("a"))
    assert HandedOutNames(path).known == up("a")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"upstream_headers": 1}'])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes):
    (tmp_path / "names").write_bytes(content)
    with structlog.testing.capture_logs() as logged:
        names = HandedOutNames(tmp_path / "names", up("a"))
    assert [line["event"] for line in logged] == ["names of the last configuration not read"]
    assert names.known == up("a")


def test_what_cannot_be_written_is_not_added(tmp_path: Path):
    names = HandedOutNames(tmp_path / "none" / "names")
    with pytest.raises(OSError, match="none"):
        names.add(up("a"))
    assert names.known == PolicyNames()


def test_what_cannot_be_taken_away_stays(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    names = HandedOutNames(folder / "names")
    names.add(up("a", "b"))
    (folder / "names").unlink()
    folder.rmdir()
    with structlog.testing.capture_logs() as logged:
        names.settle(up("b"))
    assert [line["log_level"] for line in logged] == ["warning"]
    assert names.known == up("a", "b")
