"""The proxy filter, our one HTTP filter in Envoy (`proxy_filter/`), and the two texts it reads.

Both texts have one `word value` to a line. The listener's holds the node's settings; the route
table's holds what the Admin API can change, so that a change touches no listener. Which policy
decides is in the name of a route's entry (`route_entries.py`). Text that the filter cannot read
makes Envoy refuse the resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envoy.extensions.dynamic_modules.v3.dynamic_modules_pb2 import DynamicModuleConfig
from envoy.extensions.filters.http.dynamic_modules.v3.dynamic_modules_pb2 import (
    DynamicModuleFilter,
    DynamicModuleFilterPerRoute,
)
from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import StringValue

from scopegate.envoy import names
from scopegate.envoy.messages import packed
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir


def proxy_filter(settings: EnvoySettings) -> DynamicModuleFilter:
    """The filter, as a listener names it."""
    return DynamicModuleFilter(
        dynamic_module_config=module(),
        filter_name=names.FILTER,
        filter_config=text(_node_lines(settings)),
    )


def table_config(gateway: ir.Gateway, *, dots_are_refused: bool) -> DynamicModuleFilterPerRoute:
    """What holds for all routes.

    dots_are_refused   whether a path is refused in which a segment ends in dots and more follow
    """
    return DynamicModuleFilterPerRoute(
        dynamic_module_config=module(),
        filter_config=text(_table_lines(gateway, dots_are_refused)),
    )


def _node_lines(settings: EnvoySettings) -> Iterator[str]:
    yield f"policy-cluster {names.POLICY_CLUSTER}"
    yield f"policy-socket {settings.policy_socket}"
    yield f"policy-timeout-ms {settings.policy_timeout_ms}"
    yield f"body-limit-bytes {settings.body_limit_bytes}"
    yield f"revocations {settings.revocations_path}"
    yield f"cache-entries {settings.cache_limit_entries}"
    yield f"cache-bytes {settings.cache_limit_bytes}"
    yield f"headers-limit-bytes {settings.headers_limit_kib * 1024}"
    yield f"headers-limit-count {settings.headers_limit_count}"
    if settings.debug_header:
        yield "debug-header on"
    if settings.trusted_peers is not None:
        yield "trusted-peers on"


def _table_lines(gateway: ir.Gateway, dots_are_refused: bool) -> Iterator[str]:
    for cookie in sorted(gateway.cookies):
        yield f"cookie {cookie.name} {','.join(cookie.marks)} {','.join(cookie.rest) or '-'}"
    if dots_are_refused:
        yield "refuse trailing-dots"
    if gateway.escaped_slashes == "refuse":
        yield "refuse escaped-slashes"
    if gateway.path_parameters == "refuse":
        yield "refuse path-parameters"


def module() -> DynamicModuleConfig:
    """The shared library; the filter and what happens on arrival are in one."""
    # Threads of the module may still run when the last listener with it has gone.
    return DynamicModuleConfig(name=names.MODULE, do_not_close=True)


def text(lines: Iterable[str]) -> Any:
    """A configuration of the module."""
    return packed(StringValue(value="".join(f"{line}\n" for line in lines)))
