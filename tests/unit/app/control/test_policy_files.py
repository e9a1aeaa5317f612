"""Policies as files: written before they are named, whole or not at all, gone when long unused."""

from __future__ import annotations

import stat
from pathlib import Path

from scopegate.app.control.policy_files import KEEP_S, PolicyFiles
from scopegate.ir.gateway import ConsumerDirectory, Gateway
from scopegate.ir.policy import Policy, Step, content_id


def gateway(*names: str, consumers: ConsumerDirectory | None = None) -> Gateway:
    policies = [Policy((Step(name, name, {"client_secret": "x"}),)) for name in names]
    return Gateway(policies={policy.id: policy for policy in policies}, consumers=consumers)


def test_files_are_named_by_their_content_and_readable_by_this_user_only(tmp_path: Path) -> None:
    directory = ConsumerDirectory.of([{"id": "1", "username": "a", "custom_id": None}])
    files = PolicyFiles(tmp_path / "policies", lambda: 0.0)
    names = files.write(gateway("a", "b", consumers=directory))
    assert len(names) == 3
    for name in names:
        path = tmp_path / "policies" / name
        assert name.split("-")[1] == f"{content_id(path.read_bytes())}.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {path.name for path in (tmp_path / "policies").iterdir()} == names


def test_a_file_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path, lambda: 0.0)
    [name] = files.write(gateway("a"))
    before = (tmp_path / name).stat().st_mtime_ns
    assert files.write(gateway("a")) == {name}
    assert (tmp_path / name).stat().st_mtime_ns == before


def test_unused_files_go_after_a_while_and_come_back_when_wanted(tmp_path: Path) -> None:
    now_s = 0.0
    files = PolicyFiles(tmp_path, lambda: now_s)
    old, new = files.write(gateway("a")), files.write(gateway("b"))
    files.sweep(new)
    now_s += KEEP_S
    files.sweep(new)
    assert {path.name for path in tmp_path.iterdir()} == old | new
    now_s += 1
    files.sweep(new)
    assert {path.name for path in tmp_path.iterdir()} == new
    assert files.write(gateway("a")) == old
    files.sweep(old | new)
    assert {path.name for path in tmp_path.iterdir()} == old | new


def test_a_file_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path, lambda: 0.0)
    [name] = files.write(gateway("a"))
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(b"")
    files.write(gateway("a"))
    assert (tmp_path / name).read_bytes() == whole
