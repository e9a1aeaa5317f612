"""The head of SQLite's WAL index, by which a reader learns that nobody has written since.

The index is the file `…-shm`, which all connections map into memory. Its head is two copies of 48
bytes; a commit writes both, with a counter and checksums of the log, before it returns. SQLite
itself takes what it holds in its page cache for good while the head stands still, and so may we.
Source: https://sqlite.org/walformat.html §2.1.

SQLite's locks on that file are the process's, and go when the process closes any descriptor of it
(fcntl, POSIX). So all states of a process share one descriptor of a file, and it is closed only
after the last of their connections.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from pathlib import Path

HEAD_BYTES = 96
_COPY_BYTES = HEAD_BYTES // 2
_VERSION = struct.pack("=I", 3007000)
_IS_INIT_AT = 12


class WalIndex:
    """The mapped head. Opened while a connection to the database is open, closed after it."""

    def __init__(self, database: Path) -> None:
        """Raises OSError and ValueError where it cannot be mapped."""
        self._shared = _Shared.of(Path(f"{database}-shm"))
        self._mapped = self._shared.mapped

    def head(self) -> bytes | None:
        """What stands there now; None where it says nothing: a writer is at work on it, it is of a
        version that we do not know, or it was closed."""
        try:
            head = self._mapped[:HEAD_BYTES]
        except ValueError:
            return None
        is_whole = head[:_COPY_BYTES] == head[_COPY_BYTES:] and head[_IS_INIT_AT] == 1
        return head if is_whole and head.startswith(_VERSION) else None

    def stands_at(self, head: bytes) -> bool:
        """Whether nothing was committed since `head` was read."""
        try:
            return self._mapped[:HEAD_BYTES] == head
        except ValueError:
            return False

    def close(self) -> None:
        """Once, after the connection."""
        self._shared.let_go()


class _Shared:
    """One file of this process, however many use it."""

    _lock = threading.Lock()
    _by_file: dict[tuple[int, int], _Shared] = {}

    def __init__(self, descriptor: int, mapped: mmap.mmap, file: tuple[int, int]) -> None:
        self.mapped = mapped
        self._descriptor = descriptor
        self._file = file
        self._users = 0

    @classmethod
    def of(cls, path: Path) -> _Shared:
        with cls._lock:
            status = path.stat()
            shared = cls._by_file.get((status.st_dev, status.st_ino))
            if shared is None:
                shared = cls._opened(path)
            shared._users += 1
            return shared

    @classmethod
    def _opened(cls, path: Path) -> _Shared:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        status = os.fstat(descriptor)
        mapped = mmap.mmap(descriptor, HEAD_BYTES, access=mmap.ACCESS_READ)
        shared = cls(descriptor, mapped, (status.st_dev, status.st_ino))
        cls._by_file[shared._file] = shared
        return shared

    def let_go(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                del self._by_file[self._file]
                self.mapped.close()
                os.close(self._descriptor)
