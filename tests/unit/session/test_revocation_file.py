"""The file in which ends are told to whoever remembers a yes."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from functools import partial
from pathlib import Path

import pytest

from scopegate.session.revocation_file import RevocationFile, begin_revocations
from scopegate.session.shared_state import SharedStateUnavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "revoked"
    begin_revocations(path, os.urandom)
    return path


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


async def test_a_line_for_each_tag_behind_the_epoch(path: Path) -> None:
    (epoch,) = lines(path)
    assert len(epoch) == 16
    file = RevocationFile(path, os.urandom)
    await file.publish(["aa", "bb"])
    await file.publish(["cc"])
    assert lines(path) == [epoch, "aa", "bb", "cc"]
    file.close()


def test_it_is_its_owners_alone_and_begun_anew_each_time(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (epoch,) = lines(path)
    begin_revocations(path, os.urandom)
    assert lines(path) != [epoch]


def test_a_link_that_somebody_put_there_is_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "revoked"
    other.write_text("kept")
    path.symlink_to(other)
    begin_revocations(path, os.urandom)
    assert other.read_text() == "kept"
    assert not path.is_symlink()


async def test_a_large_file_begins_anew_with_another_epoch(path: Path) -> None:
    (epoch,) = lines(path)
    file = RevocationFile(path, os.urandom, size_limit_bytes=40)
    for number in range(20):
        await file.publish([f"{number:08x}"])
        assert path.stat().st_size < 80
    first, *rest = lines(path)
    assert first != epoch
    assert rest[-1] == "00000013"
    file.close()


async def test_a_file_that_is_gone_or_cut_off_is_begun_anew(path: Path) -> None:
    file = RevocationFile(path, os.urandom)
    epochs = {lines(path)[0]}
    for damage in (path.unlink, partial(os.truncate, path, 0), partial(os.truncate, path, 5)):
        damage()
        await file.publish(["aa"])
        epoch, tag = lines(path)
        assert (len(epoch), tag) == (16, "aa")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        epochs.add(epoch)
    assert len(epochs) == 4
    file.close()


async def test_a_line_that_was_left_unfinished_takes_none_with_it(path: Path) -> None:
    with path.open("a") as other:
        other.write("ab")
    file = RevocationFile(path, os.urandom)
    await file.publish(["cc"])
    assert lines(path)[1:] == ["ab", "cc"]
    file.close()


async def test_who_cannot_tell_it_says_so(path: Path) -> None:
    file = RevocationFile(path, os.urandom)
    path.unlink()
    path.symlink_to(path.with_name("other"))
    with pytest.raises(SharedStateUnavailable, match="cannot be written"):
        await file.publish(["aa"])
    assert not path.with_name("other").exists()
    file.close()


async def test_another_users_file_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, before = RevocationFile(path, os.urandom), path.read_text()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(SharedStateUnavailable, match="another user's"):
        await file.publish(["aa"])
    assert path.read_text() == before
    file.close()


async def test_processes_write_whole_lines_and_lose_none(path: Path) -> None:
    program = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from scopegate.session.revocation_file import RevocationFile\n"
        "async def main():\n"
        "    file = RevocationFile(Path(sys.argv[1]), os.urandom)\n"
        "    for number in range(200):\n"
        "        await file.publish([sys.argv[2] * 8 + f'{number:08x}'])\n"
        "asyncio.run(main())\n"
    )
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path), digit)
        for digit in "abc"
    ]
    assert [await writer.wait() for writer in writers] == [0, 0, 0]
    _, *tags = lines(path)
    assert sorted(tags) == sorted(f"{d * 8}{n:08x}" for d in "abc" for n in range(200))


async def test_a_line_that_is_written_in_part_is_none_and_the_caller_hears_of_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, before = RevocationFile(path, os.urandom), path.read_text()
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, text: write(handle, text[:10]))
        with pytest.raises(SharedStateUnavailable, match="No space left"):
            await file.publish(["b" * 32])
    assert path.read_text() == before
    await file.publish(["c" * 32])
    assert lines(path)[1:] == ["c" * 32]
    file.close()
