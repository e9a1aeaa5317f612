"""Whether the proxy can write its access log: Envoy would refuse every listener that cannot."""

from __future__ import annotations

import os

from scopegate.app.cannot_start import CannotStart
from scopegate.app.prefix import Prefix
from scopegate.app.processes.listening import setting_label
from scopegate.app.settings.settings import Settings


def check_access_log(settings: Settings) -> None:
    """See that the file can be written, or made; it is not touched. Raises CannotStart."""
    path = settings.proxy_access_log
    if path is None or (path.parent == Prefix(settings.prefix).logs and not path.parent.exists()):
        return  # `logs` is made at the start
    wrong = None
    if path.is_dir():
        wrong = "is a folder; give a file in it"
    elif not path.parent.is_dir():
        wrong = f"the folder {path.parent} does not exist; make it"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        wrong = "may not be written by this user; change its permissions"
    if wrong is not None:
        label = setting_label(settings, "proxy_access_log")
        raise CannotStart(f"{label}: {path}: {wrong}, or set proxy_access_log = off")
