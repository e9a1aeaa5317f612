"""Reasons that any plugin may give. What codes promise: `scopegate.reason_code`."""

from __future__ import annotations

from scopegate.reason_code import ReasonCode


class StepReason(ReasonCode):
    """What a step says that has nothing particular to say."""

    ALLOWED = "allowed", (), "The request may pass: everything that is required is there.", ""
