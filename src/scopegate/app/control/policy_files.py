"""Policies and consumer directories as files for the policy workers of this node.

A file is named by the hash of its content and never changed. It is written before Envoy hears of
its id, and removed when no configuration that Envoy may hold has named it for a while.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from scopegate.ir.gateway import Gateway

KEEP_S = 600.0  # a request that began under an old policy is long over by then


class PolicyFiles:
    """The folder that policy workers read."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now
        self._unused_since: dict[str, float] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, gateway: Gateway) -> frozenset[str]:
        """Write what this gateway names and is not there yet; the names of all its files."""
        contents = _contents(gateway)
        for name, content in contents.items():
            path = self._folder / name
            if not _is_there(path, len(content)):
                self._write(path, content)
        return frozenset(contents)

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all; readable by this user only, for it holds client secrets."""
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def sweep(self, used: frozenset[str]) -> None:
        """Remove files that have not been used for KEEP_S seconds."""
        now_s = self._now()
        there = {path.name for path in self._folder.iterdir()}
        for name in there & used:
            self._unused_since.pop(name, None)
        for name in there - used:
            if now_s - self._unused_since.setdefault(name, now_s) > KEEP_S:
                (self._folder / name).unlink(missing_ok=True)
                del self._unused_since[name]


def _is_there(path: Path, length_bytes: int) -> bool:
    """Whether the file is there, and whole: a power cut can leave one that is cut off."""
    try:
        return path.stat().st_size == length_bytes
    except FileNotFoundError:
        return False


def _contents(gateway: Gateway) -> Mapping[str, bytes]:
    contents = {f"policy-{id_}.json": policy.to_json() for id_, policy in gateway.policies.items()}
    if gateway.consumers is not None:
        contents[f"consumers-{gateway.consumers.id}.json"] = gateway.consumers.content
    return contents
