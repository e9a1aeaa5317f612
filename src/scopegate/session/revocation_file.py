"""Revocations for those who cache decisions: a file that the proxy reads five times a second.

The first line names the epoch, each further one a tag, in the order of time. A file that is begun
anew has another epoch, and whoever reads it empties its cache. It lies in memory where it can, so
that no disk holds up the proxy. Read by the proxy filter (`proxy_filter/`); docs/adr/0035.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from scopegate.session.disk_thread import DiskHangs, DiskThread
from scopegate.session.sealing import RandomBytes
from scopegate.session.shared_state import SharedStateUnavailable

SIZE_LIMIT_BYTES = 1 << 20
"""Then it is begun anew: it holds what is over, not what was ever over."""
WRITE_LIMIT_S = 2.0
EPOCH_BYTES = 17
"""The first line, its end included."""


def begin_revocations(path: Path, random_bytes: RandomBytes) -> None:
    """Make the file, empty and its owner's alone, in place of one that is there. Raises OSError."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    try:
        _write(handle, _epoch(random_bytes))
    finally:
        os.close(handle)


class RevocationFile:
    """The file, as the policy workers write it: several processes, one line after the other."""

    def __init__(
        self, path: Path, random_bytes: RandomBytes, *, size_limit_bytes: int = SIZE_LIMIT_BYTES
    ) -> None:
        self._path = path
        self._random_bytes = random_bytes
        self._size_limit_bytes = size_limit_bytes
        self._disk = DiskThread(WRITE_LIMIT_S)

    async def publish(self, tags: Sequence[str]) -> None:
        text = "".join(f"{tag}\n" for tag in tags).encode("ascii")
        try:
            await self._disk.run(lambda: self._append(text))
        except DiskHangs as problem:
            raise SharedStateUnavailable(f"the file of revocations hangs: {problem}") from None
        except OSError as error:
            raise SharedStateUnavailable(
                f"the file of revocations cannot be written: {error.strerror}"
            ) from error

    def _append(self, text: bytes) -> None:
        """A file that somebody took away is made again: with another epoch, so nothing is lost."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        handle = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            there = os.fstat(handle)
            if there.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "it is another user's")
            if not EPOCH_BYTES <= there.st_size <= self._size_limit_bytes:
                os.ftruncate(handle, 0)
                text = _epoch(self._random_bytes) + text
            elif os.pread(handle, 1, there.st_size - 1) != b"\n":
                text = b"\n" + text  # whoever wrote before was killed within a line
            _write(handle, text)
        finally:
            os.close(handle)

    def close(self) -> None:
        """Nothing more is written."""
        self._disk.leave()


def _write(handle: int, text: bytes) -> None:
    """All of it or nothing. Raises OSError: a memory that is nearly full takes a part."""
    size = os.fstat(handle).st_size
    written = os.write(handle, text)
    if written < len(text):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _epoch(random_bytes: RandomBytes) -> bytes:
    return f"{random_bytes(8).hex()}\n".encode("ascii")
