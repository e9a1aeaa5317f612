"""Log lines as other programs see them."""

from __future__ import annotations

import datetime
import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from scopegate.telemetry import logging as module
from scopegate.telemetry.logging import Format, configure_logging, logger
from support.leaks import jwts_in

SETUP = (
    "import logging, sys, structlog\n"
    "from scopegate.telemetry.logging import configure_logging, logger\n"
    "configure_logging(level={level!r}, style={style!r}, process='policy-0')\n"
)


def by_a_process(program: str, style: str = "json") -> list[str]:
    """Lines on stderr of a process that runs `program` after the setup."""
    source = SETUP.format(level="info", style=style) + program
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    return done.stderr.splitlines()


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is this whole process's: put it back."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name in module._QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def written(
    tmp_path: Path, program: str, *, level: str = "info", style: Format = "auto"
) -> list[str]:
    """Lines that `program` makes this process write after the setup."""
    path = tmp_path / "stderr"
    with path.open("wb") as file:
        configure_logging(level=level, style=style, process="policy-0", fd=file.fileno())
        exec(program, {"logging": logging, "structlog": structlog, "logger": logger})
    return path.read_text().splitlines()


def events(tmp_path: Path, program: str, *, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(tmp_path, program, level=level)]


def test_an_event_is_one_json_object_with_time_level_and_process(tmp_path: Path) -> None:
    (event,) = events(tmp_path, "logger(component='x').info('decided', reason='ok', n=1, t=('a',))")
    time = datetime.datetime.fromisoformat(event.pop("time"))
    assert time.tzinfo == datetime.UTC
    assert event == {
        "level": "info",
        "event": "decided",
        "process": "policy-0",
        "component": "x",
        "reason": "ok",
        "n": 1,
        "t": ["a"],
    }


def test_the_request_id_is_on_every_line_while_it_is_bound(tmp_path: Path) -> None:
    program = (
        "log = logger()\n"
        "with structlog.contextvars.bound_contextvars(request_id='r1'):\n"
        "    log.info('inside')\n"
        "    logging.getLogger('x').warning('library')\n"
        "log.info('outside')\n"
    )
    assert [event.get("request_id") for event in events(tmp_path, program)] == ["r1", "r1", None]


def test_a_line_feed_in_a_value_makes_no_second_line(tmp_path: Path) -> None:
    program = "logger().info('a\\nb', x='c\\r\\nd', y='\\x1b[31m')"
    (event,) = events(tmp_path, program)
    assert (event["event"], event["x"]) == ("a\nb", "c\r\nd")
    (line,) = written(tmp_path, program, style="console")
    assert "\x1b" not in line
    assert "a\\x0ab" in line


@pytest.mark.parametrize("letter", ["\x7f", "\x85", "\x9b", "\u2028", "\u2029"])
def test_what_some_readers_take_for_a_line_end_or_an_order_is_escaped(
    tmp_path: Path, letter: str
) -> None:
    program = f"logger().info('refused', route_name='größe{letter}x')"
    (line,) = written(tmp_path, program)
    assert letter not in line
    assert json.loads(line)["route_name"] == f"größe{letter}x"


def test_on_a_terminal_what_is_looked_for_stands_first(tmp_path: Path) -> None:
    program = "logger().warning('no', client_ip='::1', status=403, reason='x', request_id='r1')"
    (line,) = written(tmp_path, program, style="console")
    time, _, rest = line.partition(" ")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}Z", time)
    fields = ["process=policy-0", "request_id=r1", "reason=x", "status=403", "client_ip=::1"]
    assert rest.split()[-5:] == fields


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("info", ["info", "warning", "error", "critical"]),
        ("warn", ["warning", "error", "critical"]),
        ("error", ["error", "critical"]),
        ("crit", ["critical"]),
    ],
)
def test_less_important_lines_are_left_out(tmp_path: Path, level: str, seen: list[str]) -> None:
    program = (
        "log = logger()\n"
        "log.debug('x'); log.info('x'); log.warning('x'); log.error('x'); log.critical('x')"
    )
    assert [event["level"] for event in events(tmp_path, program, level=level)] == seen


def test_libraries_speak_through_the_same_chain(tmp_path: Path) -> None:
    program = (
        "import warnings\n"
        "logging.getLogger('uvicorn.error').error('code=%s', 'abc')\n"
        "logging.getLogger('uvicorn.access').info('quiet')\n"
        "logging.getLogger('sqlalchemy.engine').info('INSERT secret')\n"
        "logging.getLogger('aiohttp.client').debug('quiet')\n"
        "warnings.warn('careful')\n"
    )
    first, second = events(tmp_path, program, level="debug")
    assert first["event"] == "code=[redacted]"
    assert (first["logger"], first["level"], first["process"]) == (
        "uvicorn.error",
        "error",
        "policy-0",
    )
    assert "careful" in second["event"]


def test_a_named_logger_says_its_name(tmp_path: Path) -> None:
    (event,) = events(tmp_path, "structlog.get_logger('scopegate.control').info('x')")
    assert event["logger"] == "scopegate.control"


def test_secrets_are_masked_in_fields_texts_and_tracebacks() -> None:
    program = (
        "jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.'\n"
        "log = logger(access_token='s3cret')\n"
        "try:\n"
        "    raise ValueError(f'bad {jwt} client_secret=s3cret')\n"
        "except ValueError:\n"
        "    log.exception('failed', url='http://u:s3cret@h/?code=s3cret', x={'Cookie': jwt})\n"
        "    logging.getLogger('x').exception('failed %s', jwt)\n"
        "raise RuntimeError('Bearer s3creteeeeeeeeeeeeee')\n"
    )
    for style in ("json", "console"):
        text = "\n".join(by_a_process(program, style))
        assert "RuntimeError" in text
        assert "s3cret" not in text
        assert jwts_in(text) == []


def test_an_uncaught_exception_is_an_event() -> None:
    (event,) = map(json.loads, by_a_process("1 / 0"))
    assert (event["level"], event["event"]) == ("critical", "uncaught exception")
    assert "ZeroDivisionError" in event["exception"]


@pytest.mark.slow
def test_a_terminal_gets_colours_unless_it_wants_none() -> None:
    def shown(**environment: str) -> bytes:
        source = SETUP.format(level="info", style="auto") + "logger().info('hello', x=1)"
        main, terminal = pty.openpty()
        subprocess.run(
            [sys.executable, "-c", source],
            stderr=terminal,
            check=True,
            env={**os.environ, "TERM": "xterm", **environment},
        )
        os.close(terminal)
        text = os.read(main, 4096)
        os.close(main)
        return text

    assert b"\x1b[" in shown()
    assert b"hello" in shown(NO_COLOR="1")
    assert b"\x1b[" not in shown(NO_COLOR="1")


@pytest.mark.slow
def test_lines_of_several_processes_do_not_mix() -> None:
    program = (
        "import os\n"
        "for _ in range(3): os.fork()\n"
        "log = logger()\n"
        "for n in range(200): log.info('x' * 300, n=n)\n"
    )
    assert len([json.loads(line) for line in by_a_process(program)]) == 8 * 200


def test_a_closed_stderr_ends_nobody() -> None:
    source = SETUP.format(level="info", style="json") + (
        "import os\nos.close(2)\nlogger().info('x')\nprint('still here')"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], check=False, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout == "still here\n"
