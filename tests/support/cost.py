"""What work costs as its input grows: a ratio of one run, since a busy machine slows both sides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TRIES = 5


def growth(work: Callable[[T], object], short: T, long: T) -> float:
    """How many times as much `long` costs: about 4 for four times the length, 16 by the square.

    The least of several tries for each, in turn: whatever else runs can only add.
    """
    short_s, long_s = [], []
    for _ in range(TRIES):
        short_s.append(_cost_s(work, short))
        long_s.append(_cost_s(work, long))
    return min(long_s) / min(short_s)


def _cost_s(work: Callable[[T], object], argument: T) -> float:
    started_s = time.thread_time()
    work(argument)
    return time.thread_time() - started_s
