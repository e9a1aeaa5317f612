"""One process under the supervisor: started, watched, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from structlog.typing import FilteringBoundLogger

from scopegate.app.processes.heartbeat import BEAT_S, VARIABLE, Heartbeat
from scopegate.app.processes.tether import tethered

QUICK_S = 5.0
"""A child that ends sooner than this after its start has ended quickly."""
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 10.0
LONGEST_DELAY_AFTER_A_KILL_S = 1.0
"""Who was killed did nothing wrong: a proxy is to be back within two seconds, every time."""
AGAIN_AND_AGAIN = 3
"""From so many quick deaths on, the log says that this is a loop."""
HOPELESS_AFTER = 5
"""A child that never lived for QUICK_S and ended by itself this often will not live at all."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run, and how to end it.

    name          for the log and the metrics: `control`, `policy-0`, `envoy`
    environment   the child's whole environment
    descriptors   file descriptors that it inherits
    before_start  awaited before the first start, not before those after a death
    before_end    awaited before the child is asked to end (drain)
    grace_s       from SIGTERM to SIGKILL
    silent        its stdout goes nowhere
    logs_json     its stderr is JSON lines with `level` and `event`, written anew as our own
    beats         it tells that it lives (`heartbeat.py`), and is killed when it does not
    ordinary      what it says of ordinary events, however loudly: debug for us
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()
    before_start: Callable[[], Coroutine[Any, Any, None]] | None = None
    before_end: Callable[[], Awaitable[None]] | None = None
    grace_s: float = 5.0
    silent: bool = False
    logs_json: bool = False
    beats: bool = False
    ordinary: re.Pattern[str] | None = None


class Ending(Enum):
    """Why a child is no longer kept alive.

    MISCONFIGURED: it never lived and says (os.EX_CONFIG) that no other start would be better; one
    that has lived is tried again, for the others do without it meanwhile.
    """

    ASKED = "asked"
    HOPELESS = "hopeless"
    MISCONFIGURED = "misconfigured"


