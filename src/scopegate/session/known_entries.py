"""What a worker has read of the shared state, good while nobody has written there since.

To ask the file costs a change of threads, and a session is looked up at every request. So what was
read stays in memory, and is an answer only while the head of the WAL index stands where it stood
before the reading (ADR 36). When it has moved, one reading tells which keys were written since:
triggers keep the last of them in the table `change`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scopegate.session.wal_index import WalIndex

BELIEVED_S = 1.0
"""How long nothing is asked at all: then the thread looks, if only to see that the disk answers."""
ENTRIES_LIMIT = 20_000
_VALUE_LIMIT_BYTES = 64

_Entry = tuple[bytes, float] | None
"""Value and the end of its time; None: there is none."""

CREATE = (
    "CREATE TABLE IF NOT EXISTS change (seq INTEGER PRIMARY KEY, key TEXT NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS entry_inserted AFTER INSERT ON entry"
    " BEGIN INSERT INTO change (key) VALUES (NEW.key); END",
    "CREATE TRIGGER IF NOT EXISTS entry_updated AFTER UPDATE ON entry"
    " BEGIN INSERT INTO change (key) VALUES (NEW.key); END",
    # A thousand stay: numbers rise for ever, and who looks more rarely than that forgets all.
    "CREATE TRIGGER IF NOT EXISTS change_inserted AFTER INSERT ON change"
    " BEGIN DELETE FROM change WHERE seq <= NEW.seq - 1000; END",
)
"""Behind the table `entry`. What is deleted there had expired: no change."""
_LAST = "SELECT coalesce(max(seq), 0) FROM change"
_SINCE = "SELECT seq, key FROM change WHERE seq > ? ORDER BY seq"
_GET = "SELECT value, expires_at_s FROM entry WHERE key = ?"


@dataclass(frozen=True, slots=True)
class Look:
    """One reading.

    head      the index before it; None: nothing of this may be kept
    seq       the last change that it knows
    written   keys that were written since the look before; None: nobody can say, forget all
    """

    head: bytes | None
    seq: int
    written: Sequence[str] | None
    entries: Mapping[str, _Entry]


class KnownEntries:
    """Of one connection. `look` is for the thread that reads, all else for the event loop."""

    def __init__(self, index: WalIndex | None) -> None:
        """Without an index every question is for the file."""
        self._index = index
        self._entries: dict[str, _Entry] = {}
        self._head = b""
        self._seq: int | None = None
        self._believed_until_s = 0.0

    def look(self, connection: sqlite3.Connection, keys: Sequence[str]) -> Look:
        """Read these keys, and what was written since the look that was taken last."""
        # First: whatever is committed from now on moves the index away from this.
        index = self._index
        head = index.head() if index is not None else None
        since, written = self._seq, None
        if since is None:
            (seq,) = connection.execute(_LAST).fetchone()
        else:
            rows = connection.execute(_SINCE, (since,)).fetchall()
            seq = rows[-1][0] if rows else since
            if not rows or rows[0][0] == since + 1:
                written = [key for _, key in rows]
        entries: dict[str, _Entry] = {}
        for key in keys:
            row = connection.execute(_GET, (key,)).fetchone()
            entries[key] = (bytes(row[0]), row[1]) if row else None
        return Look(head, seq, written, entries)

    def take(self, look: Look) -> None:
        """Know what was read; forget what was written since."""
        if look.head is None or (self._seq is not None and look.seq < self._seq):
            return  # of two looks the later one was taken first: this one is no news
        if look.written is None or len(self._entries) > ENTRIES_LIMIT:
            self._entries.clear()
        for key in look.written or ():
            self._entries.pop(key, None)
        for key, entry in look.entries.items():
            if entry is None or len(entry[0]) <= _VALUE_LIMIT_BYTES:
                self._entries[key] = entry
        self._head, self._seq = look.head, look.seq
        self._believed_until_s = time.monotonic() + BELIEVED_S

    def get(self, keys: Sequence[str]) -> Mapping[str, _Entry] | None:
        """What is known of these keys; None: ask the file."""
        index = self._index
        if index is None or time.monotonic() >= self._believed_until_s:
            return None
        try:
            found = {key: self._entries[key] for key in keys}
        except KeyError:
            return None
        # Last: it is as if the file had been read in this moment.
        return found if index.stands_at(self._head) else None

    def close(self) -> None:
        """Nothing is known any more. After the connection."""
        index, self._index = self._index, None
        if index is not None:
            index.close()
