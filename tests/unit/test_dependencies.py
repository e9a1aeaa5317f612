"""What src imports, pyproject.toml names: nothing comes along by the grace of a third party."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = {"scopegate", "scopegate_demo"}


def imported() -> set[str]:
    """Top-level modules that src imports, without the standard library and our own."""
    names: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - OURS


def declared() -> set[str]:
    """Distributions in pyproject.toml, spelt as PEP 503 says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = (re.split(r"[\[<>=~! ]", each)[0] for each in project["dependencies"])
    return {spelt(name) for name in names}


def spelt(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_that_is_imported_is_declared() -> None:
    providers = metadata.packages_distributions()
    known = declared()
    missing = {
        module: providers.get(module)
        for module in imported()
        if known.isdisjoint(map(spelt, providers.get(module, ())))
    }
    assert missing == {}