class Child:
    """Keeps one process alive until it is asked to end."""

    def __init__(
        self, spec: ChildSpec, log: FilteringBoundLogger, restarted: Callable[[str], None]
    ) -> None:
        self.spec = spec
        self._log = log.bind(child=spec.name)
        self._restarted = restarted
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process that runs now, or None between two."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def keep_alive(self) -> Ending:
        """Run the process, again and again, until `end` is called or there is no hope."""
        if self.spec.before_start is not None:
            await self._unless_ending(self.spec.before_start())
        delay = _Delay()
        while not self._ending.is_set():
            begun_s = time.monotonic()
            code = None
            try:
                code = await self._run()
                how = _how(code)
            except OSError as error:
                # No memory, no process or no descriptor to be had: that may pass.
                how = f"not started: {(error.strerror or 'unknown reason').lower()}"
            if self._ending.is_set():
                break
            lived_s = time.monotonic() - begun_s
            if code == os.EX_CONFIG and not delay.has_lived:
                return Ending.MISCONFIGURED
            wait_s = delay.after(lived_s, by_itself=code not in (None, -signal.SIGKILL))
            self._tell_end(how, lived_s, wait_s, delay.quick_deaths)
            if wait_s is None:
                return Ending.HOPELESS
            self._restarted(self.spec.name)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait_s)
        return Ending.ASKED

    async def end(self) -> None:
        """Drain, ask, wait, and kill what did not end by itself."""
        if self.spec.before_end is not None and self.pid is not None:
            await self.spec.before_end()
        self._ending.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self.spec.grace_s)
        except TimeoutError:
            self._log.warning("process killed", why=f"it did not end in {self.spec.grace_s:g} s")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End it at once, and for good."""
        self._ending.set()
        self._signal(signal.SIGKILL)

    def _tell_end(self, how: str, lived_s: float, wait_s: float | None, quick_deaths: int) -> None:
        facts = {"how": how, "lived_s": round(lived_s, 1), "again_in_s": wait_s}
        if quick_deaths < AGAIN_AND_AGAIN:
            self._log.error("process ended", **facts)
            return
        self._log.error(
            "process ends again and again",
            **facts,
            in_a_row=quick_deaths,
            what_to_do="the kernel's log says whether memory ran out, else somebody kills it"
            if how == signal.SIGKILL.name
            else "what it said last, above, is the cause",
        )

    async def _unless_ending(self, wait: Coroutine[Any, Any, None]) -> None:
        waits = {asyncio.create_task(wait), asyncio.create_task(self._ending.wait())}
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _run(self) -> int:
        if not self.spec.beats:
            return await self._run_with(self.spec.environment, self.spec.descriptors)
        heartbeat = Heartbeat()
        watching = asyncio.create_task(self._kill_when_silent(heartbeat))
        try:
            return await self._run_with(
                {**self.spec.environment, VARIABLE: str(heartbeat.descriptor)},
                (*self.spec.descriptors, heartbeat.descriptor),
                heartbeat.inherited,
            )
        finally:
            watching.cancel()
            heartbeat.close()

    async def _kill_when_silent(self, heartbeat: Heartbeat) -> None:
        beats = await heartbeat.until_silent()
        self._log.error(
            "process hangs",
            silent_s=round(beats * BEAT_S),
            what_to_do="it is killed and started again; please report it if that happens again",
        )
        self._signal(signal.SIGKILL)

    async def _run_with(
        self,
        environment: Mapping[str, str],
        descriptors: tuple[int, ...],
        started: Callable[[], None] = lambda: None,
    ) -> int:
        self._process = await asyncio.create_subprocess_exec(
            *tethered(self.spec.command),
            env=dict(environment),
            pass_fds=descriptors,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL if self.spec.silent else None,
            stderr=asyncio.subprocess.PIPE if self.spec.logs_json else None,
            # Ctrl-C in a terminal goes to the supervisor alone, which ends us in the right order.
            start_new_session=True,
        )
        started()
        self._log.info("process started", pid=self._process.pid)
        if self._ending.is_set():
            self.kill()
        if self._process.stderr is not None:
            await self._write_anew(self._process.stderr)
        return await self._process.wait()

    async def _write_anew(self, lines: asyncio.StreamReader) -> None:
        """Log what the child logs, in our form and without credentials, until it ends."""
        while True:
            try:
                line = await lines.readline()
            except ValueError:
                # Longer than asyncio holds: what was read of it is gone, the rest comes next.
                continue
            if not line:
                return
            level, event, fields = _log_line(line)
            if self.spec.ordinary is not None and self.spec.ordinary.search(event):
                level = logging.DEBUG
            self._log.log(level, event, **fields)


def _log_line(line: bytes) -> tuple[int, str, dict[str, Any]]:
    """Level, event and fields of a JSON line; a line that is none is a warning."""
    text = line.decode("utf-8", "backslashreplace").rstrip()
    try:
        document = json.loads(text)
        level = logging.getLevelNamesMapping()[document.pop("level").upper()]
        return level, _short(str(document.pop("event"))), {"logger": document.get("logger")}
    except (ValueError, KeyError, AttributeError):
        return logging.WARNING, _short(text), {}


def _short(text: str) -> str:
    """On one line; of a long text its beginning and its end, where Envoy says what was wrong."""
    text = " ".join(text.split())
    return text if len(text) <= 1000 else f"{text[:300]} … {text[-600:]}"


class _Delay:
    """At once after the first death; longer and longer while deaths are quick."""

    def __init__(self) -> None:
        self.quick_deaths = 0
        self.has_lived = False
        self._by_itself = 0

    def after(self, lived_s: float, *, by_itself: bool = True) -> float | None:
        """Seconds to wait before the next start; None when there is no hope.

        by_itself   nobody killed it: only such a death says that the next will be no better
        """
        if lived_s >= QUICK_S:
            self.has_lived = True
            self.quick_deaths = 0
            return 0
        self.quick_deaths += 1
        self._by_itself += by_itself
        if not self.has_lived and self._by_itself >= HOPELESS_AFTER:
            return None
        if self.quick_deaths == 1:
            return 0
        longest_s = LONGEST_DELAY_S if by_itself else LONGEST_DELAY_AFTER_A_KILL_S
        # A loop of hours has thousands of deaths, and 2 to the power of 1024 is no float any more.
        doublings = min(self.quick_deaths - 2, 10)
        return float(min(longest_s, FIRST_DELAY_S * 2**doublings))


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
