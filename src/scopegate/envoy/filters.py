"""The HTTP filters that put a request to the policy service, do what it answered, and keep cookies
of the gateway here; and the one before them that remembers what was answered.

ECDS hands them out, so that a change of the header names that policies may set changes filters
and not listeners. On routes without a policy those that ask are switched off by name; a route that
says nothing is asked about.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from importlib.resources import files

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.backoff_pb2 import BackoffStrategy
from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, RetryPolicy
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.http_uri_pb2 import HttpUri
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import (
    AuthorizationRequest,
    AuthorizationResponse,
    BufferSettings,
    ExtAuthz,
    HttpService,
)
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation as HeaderMutationFilter,
)
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutationPerRoute,
    Mutations,
)
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute
from envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from scopegate.envoy import names
from scopegate.envoy.answers import set_header
from scopegate.envoy.conditional import (
    answer_header_is_absent,
    header_is,
    header_is_not,
    header_lacks,
    unless,
)
from scopegate.envoy.messages import duration, packed
from scopegate.envoy.route_matches import regex
from scopegate.envoy.settings import EnvoySettings
from scopegate.envoy.spellings import no_other_spellings
from scopegate.ir import policy_dialogue as dialogue
from scopegate.ir.gateway import GatewayCookie, PolicyNames
from scopegate.ir.replay import GRANT, GRANTED

ASKING = (names.SPELLINGS, names.REMEMBER, names.ASK, names.ASK_BODY, names.APPLY)
"""What works for policies, in order; routes without one switch it off."""

ASK_RETRIES = 3
"""A worker that died is replaced by another on the same socket: asked again, at once."""


def _other_than(beginnings: Collection[str]) -> str:
    """A pattern for names that begin with none of these: RE2 cannot say `not`."""
    options = [f"[^{''.join(sorted({text[0] for text in beginnings}))}].*", ""]
    for first in sorted({text[0] for text in beginnings}):
        rests = [text[1:] for text in beginnings if text[0] == first]
        if "" not in rests:
            options.append(first + _other_than(rests))
    return f"(?:{'|'.join(options)})"


# Headers of an answer for the client.
_NOT_OURS = "(?i)" + _other_than(("x-scopegate-", "x-envoy-"))

# What Envoy itself put among the client's headers.
_NOT_THE_CLIENTS = (
    *(names.PROTOCOL, names.SNI, dialogue.DECIDED),
    *("x-envoy-external-address", "x-forwarded-path", "x-forwarded-port", "x-forwarded-proto"),
)


_SUBSTITUTIONS = {
    dialogue.POLICY: f"%METADATA(ROUTE:{names.METADATA}:policy)%",
    dialogue.ROUTE: "%ROUTE_NAME%",
    dialogue.CLIENT_IP: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    dialogue.SCHEME: "%REQ(:SCHEME)%",
    dialogue.REQUEST_ID: f"%REQ({names.REQUEST_ID})%",
}


def extensions(policies: PolicyNames, settings: EnvoySettings) -> list[TypedExtensionConfig]:
    """The filters that ECDS hands out, by name."""
    head = _ask(policies, settings, dialogue.HEAD_PHASE)
    body = _ask(policies, settings, dialogue.BODY_PHASE)
    body.filter_enabled_metadata.CopyFrom(_is_wanted_with_body())
    body.with_request_body.CopyFrom(
        BufferSettings(max_request_bytes=settings.body_limit_bytes, allow_partial_message=True)
    )
    apply = Lua(
        default_source_code=DataSource(inline_string=_source("apply.lua")),
        # The route stays the one that was decided about: what the answer changes (POST becomes
        # GET, a header goes) would otherwise make Envoy choose anew, past the other one's policy.
        clear_route_cache=BoolValue(value=False),
    )
    cookies = Lua(
        default_source_code=DataSource(
            inline_string=_lua_table(policies.cookies) + _source("cookies.lua")
        ),
        clear_route_cache=BoolValue(value=False),
    )
    remember = Lua(
        default_source_code=DataSource(
            inline_string=_replay_limits(settings) + _source("remember.lua")
        ),
        clear_route_cache=BoolValue(value=False),
    )
    filters = {
        names.SPELLINGS: no_other_spellings(policies.guarded_headers),
        names.REMEMBER: unless(_has_no_grant(), remember),
        names.ASK: unless(_is_plain_yes(), head),
        names.ASK_BODY: body,
        names.APPLY: unless(_is_plain_yes(), apply),
        names.COOKIES: unless(_has_no_mark(policies.cookies), cookies),
    }
    return [
        TypedExtensionConfig(name=name, typed_config=packed(each)) for name, each in filters.items()
    ]


def extension_types() -> Mapping[str, str]:
    """Type URLs of these filters by name, in the order in which they run."""
    authz = ExtAuthz.DESCRIPTOR.full_name
    conditional = ExtensionWithMatcher.DESCRIPTOR.full_name
    kinds = {
        names.SPELLINGS: HeaderMutationFilter.DESCRIPTOR.full_name,
        names.REMEMBER: conditional,
        names.ASK: conditional,
        names.ASK_BODY: authz,
        names.APPLY: conditional,
        names.COOKIES: conditional,
    }
    return {name: f"type.googleapis.com/{kind}" for name, kind in kinds.items()}


def unasked() -> Mapping[str, Any]:
    """What a route without a policy says to the filters, by their names."""
    return dict.fromkeys(ASKING, switched_off())


def switched_off() -> Any:
    """What a route, or all, may say of a filter that they do not need: it is not even made."""
    return packed(FilterConfig(disabled=True))


def _is_plain_yes() -> Message:
    """Decided, by the policy service or by what was remembered, and nothing is left to apply."""
    return header_is(dialogue.DECIDED, dialogue.YES)


def _has_no_grant() -> Message:
    """Nothing of this answer is to be remembered: its headers need no look at."""
    return answer_header_is_absent(GRANTED)


def _has_no_mark(cookies: Iterable[GatewayCookie]) -> Message | None:
    """No cookie of the request can be one that the gateway sealed."""
    return header_lacks("cookie", sorted({mark for each in cookies for mark in each.marks}))


def _replay_limits(settings: EnvoySettings) -> str:
    """What stands before remember.lua."""
    return (
        f"local REVOCATIONS = {json.dumps(settings.revocations_path)}\n"
        f"local ENTRIES_LIMIT = {settings.replay_limit_entries}\n"
        f"local BYTES_LIMIT = {settings.replay_limit_bytes}\n\n"
    )


def _source(name: str) -> str:
    """A script, to be interpreted (ADR 41)."""
    text = files("scopegate.envoy").joinpath(name).read_text(encoding="utf-8")
    return f"jit.off()\n\n{text}"


def _lua_table(cookies: Iterable[GatewayCookie]) -> str:
    """`COOKIES` of cookies.lua; names and marks are tokens, so nothing in them needs escaping."""
    marks: dict[str, set[str]] = {}
    rest: dict[str, set[str]] = {}
    for cookie in cookies:
        marks.setdefault(cookie.name, set()).update(cookie.marks)
        rest.setdefault(cookie.name, set()).update(cookie.rest)
    lines = (
        f'  ["{name}"] = {{ marks = {_lua_list(marks[name])}, rest = {_lua_list(rest[name])} }},\n'
        for name in sorted(marks)
    )
    return f"local COOKIES = {{\n{''.join(lines)}}}\n\n"


def _lua_list(texts: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{text}"' for text in sorted(texts)) + " }"


def where_wanted() -> Mapping[str, Message]:
    """Filters by name that are switched off, but where an entry or a virtual host wants one."""
    return {names.HOST: Config(), names.TRAILERS: HeaderMutationFilter()}


def host_without_port() -> Any:
    """What wants the host without its port, where headers can be made of it."""
    key_value = Config.KeyValuePair(
        metadata_namespace=names.METADATA,
        key="host",
        regex_value_rewrite=RegexMatchAndSubstitute(pattern=regex(":[0-9]*$"), substitution=""),
    )
    rules = [Config.Rule(header=":authority", on_header_present=key_value)]
    return packed(FilterConfig(config=packed(Config(request_rules=rules))))


def no_trailers() -> Any:
    """What wants no trailers of requests, which an upstream may take for headers of ours.

    Nobody has looked at them (RFC 9110 §6.5.1 lets us). gRPC's trailers are those of answers.
    """
    every = HeaderMutation.RemoveOnMatch(key_matcher=StringMatcher(safe_regex=regex(".*")))
    mutations = Mutations(request_trailers_mutations=[HeaderMutation(remove_on_match=every)])
    return packed(FilterConfig(config=packed(HeaderMutationPerRoute(mutations=mutations))))


def debug_headers() -> ExtensionWithMatcher:
    """Tells the route that took a request, in every answer to one that asks for it.

    Source: Kong's allow_debug_header. What a route does not have is left out.
    """
    told = {
        "Kong-Route-Id": "route_id",
        "Kong-Route-Name": "route_name",
        "Kong-Service-Id": "service_id",
        "Kong-Service-Name": "service_name",
    }
    headers = HeaderMutationFilter(
        mutations=Mutations(
            response_mutations=[
                HeaderMutation(
                    append=set_header(name, f"%METADATA(ROUTE:{names.METADATA}:{what})%")
                )
                for name, what in told.items()
            ]
        )
    )
    return unless(header_is_not("kong-debug", "1"), headers)


def _is_wanted_with_body() -> MetadataMatcher:
    """The first question was answered, and another is wanted. To look at a note costs less than to
    pass a filter over by a header."""
    return MetadataMatcher(
        filter=names.ANSWERS,
        path=[MetadataMatcher.PathSegment(key=dialogue.DECIDED)],
        value=ValueMatcher(string_match=StringMatcher(exact=dialogue.WITH_BODY)),
    )


def _ask(policies: PolicyNames, settings: EnvoySettings, phase: str) -> ExtAuthz:
    """A question. What nobody has asked is not decided, and goes no further than `apply.lua`."""
    to_upstream = [*sorted(policies.upstream_headers), dialogue.DECIDED, *dialogue.APPLIED]
    to_client = sorted(policies.downstream_headers | {"cache-control", "set-cookie", GRANTED})
    added = _SUBSTITUTIONS | {dialogue.PHASE: phase}
    return ExtAuthz(
        stat_prefix=phase,
        status_on_error=HttpStatus(code=503),
        allowed_headers=ListStringMatcher(patterns=[StringMatcher(safe_regex=regex(".*"))]),
        disallowed_headers=_exactly(_NOT_THE_CLIENTS),
        http_service=HttpService(
            server_uri=HttpUri(
                uri="http://policy",
                cluster=names.POLICY_CLUSTER,
                timeout=duration(settings.policy_timeout_ms),
            ),
            retry_policy=RetryPolicy(
                retry_on="connect-failure,refused-stream,reset",
                num_retries=UInt32Value(value=ASK_RETRIES),
                # Envoy takes max_interval for the timeout of each try, too (seen in 1.40).
                retry_back_off=BackoffStrategy(
                    base_interval=duration(5), max_interval=duration(settings.policy_timeout_ms)
                ),
            ),
            authorization_request=AuthorizationRequest(
                headers_to_add=[HeaderValue(key=key, value=added[key]) for key in sorted(added)]
            ),
            authorization_response=AuthorizationResponse(
                # Names, never a pattern: that would let the answer's own framing through.
                allowed_upstream_headers=_exactly(to_upstream),
                allowed_client_headers=ListStringMatcher(
                    patterns=[StringMatcher(safe_regex=regex(_NOT_OURS))]
                ),
                allowed_client_headers_on_success=_exactly(to_client),
                dynamic_metadata_from_headers=_exactly([dialogue.DECIDED, GRANT]),
            ),
        ),
    )


def _exactly(texts: Iterable[str]) -> ListStringMatcher:
    return ListStringMatcher(
        patterns=[StringMatcher(exact=text, ignore_case=True) for text in texts]
    )
