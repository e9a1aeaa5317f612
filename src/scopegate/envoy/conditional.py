"""Filters that are passed over by requests that do not need them: cheaper than to be asked."""

from __future__ import annotations

from collections.abc import Collection

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2 import SkipFilter
from envoy.type.matcher.v3.http_inputs_pb2 import (
    HttpRequestHeaderMatchInput,
    HttpResponseHeaderMatchInput,
)
from google.protobuf.message import Message
from xds.core.v3.extension_pb2 import TypedExtensionConfig as XdsExtension
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.regex_pb2 import RegexMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher as XdsStringMatcher

from scopegate.envoy.messages import packed


def header_is(name: str, value: str) -> Message:
    """A header with this value, once."""
    return _text(HttpRequestHeaderMatchInput(header_name=name), XdsStringMatcher(exact=value))


def header_is_not(name: str, value: str) -> Message:
    """A header that says something else, or is absent."""
    return _not(header_is(name, value))


def answer_header_is_absent(name: str) -> Message:
    """No such header in the answer. The request is never passed over, it comes before that is
    known."""
    return _not(_fits(HttpResponseHeaderMatchInput(header_name=name), ".*"))


def _text(where: Message, wanted: XdsStringMatcher) -> Message:
    predicate = Matcher.MatcherList.Predicate
    found: Message = predicate(
        single_predicate=predicate.SinglePredicate(
            input=XdsExtension(name="header", typed_config=packed(where)), value_match=wanted
        )
    )
    return found


def header_fits(name: str, pattern: str) -> Message:
    """A header whose whole value matches (RE2); one that is absent does not."""
    return _fits(HttpRequestHeaderMatchInput(header_name=name), pattern)


def _fits(where: Message, pattern: str) -> Message:
    regex = RegexMatcher(regex=pattern, google_re2=RegexMatcher.GoogleRE2())
    return _text(where, XdsStringMatcher(safe_regex=regex))


def _not(condition: Message) -> Message:
    other: Message = Matcher.MatcherList.Predicate(not_matcher=condition)
    return other


def all_of(*conditions: Message) -> Message:
    """Every one of them; two at least."""
    predicate = Matcher.MatcherList.Predicate
    result: Message = predicate(and_matcher=predicate.PredicateList(predicate=conditions))
    return result


def header_lacks(name: str, texts: Collection[str]) -> Message | None:
    """A header that holds none of these, or is absent; None: every request's does."""
    predicate = Matcher.MatcherList.Predicate
    where = HttpRequestHeaderMatchInput(header_name=name)
    found = [_text(where, XdsStringMatcher(contains=text)) for text in texts]
    if not found:
        return None
    some = found[0]
    if len(found) > 1:
        some = predicate(or_matcher=predicate.PredicateList(predicate=found))
    return _not(some)


def unless(condition: Message | None, filter_config: Message) -> ExtensionWithMatcher:
    """The filter for all requests but those; None: for none."""
    skip = Matcher.OnMatch(action=XdsExtension(name="skip", typed_config=packed(SkipFilter())))
    matcher = Matcher(on_no_match=skip)
    if condition is not None:
        field = Matcher.MatcherList.FieldMatcher(predicate=condition, on_match=skip)
        matcher = Matcher(matcher_list=Matcher.MatcherList(matchers=[field]))
    return ExtensionWithMatcher(
        xds_matcher=matcher,
        extension_config=TypedExtensionConfig(name="filter", typed_config=packed(filter_config)),
    )
