"""The state folder: made privately, kept to one Scopegate, short enough for sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scopegate.app.cannot_start import CannotStart
from scopegate.app.prefix import SOCKET_PATH_LIMIT_BYTES, Prefix


def test_folders_are_their_owners_alone(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    prefix.prepare()
    for folder in (prefix.root, prefix.run, prefix.policies, prefix.ssl, prefix.metrics):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.run.mkdir(mode=0o755)
    prefix.prepare()
    assert prefix.run.stat().st_mode & 0o777 == 0o700


def test_a_prefix_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart) as caught:
        Prefix(tmp_path / "file" / "p").prepare()
    (line,) = caught.value.lines
    assert line.startswith(f"prefix: {tmp_path}/file/p: not a directory; make ")


def test_a_path_too_long_for_sockets_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    root = tmp_path / ("x" * SOCKET_PATH_LIMIT_BYTES)
    with pytest.raises(CannotStart, match="too long for the sockets in it; set a shorter prefix"):
        Prefix(root).prepare()
    assert not root.exists()


def test_the_longest_path_that_fits_is_taken(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    room = SOCKET_PATH_LIMIT_BYTES - len(os.fsencode(prefix.envoy_admin_socket)) - 1
    assert room > 0
    Prefix(tmp_path / ("x" * room)).prepare()
    with pytest.raises(CannotStart, match="1 bytes too long"):
        Prefix(tmp_path / ("x" * (room + 1))).prepare()


def test_a_second_scopegate_on_the_same_prefix_is_refused(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.prepare()
    with prefix.locked():
        with pytest.raises(CannotStart) as caught, Prefix(tmp_path).locked():
            pass
        assert f"Scopegate already runs on {tmp_path} (process {os.getpid()})" in str(caught.value)
    with prefix.locked() as was_killed:
        assert not was_killed
        assert prefix.lock.read_text() == f"{os.getpid()}\n"


def test_the_lock_of_a_killed_process_is_free_and_tells_of_it(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.prepare()
    program = (
        "import sys, time; from pathlib import Path; from scopegate.app.prefix import Prefix\n"
        "with Prefix(Path(sys.argv[1])).locked():\n"
        "    print('locked', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(CannotStart), prefix.locked():
            pass
        other.kill()
        other.wait()
    with prefix.locked() as was_killed:
        assert was_killed
