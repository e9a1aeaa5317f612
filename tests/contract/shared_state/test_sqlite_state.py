"""What only the SQLite file can get wrong: other processes, the file itself, locks."""

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scopegate.session.disk_thread import DiskHangs, DiskThread
from scopegate.session.known_entries import BELIEVED_S
from scopegate.session.shared_state import SharedStateUnavailable
from scopegate.session.sqlite_state import HANG_LIMIT_S, SqliteState
from unit.session.examples import until

RACER = """
import asyncio, sys, time
from pathlib import Path
from scopegate.session.sqlite_state import SqliteState

folder, name = Path(sys.argv[1]), sys.argv[2]

async def main():
    state = SqliteState(folder / "state", time.time)
    (folder / ("ready" + name)).touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.001)
    for number in range(100):
        if await state.put_if_absent(f"key{number}", name.encode(), 60):
            print(number)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def open_state(path: Path) -> SqliteState:
    return SqliteState(path, time.time)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_of_two_processes_one_puts_each_key(tmp_path: Path) -> None:
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", RACER, str(tmp_path), name, stdout=asyncio.subprocess.PIPE
        )
        for name in ("a", "b")
    ]
    await until(lambda: all((tmp_path / f"ready{name}").exists() for name in ("a", "b")))
    (tmp_path / "go").touch()
    won = [(await racer.communicate())[0].split() for racer in racers]
    assert sorted(int(number) for numbers in won for number in numbers) == list(range(100))
    state = open_state(tmp_path / "state")
    assert await state.get("key0") == (b"a" if b"0" in won[0] else b"b")
    await state.close()


async def test_two_open_states_see_each_other_at_once_and_after_a_restart(path: Path) -> None:
    here, there = open_state(path), open_state(path)
    await here.put("key", b"value", 60)
    assert await there.get("key") == b"value"
    await here.close()
    await there.close()
    again = open_state(path)
    assert await again.get("key") == b"value"
    await again.close()


async def test_only_the_owner_may_read_the_files(path: Path) -> None:
    umask = os.umask(0)
    try:
        state = open_state(path)
        await state.put("key", b"value", 60)
        files = sorted(path.parent.iterdir())
        assert len(files) == 3
        assert {mode(file) for file in files} == {0o600}
        await state.close()
    finally:
        os.umask(umask)


@pytest.fixture
def open_to_all(path: Path) -> Path:
    path.touch(0o644)
    return path


async def test_a_file_that_others_may_read_is_closed_to_them(open_to_all: Path) -> None:
    state = open_state(open_to_all)
    await state.put("key", b"value", 60)
    assert {mode(file) for file in open_to_all.parent.iterdir()} == {0o600}
    await state.close()


@pytest.fixture(params=["link", "link to nothing", "folder"])
def in_its_place(request: pytest.FixtureRequest, path: Path) -> Path:
    target = path.parent / "elsewhere" / "target"
    target.parent.mkdir()
    if request.param == "link to nothing":
        path.symlink_to(target)
    elif request.param == "link":
        target.touch(0o644)
        path.symlink_to(target)
    else:
        path.mkdir()
    return path


async def test_a_link_or_a_folder_in_its_place_is_not_used(in_its_place: Path) -> None:
    state = open_state(in_its_place)
    with pytest.raises(SharedStateUnavailable):
        await state.get("key")
    others = (in_its_place.parent / "elsewhere").iterdir()
    assert all(mode(file) == 0o644 and file.stat().st_size == 0 for file in others)


async def test_a_missing_folder_is_an_unavailable_state_that_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    state = open_state(folder / "state")
    with pytest.raises(SharedStateUnavailable):
        await state.put("key", b"value", 60)
    folder.mkdir()
    await state.put("key", b"value", 60)
    assert await state.get("key") == b"value"
    await state.close()


@pytest.fixture
def garbage(path: Path) -> Path:
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    return path


async def test_a_file_that_is_no_database_is_an_unavailable_state(garbage: Path) -> None:
    state = open_state(garbage)
    with pytest.raises(SharedStateUnavailable):
        await state.get("key")


async def test_a_writer_that_stays_costs_half_a_second_and_no_reader_and_not_the_loop(
    path: Path,
) -> None:
    state = open_state(path)
    await state.put("key", b"value", 60)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started_s = time.monotonic()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(SharedStateUnavailable):
        await state.put("key", b"other", 60)
    assert time.monotonic() - started_s < 1.0
    assert ticks > 10
    ticking.cancel()
    assert await state.get("key") == b"value"
    other.execute("ROLLBACK")
    other.close()
    await state.put("key", b"other", 60)
    assert await state.get("key") == b"other"
    await state.close()


async def test_a_writer_that_is_done_soon_is_waited_for(path: Path) -> None:
    state = open_state(path)
    await state.put("key", b"value", 60)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    putting = asyncio.create_task(state.put("key", b"other", 60))
    await asyncio.sleep(0.1)
    assert not putting.done()
    other.execute("COMMIT")
    other.close()
    await putting
    assert await state.get("key") == b"other"
    await state.close()


async def test_workers_stay_together_when_the_file_is_taken_away(path: Path) -> None:
    here = open_state(path)
    await here.put("key", b"value", 60)
    for file in path.parent.iterdir():
        file.unlink()
    there = open_state(path)
    await there.put("key", b"newer", 60)
    assert await here.get("key") == b"newer"
    await here.close()
    await there.close()


class HangingDisk:
    """A clock that the thread of the file reads between two statements, and waits at."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self) -> float:
        assert self.answers.wait(60)
        return time.time()


