"""The supervisor with small real children: alive again after a death, gone with their parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from scopegate.app.processes import child as child_module
from scopegate.app.processes import heartbeat
from scopegate.app.processes.child import ChildSpec
from scopegate.app.processes.supervisor import Stages, Supervisor
from scopegate.telemetry.metrics import Metrics

pytestmark = pytest.mark.slow

SLEEP = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def spec(name: str, command: tuple[str, ...] = SLEEP, **more: object) -> ChildSpec:
    return ChildSpec(name, command, ENVIRONMENT, **more)  # type: ignore[arg-type]


def script(text: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", text, *map(str, arguments))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], object], limit_s: float = 5) -> float:
    """Wait for it; the seconds that it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit_s, "it did not happen in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


class Running:
    """A supervisor at work in this process, with what it logged."""

    def __init__(self, *stages: list[ChildSpec], **more: Any) -> None:
        self.logged: list[tuple[str, dict[str, object]]] = []
        log = structlog.wrap_logger(None, processors=[self._keep])
        self.metrics = Metrics()
        self.supervisor = Supervisor(stages, log, self.metrics, **more)
        self.task = asyncio.create_task(self.supervisor.run())

    def _keep(self, _: object, name: str, event: structlog.typing.EventDict) -> object:
        self.logged.append((str(event.pop("event")), {"level": name, **event}))
        raise structlog.DropEvent

    def pid(self, name: str) -> int:
        pid = self.supervisor.pids[name]
        assert pid is not None
        return pid

    async def started(self) -> None:
        await until(lambda: all(self.supervisor.pids.values()))

    async def end(self) -> int:
        self.supervisor.stop()
        return await self.task


@contextlib.asynccontextmanager
async def running(*stages: list[ChildSpec], **more: Any) -> AsyncIterator[Running]:
    made = Running(*stages, **more)
    try:
        await made.started()
        yield made
    finally:
        if not made.task.done():
            await made.end()


async def test_a_killed_child_is_started_again_at_once_and_counted() -> None:
    async with running([spec("control"), spec("policy-0")]) as it:
        first, other = it.pid("control"), it.pid("policy-0")
        os.kill(first, signal.SIGKILL)
        took_s = await until(lambda: it.supervisor.pids["control"] not in (first, None))
        assert took_s < 0.5
        assert it.pid("policy-0") == other, "the others do not notice"
        ends = [fields for event, fields in it.logged if event == "process ended"]
        assert [(end["child"], end["how"], end["level"]) for end in ends] == [
            ("control", "SIGKILL", "error")
        ]
        counted = it.metrics.in_this_process()
        assert b'scopegate_process_restarts_total{process="control"} 1.0' in counted


def test_a_child_that_somebody_kills_is_not_given_up() -> None:
    delay = child_module._Delay()
    assert None not in [delay.after(0.1, by_itself=False) for _ in range(20)]


def test_who_is_killed_again_and_again_is_back_within_a_second() -> None:
    delay = child_module._Delay()
    for _ in range(20):
        wait_s = delay.after(0.1, by_itself=False)
        assert wait_s is not None
        assert wait_s <= 1


@pytest.mark.parametrize("by_itself", [False, True])
def test_after_thousands_of_deaths_there_is_still_a_next_start(by_itself: bool) -> None:
    delay = child_module._Delay()
    delay.after(child_module.QUICK_S)
    waits = [delay.after(0.1, by_itself=by_itself) for _ in range(2000)]
    assert waits[-1] == (10 if by_itself else 1)


async def test_a_loop_of_deaths_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "FIRST_DELAY_S", 0.01)
    async with running([spec("control")]) as it:
        for _ in range(3):
            pid = it.pid("control")
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: it.supervisor.pids["control"] not in (pid, None))
        ends = [(event, fields) for event, fields in it.logged if "how" in fields]
        assert [event for event, _ in ends] == ["process ended"] * 2 + [
            "process ends again and again"
        ]
        last = ends[-1][1]
        assert (last["child"], last["in_a_row"], last["again_in_s"]) == ("control", 3, 0.02)
        assert "memory" in str(last["what_to_do"])


