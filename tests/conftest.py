"""How many examples a property is tried with: `make test` many, `make check` few."""

from __future__ import annotations

import gc

from hypothesis import settings

# No deadline: a busy machine is not a wrong answer.
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.register_profile("quick", max_examples=20, deadline=None)
settings.load_profile("thorough")


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
