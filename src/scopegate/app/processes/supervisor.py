"""The parent of all processes: starts them, keeps them alive, ends them in the right order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence

from structlog.typing import FilteringBoundLogger

from scopegate.app.processes.child import Child, ChildSpec, Ending
from scopegate.telemetry.metrics import Metrics

Stages = Sequence[Sequence[ChildSpec]]
"""All children start at once. They end stage by stage, the last stage first: a stage may need the
children of those before it until its end."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs the children of all stages until a signal, `stop`, or a child without hope.

    on_ending   called once, before the first child is asked to drain
    """

    def __init__(
        self,
        stages: Stages,
        log: FilteringBoundLogger,
        metrics: Metrics,
        on_ending: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._on_ending = on_ending
        self._stages = [
            [Child(spec, log, metrics.process_restarted) for spec in stage] for stage in stages
        ]
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()
        self._hopeless: str | None = None

    @property
    def pids(self) -> dict[str, int | None]:
        """Name → process, for those who look in from outside."""
        return {child.spec.name: child.pid for child in self._children()}

    async def run(self) -> int:
        """Start, watch, end. The exit code: 0 when asked to end, 1 otherwise.

        The first signal ends in order, the second at once.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        alive = [asyncio.create_task(self._keep(child)) for child in self._children()]
        try:
            await self._stop.wait()
            self._on_ending()
            ends = {
                asyncio.create_task(self._end_in_order()),
                asyncio.create_task(self._at_once.wait()),
            }
            done, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            for task in done:
                task.result()
        finally:
            for child in self._children():
                child.kill()
            await asyncio.gather(*alive)
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        if self._hopeless is not None:
            self._log.critical(
                "scopegate ends",
                why=self._hopeless,
                what_to_do="read the lines above; what it said there is the cause",
            )
            return 1
        self._log.info("scopegate ended")
        return 0

    def stop(self) -> None:
        """End in order, as on a signal."""
        self._stop.set()

    def _children(self) -> list[Child]:
        return [child for stage in self._stages for child in stage]

    async def _keep(self, child: Child) -> None:
        ending = await child.keep_alive()
        if ending is not Ending.ASKED:
            how = {
                Ending.HOPELESS: "ends again and again right after its start",
                Ending.MISCONFIGURED: "cannot start",
            }[ending]
            self._hopeless = self._hopeless or f"{child.spec.name} {how}"
            self.stop()

    async def _end_in_order(self) -> None:
        for stage in reversed(self._stages):
            await asyncio.gather(*(child.end() for child in stage))

    def _on_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        if not self._stop.is_set():
            self._log.info("scopegate ends", signal=name)
            self.stop()
            return
        self._log.warning("scopegate ends at once", signal=name)
        self._at_once.set()