async def test_what_a_child_says_of_ordinary_events_is_debug_and_long_lines_are_cut() -> None:
    lines = [
        {"level": "warning", "event": "caught it"},
        {"level": "warning", "event": f"bad table {'x' * 5000}: the reason"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    talking = script("import sys, time; sys.stderr.write(sys.argv[1]); time.sleep(60)", text)
    child = spec("envoy", talking, logs_json=True, ordinary=re.compile("^caught"))
    async with running([child]) as it:
        await until(lambda: any("bad table" in event for event, _ in it.logged))
        said = {event: fields["level"] for event, fields in it.logged if "process" not in event}
    (long,) = [event for event in said if event.startswith("bad table")]
    assert said == {"caught it": "debug", long: "warning"}
    assert long.endswith("x: the reason")
    assert len(long) < 1000


async def test_that_it_ends_is_said_before_anybody_drains() -> None:
    told: list[str] = []

    async def drain() -> None:
        told.append("drain")

    async with running(
        [spec("envoy", before_end=drain)], on_ending=lambda: told.append("ends")
    ) as it:
        assert told == []
        await it.end()
    assert told == ["ends", "drain"]


def test_quick_deaths_are_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "FIRST_DELAY_S", 0.1)
    delay = child_module._Delay()
    assert delay.after(child_module.QUICK_S) == 0, "it had lived"
    waits = [delay.after(0.1) for _ in range(9)]
    assert waits == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10]
    assert delay.after(child_module.QUICK_S) == 0
    assert delay.after(0.1) == 0, "and the count begins anew"


async def test_a_child_that_never_lives_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "FIRST_DELAY_S", 0.01)
    it = Running([spec("control")], [spec("policy-0", script("import sys; sys.exit(3)"))])
    assert await asyncio.wait_for(it.task, 10) == 1
    assert it.supervisor.pids == {"control": None, "policy-0": None}
    ends = [(event, fields["how"]) for event, fields in it.logged if "how" in fields]
    assert [how for _, how in ends] == ["exit code 3"] * child_module.HOPELESS_AFTER
    events = [event for event, _ in ends]
    assert events == ["process ended"] * 2 + ["process ends again and again"] * 3
    event, fields = it.logged[-1]
    assert (event, fields["level"]) == ("scopegate ends", "critical")
    assert fields["why"] == "policy-0 ends again and again right after its start"


async def test_a_child_that_says_that_no_start_would_be_better_is_tried_once() -> None:
    misconfigured = script("import os, sys; sys.exit(os.EX_CONFIG)")
    it = Running([spec("control", misconfigured)], [spec("policy-0")])
    assert await asyncio.wait_for(it.task, 10) == 1
    event, fields = it.logged[-1]
    assert (event, fields["why"]) == ("scopegate ends", "control cannot start")
    started = [fields["child"] for event, fields in it.logged if event == "process started"]
    assert started.count("control") == 1


async def test_a_child_that_has_lived_is_tried_again_whatever_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(child_module, "QUICK_S", 0.0)
    told = tmp_path / "told"
    program = "import os, sys; open(sys.argv[1], 'a').write('x'); sys.exit(os.EX_CONFIG)"
    later = script(program, told)
    kills_itself = script(
        "import os, sys\n"
        "if not os.path.exists(sys.argv[1]):\n"
        "    open(sys.argv[1], 'a').write('x'); os.kill(os.getpid(), 9)\n"
        "os.execv(sys.argv[2], sys.argv[2:])",
        told,
        *later,
    )
    it = Running([spec("control", kills_itself)])
    await until(lambda: told.exists() and len(told.read_text()) > 2)
    assert await it.end() == 0


async def test_a_program_that_is_not_there_says_so(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "FIRST_DELAY_S", 0.01)
    it = Running([spec("envoy", ("/nowhere/envoy",))])
    assert await asyncio.wait_for(it.task, 10) == 1
    assert "/nowhere/envoy: No such file or directory" in capfd.readouterr().err


BEATING = """
import os, sys, time
handle = int(os.environ["_SCOPEGATE_HEARTBEAT"])
for _ in range(int(sys.argv[1])):
    os.write(handle, b".")
    time.sleep(0.02)
time.sleep(60)
"""


