"""From plugins to policies: each configured plugin is lowered once, each chain becomes a policy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scopegate.compile.plugin_choice import chain
from scopegate.compile.reasons import CompileFinding, CompileReason
from scopegate.entities.common_fields import HEADER_NAME_LIMIT
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Plugin, Route, Snapshot
from scopegate.ir.cache_profile import CacheProfile
from scopegate.ir.gateway import ConsumerDirectory, GatewayCookie
from scopegate.ir.policy import Policy
from scopegate.plugins.built import BuiltPlugin
from scopegate.plugins.lowering import (
    CannotLower,
    Context,
    Facts,
    Lowered,
    is_reserved_header,
)

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Policies:
    """The plugins of a snapshot, lowered.

    made_of     the snapshot and the facts that they come from
    priorities  by plugin name
    lowered     by plugin id: the step, or why there is none
    directory   the consumers, for policies that look somebody up
    """

    made_of: tuple[Snapshot, Facts]
    plugins: tuple[Plugin, ...]
    priorities: Mapping[str, int]
    lowered: Mapping[str, Lowered | CannotLower]
    directory: ConsumerDirectory
    _by_target: dict[str | None, list[Plugin]] = field(default_factory=dict, compare=False)
    _known: dict[tuple[str, ...], Policy] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for plugin in self.plugins:
            target = plugin.route_id or plugin.service_id
            self._by_target.setdefault(target, []).append(plugin)

    def of(self, route: Route) -> Policy | CannotLower | None:
        """What decides about a route: a policy, nothing, or why it must be refused.

        The same object for all routes with the same plugins.
        """
        targets = dict.fromkeys((None, route.service_id, route.id))
        candidates = [one for target in targets for one in self._by_target.get(target, ())]
        if not candidates:
            return None
        steps: dict[str, Lowered] = {}
        for plugin in chain(route, candidates, self.priorities):
            lowered = self.lowered[plugin.id]
            if isinstance(lowered, CannotLower):
                return lowered
            steps[plugin.id] = lowered
        if not steps:
            return None
        key = tuple(steps)
        if key not in self._known:
            self._known[key] = self._policy(list(steps.values()))
        return self._known[key]

    def _policy(self, steps: Sequence[Lowered]) -> Policy:
        return Policy(
            steps=tuple(lowered.step for lowered in steps),
            reads_body=any(lowered.reads_body for lowered in steps),
            consumers=self.directory.id if any(low.uses_consumers for low in steps) else None,
            profile=_joined(low.profile for low in steps),
        )

    @property
    def cookies(self) -> frozenset[GatewayCookie]:
        """What every step gives to browsers."""
        good = (low for low in self.lowered.values() if isinstance(low, Lowered))
        return frozenset(cookie for low in good for cookie in low.cookies)

    def findings(self) -> Iterable[Finding]:
        """What could not be lowered, and what the plugins' own compilers have to say."""
        for plugin_id, lowered in self.lowered.items():
            if isinstance(lowered, Lowered):
                yield from lowered.findings
            else:
                yield Finding("error", lowered.code, lowered.message, "plugins", plugin_id)
        yield from self._overlapping_cookies()

    def _overlapping_cookies(self) -> Iterable[Finding]:
        """Where a browser has both cookies, who writes the one expires or misreads the other."""
        cookies = [
            (plugin_id, cookie)
            for plugin_id, low in self.lowered.items()
            if isinstance(low, Lowered)
            for cookie in sorted(low.cookies, key=lambda cookie: cookie.name)
        ]
        long = {piece: (id_, cookie.name) for id_, cookie in cookies for piece in cookie.rest}
        for plugin_id, cookie in cookies:
            if cookie.name in long:
                other_id, other = long[cookie.name]
                message = (
                    f"its cookie '{cookie.name}' is also the name of a piece of the session cookie "
                    f"'{other}' of plugin {other_id}: in a browser that has both they damage each "
                    "other"
                )
                code = CompileFinding.SESSION_COOKIES_OVERLAP
                yield Finding("warning", code, message, "plugins", plugin_id)