SHORT_LIMIT_S = 0.5


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scopegate.session.sqlite_state.HANG_LIMIT_S", SHORT_LIMIT_S)


def test_a_disk_that_hangs_is_waited_for_no_longer_than_the_contract_allows() -> None:
    assert HANG_LIMIT_S < 3


@pytest.mark.usefixtures("short_limit")
async def test_a_disk_that_hangs_costs_its_askers_a_while_then_nothing_and_not_the_loop(
    path: Path,
) -> None:
    disk = HangingDisk()
    state = SqliteState(path, disk)
    await state.put("key", b"value", 60)
    disk.answers.clear()
    started_s = time.monotonic()
    first = asyncio.gather(*(state.get("key") for _ in range(20)), return_exceptions=True)
    await asyncio.sleep(0.05)  # the loop goes on
    assert time.monotonic() - started_s < SHORT_LIMIT_S
    assert not first.done()
    assert {type(answer) for answer in await first} == {SharedStateUnavailable}
    started_s = time.monotonic()
    for _ in range(100):
        with pytest.raises(SharedStateUnavailable, match="hangs"):
            await state.put_if_absent("other", b"value", 60)
    assert time.monotonic() - started_s < SHORT_LIMIT_S, "a hundred cost less than one wait"
    disk.answers.set()
    await until_good(state)
    # What nobody waited for any more was not done.
    assert await state.get("other") is None
    assert await state.get("key") == b"value"
    await state.close()


async def until_good(state: SqliteState) -> None:
    for _ in range(500):
        try:
            await state.get("key")
        except SharedStateUnavailable:
            await asyncio.sleep(0.01)
        else:
            return
    raise AssertionError("the state did not recover")


@pytest.mark.usefixtures("short_limit")
async def test_a_worker_can_leave_while_the_disk_hangs(path: Path) -> None:
    disk = HangingDisk()
    state = SqliteState(path, disk)
    await state.put("key", b"value", 60)
    disk.answers.clear()
    with pytest.raises(SharedStateUnavailable):
        await state.get("key")
    started_s = time.monotonic()
    await state.close()
    await state.close()
    assert time.monotonic() - started_s < 1
    with pytest.raises(SharedStateUnavailable, match="closed"):
        await state.get("key")
    disk.answers.set()


async def test_an_asker_that_goes_away_takes_nothing_from_the_others(path: Path) -> None:
    state = open_state(path)
    await state.put("key", b"value", 60)
    asking = [asyncio.create_task(state.get("key")) for _ in range(20)]
    await asyncio.sleep(0)
    for task in asking[::2]:
        task.cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert answers[1::2] == [b"value"] * 10
    assert await state.get("key") == b"value"
    await state.close()


WRITER = """
import asyncio, sys, time
from pathlib import Path
from scopegate.session.sqlite_state import SqliteState

async def main():
    state = SqliteState(Path(sys.argv[1]), time.time)
    for line in sys.stdin:
        call, key = line.split()
        if call == "delete":
            await state.delete(key)
        elif call == "put":
            await state.put(key, b"there", 60)
        else:
            assert await state.put_if_absent(key, b"there", 60)
        print("done", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that a thread was asked."""
    lines: list[str] = []
    run = DiskThread.run

    async def counted(self: DiskThread, work: Callable[[], Any]) -> Any:
        lines.append("asked")
        return await run(self, work)

    monkeypatch.setattr(DiskThread, "run", counted)
    return lines


