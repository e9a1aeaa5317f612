"""Compile time: from a configured plugin to its part of a policy.

Each plugin brings a `PluginCompiler` in its `lower.py`. It is pure: what it needs beyond the
entity comes in the context.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Plugin
from scopegate.ir.cache_profile import CacheProfile
from scopegate.ir.gateway import GatewayCookie
from scopegate.ir.policy import Step
from scopegate.reason_code import ReasonCode

Facts = Mapping[str, Mapping[str, Any]]
"""What was fetched (discovery documents, keys), by the key that a plugin asked for."""


_RESERVED_HEADERS = re.compile(
    r"host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive"
    r"|proxy-connection|expect|via|x-envoy-.*|x-scopegate-.*|x-kong-request-id|x-real-ip"
    r"|x-forwarded-(?:for|host|path|port|prefix|proto)"
)


def is_reserved_header(name: str) -> bool:
    """Whether the connection or the gateway itself speaks in this header, in any spelling.

    A plugin that could set it would break requests.
    """
    return _RESERVED_HEADERS.fullmatch(name.lower().replace("_", "-")) is not None


class CannotLower(Exception):
    """This configuration cannot become a step: its routes are refused with 500, others go on.

    code      the finding's code and the refusal's reason
    message   one sentence for the operator; never a secret
    """

    def __init__(self, code: ReasonCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Context:
    """What a plugin's compiler may look at beside the entity.

    facts                   everything that was fetched
    cluster_secret          the cluster's 32 random bytes, hex
    former_session_secrets  of this plugin, newest first: (secret or None for the cluster's own,
                            unix seconds of the change)
    """

    facts: Facts = field(default_factory=dict, repr=False)
    cluster_secret: str = field(default="", repr=False)
    former_session_secrets: tuple[tuple[str | None, int], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Lowered:
    """A plugin's part of a policy, and what the gateway must know about it.

    upstream_headers    names, lower case, that the step may set on the request to the upstream
    downstream_headers  names, lower case, that the step may add to the upstream's response;
                        `set-cookie` needs no mention
    cookies             the step gives these to browsers
    reads_body          the step may ask for a form or JSON body
    uses_consumers      the step looks in the consumer directory
    profile             what it reads of a request; None: no decision may be cached
    """

    step: Step
    upstream_headers: frozenset[str] = frozenset()
    downstream_headers: frozenset[str] = frozenset()
    cookies: frozenset[GatewayCookie] = frozenset()
    reads_body: bool = False
    uses_consumers: bool = False
    profile: CacheProfile | None = None
    findings: tuple[Finding, ...] = ()


class PluginCompiler(Protocol):
    """The compile-time half of a plugin."""

    def lower(self, plugin: Plugin, context: Context) -> Lowered:
        """The plugin's step. Raises CannotLower."""
        ...
