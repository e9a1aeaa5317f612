"""Looking whether a database would serve, without touching it."""

from __future__ import annotations

import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from scopegate.store.protocol import StoreMisconfigured
from scopegate.store.sqlite import check_sqlite, open_sqlite


async def made(path: Path) -> None:
    store = await open_sqlite(path, random_bytes=secrets.token_bytes, now_s=time.time)
    await store.close()


async def test_one_of_ours_and_none_at_all_will_do(tmp_path: Path) -> None:
    path = tmp_path / "a b?.db"
    check_sqlite(path)
    assert list(tmp_path.iterdir()) == []
    await made(path)
    before = path.read_bytes()
    check_sqlite(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


async def test_one_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    await made(path)
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()
    with pytest.raises(StoreMisconfigured, match=r"x\.db: was written by a newer version"):
        check_sqlite(path)


async def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("a letter to somebody, which must not be lost")
    with pytest.raises(StoreMisconfigured, match="name another file, or restore a backup"):
        check_sqlite(path)
    with pytest.raises(StoreMisconfigured, match="name another file, or restore a backup"):
        await made(path)
    assert path.read_text().startswith("a letter")
    with pytest.raises(StoreMisconfigured, match="is not a file"):
        check_sqlite(tmp_path)
    with pytest.raises(StoreMisconfigured, match="does not exist; create it"):
        check_sqlite(tmp_path / "none" / "x.db")
