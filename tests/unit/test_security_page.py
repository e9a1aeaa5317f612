"""The pages of security name tests that exist, docs/security.md some for each point."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_BUILT = {9, 15}


def sections() -> dict[int, str]:
    """Text by the number of its heading."""
    page = (ROOT / "docs" / "security.md").read_text()
    parts = re.split(r"^## (?:(\d+)\. )?.*$", page, flags=re.MULTILINE)
    return {
        int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True) if number
    }


def named_tests(text: str) -> Iterator[tuple[str, str]]:
    """File and function; `::name` alone is in the file that was named last."""
    file = ""
    for named, function in re.findall(r"`([\w/.]*)::(\w+)`", text):
        file = named or file
        yield file, function


def source_of(file: str) -> str:
    """The text of a file of tests: the proxy filter's are named from the root of the repository."""
    folder = ROOT if file.startswith("proxy_filter/") else ROOT / "tests"
    return (folder / file).read_text()


def test_every_point_has_a_test_or_says_that_it_is_not_built() -> None:
    found = sections()
    assert set(found) == set(range(1, 16))
    for number, text in found.items():
        assert bool(list(named_tests(text))) is (number not in NOT_BUILT), number
        assert text.strip().startswith("Not built yet") is (number in NOT_BUILT), number


@pytest.mark.parametrize("name", ["security.md", "cached-decisions.md", "security-reviewers.md"])
def test_every_test_that_is_named_exists(name: str) -> None:
    page = (ROOT / "docs" / name).read_text()
    missing = [
        f"{file}::{function}"
        for file, function in named_tests(page)
        if not re.search(rf"(def|fn) {function}\(", source_of(file))
    ]
    assert missing == []
    assert list(named_tests(page))