@pytest.mark.parametrize("beats", [0, 10])
async def test_a_child_that_hangs_is_killed_and_started_again(
    monkeypatch: pytest.MonkeyPatch, beats: int
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    monkeypatch.setattr(heartbeat, "FIRST_LIMIT_BEATS", 20)
    async with running([spec("c", script(BEATING, beats), beats=True)]) as it:
        first = it.pid("c")
        took_s = await until(lambda: it.supervisor.pids["c"] not in (None, first))
        assert took_s > 0.6
        events = [event for event, _ in it.logged]
        assert events[:3] == ["process started", "process hangs", "process ended"]


async def test_a_child_that_beats_lives_and_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    monkeypatch.setattr(heartbeat, "SILENT_LIMIT_BEATS", 5)
    before = descriptors()
    async with running([spec("c", script(BEATING, 1000), beats=True)]) as it:
        await asyncio.sleep(1)
        assert [event for event, _ in it.logged] == ["process started"]
        open_now = descriptors()
        os.kill(it.pid("c"), signal.SIGKILL)
        await until(lambda: len(it.logged) == 3)
        assert descriptors() == open_now
    assert descriptors() <= before


async def test_stages_end_in_reverse_order_each_before_the_next(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.1)\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open(sys.argv[1] + sys.argv[2], 'w')\n"
        "while True: time.sleep(1)\n"
    )
    drained: list[str] = []

    async def drain() -> None:
        drained.append(told.read_text() if told.exists() else "nobody")

    stages: Stages = [
        [spec(name, script(program, told, name), **more)]
        for name, more in (("control", {}), ("policy-0", {}), ("envoy", {"before_end": drain}))
    ]
    async with running(*map(list, stages)) as it:
        await until(lambda: len(list(tmp_path.iterdir())) == 3)
        assert await it.end() == 0
    assert told.read_text().split() == ["envoy", "policy-0", "control"]
    assert drained == ["nobody"], "the drain comes before every end"


async def test_a_child_that_does_not_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open(sys.argv[1], 'w'); time.sleep(60)"
    )
    async with running([spec("policy-0", script(deaf, tmp_path / "up"), grace_s=0.2)]) as it:
        await until((tmp_path / "up").exists)
        pid = it.pid("policy-0")
        assert await asyncio.wait_for(it.end(), 3) == 0
        assert not is_alive(pid)
    assert any(event == "process killed" for event, _ in it.logged)


async def test_a_second_signal_ends_at_once() -> None:
    drained = asyncio.Event()

    async def never() -> None:
        drained.set()
        await asyncio.sleep(60)

    async with running([spec("control")], [spec("envoy", before_end=never)]) as it:
        pids = [it.pid("control"), it.pid("envoy")]
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(drained.wait(), 2)
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(it.task, 2) == 0
        assert not any(map(is_alive, pids))


async def test_a_start_that_waits_for_something_can_still_be_ended() -> None:
    async def forever() -> None:
        await asyncio.sleep(60)

    it = Running([spec("control")], [spec("envoy", before_start=forever)])
    await until(lambda: it.supervisor.pids["control"])
    assert await asyncio.wait_for(it.end(), 2) == 0


async def test_sockets_stay_open_while_nobody_serves_them() -> None:
    serve = (
        "import socket, sys\n"
        "s = socket.socket(fileno=int(sys.argv[1])); s.setblocking(True)\n"
        "while True:\n"
        "    c, _ = s.accept()\n"
        "    c.sendall(b'hello'); c.close()\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        server = spec(
            "control", script(serve, listening.fileno()), descriptors=(listening.fileno(),)
        )
        async with running([server]) as it:
            for _ in range(2):
                killed = it.pid("control")
                os.kill(killed, signal.SIGKILL)
                # Not before: the dying one could take the connection along.
                await until(lambda pid=killed: it.supervisor.pids["control"] != pid)
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                assert await asyncio.wait_for(reader.read(), 5) == b"hello"
                writer.close()


async def test_a_terminals_ctrl_c_reaches_the_supervisor_alone() -> None:
    async with running([spec("control")]) as it:
        assert os.getpgid(it.pid("control")) != os.getpgid(0)


PARENT = """
import asyncio, os, sys
from scopegate.app.processes.child import ChildSpec
from scopegate.app.processes.supervisor import Supervisor
from scopegate.telemetry.logging import configure_logging, logger
from scopegate.telemetry.metrics import Metrics
sleep = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
specs = [[ChildSpec(name, sleep, dict(os.environ))] for name in ("control", "envoy")]
configure_logging(level="info", style="json")
async def main():
    supervisor = Supervisor(specs, logger(), Metrics())
    task = asyncio.create_task(supervisor.run())
    while not all(supervisor.pids.values()):
        await asyncio.sleep(0.01)
    print(*supervisor.pids.values(), flush=True)
    return await task
sys.exit(asyncio.run(main()))
"""


async def test_the_children_of_a_killed_supervisor_end_with_it() -> None:
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        parent.kill()
    assert await until(lambda: not any(map(is_alive, pids))) < 1


def test_a_program_whose_parent_is_gone_already_does_not_run(tmp_path: Path) -> None:
    tether = Path(child_module.__file__).with_name("tether.py")
    command = [sys.executable, str(tether), "1", "touch", str(tmp_path / "ran")]
    assert subprocess.run(command, check=False).returncode == 1
    assert not (tmp_path / "ran").exists()