async def test_what_another_process_writes_is_seen_at_once_by_who_knew_what_was_there(
    path: Path,
) -> None:
    state = open_state(path)
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITER, str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert writer.stdin and writer.stdout
    for number in range(300):
        call = ("put", "put_if_absent", "delete")[number % 3]
        key = f"key{number}"
        before, after = (b"here", None) if call == "delete" else (None, b"there")
        if before is not None:
            await state.put(key, before, 60)
        assert await state.get(key) == before
        assert await state.get(key) == before
        writer.stdin.write(f"{call} {key}\n".encode())
        assert await writer.stdout.readline() == b"done\n"
        assert await state.get(key) == after
    writer.stdin.close()
    await writer.wait()
    await state.close()


async def test_what_is_known_costs_no_thread_until_somebody_writes(
    path: Path, asked: list[str]
) -> None:
    here, there = open_state(path), open_state(path)
    await here.put("key", b"value", 60)
    for _ in range(20):
        assert await there.get_many(["key", "none"]) == {"key": b"value"}
    assert len(asked) <= 3
    await here.put("other", b"value", 60)
    asked.clear()
    for _ in range(20):
        assert await there.get_many(["key", "none"]) == {"key": b"value"}
    assert 1 <= len(asked) <= 2
    await here.close()
    await there.close()


@pytest.mark.slow
async def test_what_is_known_is_looked_after_each_second(path: Path, asked: list[str]) -> None:
    state = open_state(path)
    assert await state.get("key") is None
    await asyncio.sleep(BELIEVED_S)
    asked.clear()
    assert await state.get("key") is None
    assert asked
    await state.close()


async def test_known_entries_have_an_end_too(path: Path) -> None:
    now_s = 1000.0
    state = SqliteState(path, lambda: now_s)
    await state.put("key", b"value", 10)
    assert await state.get("key") == b"value"
    now_s += 10
    assert await state.get("key") is None
    await state.close()


async def test_whoever_looks_again_after_a_thousand_writes_forgets_all(path: Path) -> None:
    here, there = open_state(path), open_state(path)
    assert await here.get("key0") is None
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    for number in range(2000):
        other.execute("INSERT INTO entry VALUES (?, x'01', ?)", (f"key{number}", time.time() + 60))
    other.execute("COMMIT")
    (kept,) = other.execute("SELECT count(*) FROM change").fetchone()
    other.close()
    assert kept == 1000
    assert await here.get("key1999") == b"\x01"
    assert await here.get("key0") == b"\x01"
    await here.close()
    await there.close()


async def test_without_the_index_every_question_is_for_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    def absent(_: Path) -> None:
        raise OSError("no memory")

    monkeypatch.setattr("scopegate.session.sqlite_state.WalIndex", absent)
    state = open_state(path)
    for _ in range(5):
        assert await state.get("key") is None
    assert len(asked) == 5
    await state.close()


@pytest.mark.slow
@pytest.mark.usefixtures("short_limit")
async def test_what_is_known_outlives_a_disk_that_hangs_by_a_second_at_most(path: Path) -> None:
    state = open_state(path)
    assert await state.get("key") is None
    answers = threading.Event()
    hanging = asyncio.ensure_future(state._disk.run(lambda: answers.wait(60)))
    assert await state.get("key") is None
    await asyncio.sleep(BELIEVED_S)
    with pytest.raises(SharedStateUnavailable, match="hangs"):
        await state.get("key")
    with pytest.raises(DiskHangs):
        await hanging
    answers.set()
    await until_good(state)
    await state.close()


async def test_no_state_of_a_process_takes_the_locks_of_another(path: Path) -> None:
    """Closing any descriptor of the index would, and the next process would begin it anew."""
    here, there = open_state(path), open_state(path)
    await here.put("key", b"value", 60)
    assert await there.get("key") == b"value"
    await here.close()
    locks = Path("/proc/locks").read_text()
    assert f":{Path(f'{path}-shm').stat().st_ino} " in locks
    await there.close()
