"""Puts the proxy filter's shared library into the wheel; hatchling calls it (pyproject.toml).

A source distribution has no library, and a checkout may have none yet: cargo builds it then.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ModuleBuildHook(BuildHookInterface[Any]):
    """Builds the library for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say which machines the wheel is for."""
        script = Path(self.root) / "scripts" / "build-module"
        built = subprocess.run(["/bin/sh", str(script)], check=False)  # noqa: S603 (our own script)
        if built.returncode:
            sys.exit(built.returncode)  # what is wrong was said; pip adds that it failed
        # No other Python is ruled out, but other machines are. It is no manylinux wheel: it wants
        # the C library of the machine that built it, or a newer one.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
