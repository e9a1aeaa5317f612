"""docs/operations.md speaks of lines that the log has."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_line_that_the_page_explains_is_logged_somewhere() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## The log")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([a-z ]+)` \|", table, flags=re.MULTILINE)
    assert len(lines) > 5
    files = [
        *(ROOT / "src" / "scopegate").rglob("*.py"),
        *(ROOT / "proxy_filter" / "src").rglob("*.rs"),
    ]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert [line for line in lines if f'"{line}"' not in source] == []
