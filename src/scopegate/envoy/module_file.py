"""The proxy filter's shared library (`proxy_filter/`): where it is, and whether it fits.

Envoy's interface for such modules is stable within one version of Envoy only, and Envoy loads a
module of another version with no more than a warning. So the file says what it was built for, and
that is read before Envoy runs.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scopegate
from scopegate.envoy import names

ENVOY_VERSION = "1.40.0"
"""The one version of Envoy that Scopegate runs; `pyproject.toml` has it, too."""

MODULE_FILE = Path(__file__).with_name("_module") / f"lib{names.MODULE}.so"
"""Where `scripts/build-module` and the wheel put it."""

_BUILD = re.compile(rb"scopegate-filter-build scopegate=([^ ;]+) envoy=([^ ;]+);")
_SOURCES = Path(__file__).parents[3] / "proxy_filter" / "Cargo.toml"
_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"


class ModuleUnfit(Exception):
    """The module is missing or is not the one of this release; says what to do."""


def module_environment() -> Mapping[str, str]:
    """The variables by which Envoy finds the module."""
    return {"ENVOY_DYNAMIC_MODULES_SEARCH_PATH": str(MODULE_FILE.parent)}


def check_module_file() -> None:
    """Whether the file was built for this release and for its Envoy. Raises ModuleUnfit.

    Nothing of it is run.
    """
    file = MODULE_FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise ModuleUnfit(f"{file} is missing; {how_to_get_it()}") from None
    except OSError as error:
        raise ModuleUnfit(f"{file} cannot be read: {os.strerror(error.errno or 0)}") from None
    get_anew = how_to_get_it(remove=True)
    build = _BUILD.search(content)
    if build is None or not _is_whole_library(content):
        raise ModuleUnfit(f"{file} is not Scopegate's filter, or is damaged; {get_anew}")
    release, envoy = (part.decode(errors="replace") for part in build.groups())
    if release != scopegate.__version__:
        raise ModuleUnfit(
            f"{file} is for Scopegate {release}, this is {scopegate.__version__}; {get_anew}"
        )
    if envoy != ENVOY_VERSION:
        raise ModuleUnfit(
            f"{file} is for Envoy {envoy}, this release needs {ENVOY_VERSION}; {get_anew}"
        )


def how_to_get_it(*, remove: bool = False, build: bool = False) -> str:
    """What the operator does for the right file, in a checkout or with an installed package.

    remove   there is a wrong one; make leaves it as it is where it is newer than the sources
    build    a wheel's is of no use here; only one that is built on this machine is
    """
    if _SOURCES.exists():
        return f"{'remove it and ' * remove}run `make setup` in {_SOURCES.parents[1]}"
    options = "--force-reinstall --no-deps" + " --no-binary scopegate" * build
    release = f"pip install {options} scopegate=={scopegate.__version__}"
    return f"build it here (cargo is needed): {release}" if build else f"install it anew: {release}"


def loading_bootstrap() -> dict[str, Any]:
    """A configuration with which Envoy loads the module, as JSON-shaped data; for validation."""
    text = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": ""}
    route_table = {
        "name": "none",
        "typed_per_filter_config": {
            names.FILTER: {
                "@type": f"{_EXTENSIONS}.http.dynamic_modules.v3.DynamicModuleFilterPerRoute",
                "dynamic_module_config": {"name": names.MODULE, "do_not_close": True},
                "filter_config": text,
            }
        },
    }
    router = {
        "name": names.ROUTER,
        "typed_config": {"@type": f"{_EXTENSIONS}.http.router.v3.Router"},
    }
    manager = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "none",
        "route_config": route_table,
        "http_filters": [router],
    }
    listener = {
        "name": "none",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


def _is_whole_library(content: bytes) -> bool:
    """Whether this is a 64-bit ELF file for this byte order with nothing cut off.

    The table of sections comes last in the file (ELF-64: e_shoff, e_shentsize, e_shnum).
    """
    order = 1 if sys.byteorder == "little" else 2
    if content[:6] != b"\x7fELF\x02" + bytes([order]) or len(content) < 64:
        return False
    offset = int.from_bytes(content[40:48], sys.byteorder)
    entry_bytes = int.from_bytes(content[58:60], sys.byteorder)
    entries = int.from_bytes(content[60:62], sys.byteorder)
    return offset > 0 and offset + entries * entry_bytes <= len(content)
