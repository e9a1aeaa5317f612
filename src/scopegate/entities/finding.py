"""What an operator should know about the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scopegate.reason_code import ReasonCode


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend or to be aware of.

    level     "error": something does not work as configured; "warning": it works, look at it
    kind, id  the entity it is about ("services", "routes", "plugins", "consumers"), if it is
    message   one sentence; never a secret
    """

    level: Literal["warning", "error"]
    code: ReasonCode
    message: str
    kind: str | None = None
    id: str | None = None
