"""docs/adr/README.md names every decision."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "adr"


def test_every_decision_is_in_the_list_by_its_title_and_numbers_are_used_once() -> None:
    pages = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
    lines: list[str] = []
    for number, page in enumerate(pages, start=1):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert page.name.startswith(f"{number:04}-"), page.name
        assert title.startswith(f"{number}. "), page.name
        lines.append(f"- [{title}]({page.name})")
    index = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in index if line.startswith("- ")] == lines