def lower_plugins(
    snapshot: Snapshot,
    facts: Facts,
    built: Iterable[BuiltPlugin],
    former: Policies | None = None,
) -> Policies:
    """Lower every enabled plugin of the snapshot.

    former   what came of an earlier snapshot with the same `built`: what it says of plugins that
             did not change is taken over, and all of it when none did
    """
    if former is not None and _rests_on_the_same(former, snapshot, facts):
        return former
    rows = {row.name: row for row in built}
    plugins = tuple(plugin for plugin in snapshot.plugins.values() if plugin.enabled)
    return Policies(
        made_of=(snapshot, facts),
        plugins=plugins,
        priorities={name: row.type.priority for name, row in rows.items()},
        lowered={
            plugin.id: _former(plugin, snapshot, facts, former)
            or _lower(plugin, snapshot, facts, rows.get(plugin.name))
            for plugin in plugins
        },
        directory=_directory(snapshot, former),
    )


def _rests_on_the_same(former: Policies, snapshot: Snapshot, facts: Facts) -> bool:
    before, facts_before = former.made_of
    return (
        before.plugins is snapshot.plugins
        and before.consumers is snapshot.consumers
        and before.former_session_secrets is snapshot.former_session_secrets
        and before.cluster_secret == snapshot.cluster_secret
        and facts_before == facts
    )


def _former(
    plugin: Plugin, snapshot: Snapshot, facts: Facts, former: Policies | None
) -> Lowered | CannotLower | None:
    """What was made of it before, if it and everything that it may look at is the same."""
    if former is None:
        return None
    before, facts_before = former.made_of
    same = (
        before.plugins.get(plugin.id) is plugin
        and before.cluster_secret == snapshot.cluster_secret
        and before.former_session_secrets.get(plugin.id)
        == snapshot.former_session_secrets.get(plugin.id)
        and facts_before == facts
    )
    return former.lowered.get(plugin.id) if same else None


def _directory(snapshot: Snapshot, former: Policies | None) -> ConsumerDirectory:
    if former is not None and former.made_of[0].consumers is snapshot.consumers:
        return former.directory
    return ConsumerDirectory.of(
        {"id": consumer.id, "username": consumer.username, "custom_id": consumer.custom_id}
        for consumer in snapshot.consumers.values()
    )


def _lower(
    plugin: Plugin, snapshot: Snapshot, facts: Facts, built: BuiltPlugin | None
) -> Lowered | CannotLower:
    if built is None:
        return CannotLower(
            CompileReason.PLUGIN_UNKNOWN, f"plugin '{plugin.name}' is not part of this version"
        )
    if plugin.consumer_id is not None:
        return CannotLower(
            CompileReason.CONSUMER_SCOPE_UNSUPPORTED, "plugins per consumer do not work yet"
        )
    context = Context(
        facts=facts,
        cluster_secret=snapshot.cluster_secret,
        former_session_secrets=snapshot.former_session_secrets.get(plugin.id, ()),
    )
    try:
        lowered = built.compiler.lower(plugin, context)
    except CannotLower as error:
        return error
    except Exception as error:  # noqa: BLE001 (one plugin's defect must not take down the others)
        # The text of an unforeseen error may quote the configuration, which holds secrets.
        return CannotLower(
            CompileReason.PLUGIN_DEFECT, f"its compiler failed with {type(error).__name__}"
        )
    for name in lowered.profile.headers if lowered.profile else ():
        if len(name) > HEADER_NAME_LIMIT:
            return CannotLower(
                CompileReason.HEADER_NAME_RESERVED,
                f"a header name of more than {HEADER_NAME_LIMIT} characters: '{name[:40]}…'",
            )
    for name in sorted(lowered.upstream_headers | lowered.downstream_headers):
        if not _HEADER_NAME.fullmatch(name) or is_reserved_header(name):
            return CannotLower(
                CompileReason.HEADER_NAME_RESERVED, f"a header named '{name}' cannot be set"
            )
    return lowered


def _joined(profiles: Iterable[CacheProfile | None]) -> CacheProfile | None:
    """What all steps look at; None when one of them cannot say it."""
    joined = CacheProfile()
    for profile in profiles:
        if profile is None:
            return None
        joined = joined.joined(profile)
    return joined
