"""Every reason of this package. What codes promise: `scopegate.reason_code`."""

from __future__ import annotations

from scopegate.reason_code import ReasonCode


class ControlFinding(ReasonCode):
    """What keeps the configuration from the proxy."""

    CONFIG_REJECTED = (
        "config_rejected",
        (),
        "The proxy refuses the configuration, and keeps the last good one: no change goes live.",
        "The finding names the route; mend or delete it.",
    )
