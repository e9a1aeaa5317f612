"""The examples that the proxy filter is tested with are those of the specifications as they are."""

from __future__ import annotations

from pathlib import Path

from support.guard_vectors import VECTORS, write_all


def test_vectors_are_up_to_date(tmp_path: Path) -> None:
    write_all(tmp_path)
    for path in tmp_path.rglob("*.txt"):
        assert path.read_bytes() == (VECTORS / path.relative_to(tmp_path)).read_bytes(), (
            "PYTHONPATH=src:tests .venv/bin/python -m support.guard_vectors"
        )
