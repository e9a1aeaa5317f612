"""Every reason of the policy service itself. What codes promise: `scopegate.reason_code`."""

from __future__ import annotations

from scopegate.reason_code import ReasonCode


class PolicyReason(ReasonCode):
    """Why nobody could decide."""

    POLICY_UNUSABLE = (
        "policy_unusable",
        503,
        "The file of the policy is not there, or damaged.",
        "The line says which. The next change or restart writes it anew; look at the disk of "
        "the setting `prefix`, and at who else writes there.",
    )
    POLICY_TIMEOUT = (
        "policy_timeout",
        503,
        "There was no decision in time.",
        "Most often a slow identity provider: look at `scopegate_idp_request_seconds` and "
        "lower `timeout`. Else at the machine's load.",
    )
    UNEXPECTED_ERROR = (
        "unexpected_error",
        500,
        "A fault in Scopegate itself.",
        "The line `unexpected error while deciding` with the same request id says where: please "
        "report it.",
    )
    CONTROL_UNREACHABLE = (
        "control_unreachable",
        503,
        "The control process does not answer, and the issuer's keys are needed anew.",
        "It is being started again; if not, `process ended` in the log says why.",
    )
