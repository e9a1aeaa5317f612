"""One line per event on stderr: JSON for programs, columns for people.

Our own events come through structlog, those of libraries through the standard library's logging;
both go down the same chain and end in one write, so that lines of several processes on one stream
do not mix.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import sys
from collections.abc import Callable, MutableMapping
from types import TracebackType
from typing import Any, Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger

from scopegate.telemetry.redaction import redact

Format = Literal["auto", "json", "console"]
Event = MutableMapping[str, Any]

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "crit": logging.CRITICAL,
}
"""Kong's names of the levels → the standard library's numbers."""

_QUIET_LIBRARIES = {
    # Their own lines about starting and ending would double the supervisor's.
    "uvicorn": logging.WARNING,
    "asyncio": logging.WARNING,
    "grpc": logging.WARNING,
    "aiohttp": logging.WARNING,
    "alembic": logging.WARNING,
    # At INFO it writes statements with their parameters, that is, secrets.
    "sqlalchemy": logging.WARNING,
    "aiosqlite": logging.WARNING,
}
_LINE_ENDS_AND_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")
_FIRST = ("time", "level", "event", "process", "request_id", "reason", "status")


def configure_logging(
    *, level: str, style: Format = "auto", process: str | None = None, fd: int = 2
) -> None:
    """Send all events of this process to file descriptor `fd`.

    level     a key of LEVELS
    style     auto: console when `fd` is a terminal, JSON elsewhere
    process   who speaks, on every line
    """
    console = style == "console" or (style == "auto" and os.isatty(fd))
    write = _LineWriter(fd)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _name_logger,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        # Without local variables: they hold tokens.
        structlog.processors.ExceptionRenderer(),
        _name_process(process),
        _redact,
    ]
    render = _console(os.isatty(fd)) if console else _json
    structlog.reset_defaults()
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *name: _Output(write, *name),
        cache_logger_on_first_use=True,
    )
    _route_standard_library(shared, render, write, LEVELS[level])
    sys.excepthook = _log_uncaught


def logger(**fields: Any) -> FilteringBoundLogger:
    """A logger whose events carry `fields`."""
    return cast(FilteringBoundLogger, structlog.get_logger(**fields))


class _LineWriter:
    """Writes a line with one system call; a stream that is gone ends no process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __call__(self, line: str) -> None:
        rest = memoryview((line + "\n").encode("utf-8", "backslashreplace"))
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                # Somebody set the shared stream to non-blocking; waiting keeps the line whole.
                select.select([], [self._fd], [], 1)
            except OSError:
                return


class _Output:
    """What structlog calls a logger: the end of the chain, with the name it was asked for by."""

    def __init__(self, write: Callable[[str], None], name: str | None = None) -> None:
        self.msg = write
        self.name = name

    def __getattr__(self, level: str) -> Callable[[str], None]:
        return self.msg


def _name_process(process: str | None) -> structlog.typing.Processor:
    def name(_: Any, __: str, event: Event) -> Event:
        if process is not None:
            event.setdefault("process", process)
        return event

    return name


def _name_logger(target: Any, _: str, event: Event) -> Event:
    record = event.get("_record")
    name = target.name if record is None else record.name
    if name:
        event["logger"] = name
    return event


def _redact(_: Any, __: str, event: Event) -> Event:
    # The standard library's records ride along under private keys until the formatter drops them.
    private = {key: value for key, value in event.items() if key.startswith("_")}
    return {**redact({k: v for k, v in event.items() if k not in private}), **private}


def _json(_: Any, __: str, event: Event) -> str:
    line = json.dumps(_ordered(event), ensure_ascii=False, default=str)
    # JSON leaves these as they are; some readers end a line there, some terminals obey them.
    return _LINE_ENDS_AND_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _ordered(event: Event) -> Event:
    first = {key: event[key] for key in _FIRST if key in event}
    return {**first, **event}


def _console(colours: bool) -> structlog.typing.Processor:
    columns = structlog.dev.ConsoleRenderer(
        colors=colours and not os.environ.get("NO_COLOR"),
        timestamp_key="time",
        pad_event_to=28,
        sort_keys=False,
    )

    def render(target: Any, name: str, event: Event) -> str:
        safe = {
            key: _printable(value, keep="\n" if key == "exception" else "")
            if isinstance(value, str)
            else value
            for key, value in _ordered(event).items()
        }
        # Who looks at a terminal knows the day; the hour of every part is UTC.
        safe["time"] = f"{safe['time'][11:23]}Z"
        return str(columns(target, name, safe))

    return render


def _printable(text: str, keep: str) -> str:
    """No line ends and no terminal sequences of somebody else's in our columns."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else f"\\x{ord(letter):02x}"
        for letter in text
    )


def _route_standard_library(
    shared: list[structlog.typing.Processor],
    render: structlog.typing.Processor,
    write: Callable[[str], None],
    level: int,
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            render,
        ],
    )
    handler = _Handler(write)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries say at DEBUG what goes over the wire.
    root.setLevel(max(level, logging.INFO))
    for name, least in _QUIET_LIBRARIES.items():
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(max(level, least))
    logging.captureWarnings(True)


class _Handler(logging.Handler):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record))
        except Exception:  # noqa: BLE001 (a library's odd record must not end a request)
            self._write(json.dumps({"level": "error", "event": "a log line could not be written"}))


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger().critical("uncaught exception", exc_info=(kind, error, trace))
