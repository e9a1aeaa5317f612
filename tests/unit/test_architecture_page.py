"""docs/architecture.md names folders and files that there are."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
ROOT = DOCS.parent
SOURCE = ROOT / "src" / "scopegate"


def test_where_something_is_said_to_be_there_is_a_file() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("## Where is …?")[2].partition("\n## ")[0]
    table = section.partition("|---|---|")[2]
    paths = re.findall(r"`([a-z_/]+/[a-z_]*(?:\.[a-z]+)?)`", table)
    assert len(paths) > 30
    folders = {path: ROOT if path.startswith("proxy_filter/") else SOURCE for path in paths}
    assert [path for path, folder in folders.items() if not (folder / path).exists()] == []
    assert [
        name for name in re.findall(r"\]\(([^)]+)\)", table) if not (DOCS / name).exists()
    ] == []
