"""The pages about settings say what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from scopegate.app.settings.kong_only import INSTEAD, NOT_YET
from scopegate.app.settings.reference import PAGES, default_conf, main
from scopegate.app.settings.settings import load_settings
from scopegate.app.settings.table import BY_NAME, SETTINGS

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("path", PAGES)
def test_the_page_in_the_repository_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == PAGES[path](), "run scripts/generate-settings-reference"


def test_every_setting_is_on_both_pages(tmp_path: Path) -> None:
    main(tmp_path)
    page = (tmp_path / "docs/reference/settings.md").read_text()
    conf = (tmp_path / "scopegate.conf.default").read_text()
    for setting in SETTINGS:
        assert f"\n### {setting.name}\n\n{setting.meaning}\n" in page
        assert f"\n#{setting.name} = {setting.default}".rstrip() in conf


def test_the_default_file_with_its_hashes_off_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "all.conf"
    lines = [
        line.removeprefix("#") if line.startswith("#") and line[1:2].isalpha() else line
        for line in default_conf().splitlines()
    ]
    path.write_text("\n".join(lines))
    uncommented = load_settings(path, {}, folder=tmp_path)
    defaults = load_settings(None, {}, folder=tmp_path)
    for name, given in uncommented.given.items():
        assert given.where.startswith("all.conf:"), f"{name} is not in the file"
        assert getattr(uncommented, name) == getattr(defaults, name)


def test_a_setting_that_works_is_not_among_those_that_do_not() -> None:
    assert not (NOT_YET | INSTEAD.keys()) & BY_NAME.keys()
