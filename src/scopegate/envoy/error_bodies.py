"""The body of an answer of Envoy's own, in the format that the request's Accept wants.

The shapes are Kong's, the page is our own. Nothing of the request is echoed but its id, which is
ours. Source: admin-api.md §3 (after matching), RFC 9110 §12.5.1.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, HeaderFilter
from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from scopegate.envoy import names
from scopegate.envoy.route_matches import regex

REQUEST_ID = f"%REQ({names.REQUEST_ID})%"
MESSAGE, MARKUP = "message", "markup"
"""Metadata of a route that answers by itself; the second only where the first needs escaping."""

_LIGHTER = "[^,]*;[ \t]*q=0[^,]*"
_PARAMETER = "[ \t]*;[ \t]*(?:q=1|q[^=,;]|[^q,; \t])[^,;]*"
_HTML = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>{message}</title>
  </head>
  <body>
    <h1>{message}</h1>
    <p>Request id: {request_id}</p>
  </body>
</html>
"""
_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<error>
  <message>{message}</message>
  <requestid>{request_id}</requestid>
</error>
"""
_PLAIN = "{message}\nrequest_id: {request_id}\n"


@dataclass(frozen=True, slots=True)
class Format:
    """A format besides JSON. `media` is RE2 for the ranges that ask for it."""

    media: str
    content_type: str
    template: str
    is_markup: bool

    def is_wanted(self) -> AccessLogFilter:
        """Whether the first range that Accept weighs with 1, or the only one, is of this format."""
        some = f"[ \t]*(?:{self.media})"
        first = f"(?:{_LIGHTER},)*{some}(?:{_PARAMETER})*[ \t]*(?:,.*)?"
        alone = rf"{some}[^,]*;[ \t]*q=0\.[0-9]*[1-9][^,]*"
        wanted = StringMatcher(safe_regex=regex(f"(?i)(?:{first}|{alone})"))
        return AccessLogFilter(
            header_filter=HeaderFilter(header=HeaderMatcher(name="accept", string_match=wanted))
        )

    def body(self, message: str, request_id: str = REQUEST_ID) -> SubstitutionFormatString:
        """It with this text."""
        text = html.escape(message, quote=False) if self.is_markup else message
        return self._filled(text.replace("%", "%%"), request_id)

    def body_of_route(self) -> SubstitutionFormatString:
        """It with the message of the route that answers."""
        keys = (MARKUP, MESSAGE) if self.is_markup else (MESSAGE,)
        operators = [
            {"command": "METADATA", "param": f"ROUTE:{names.METADATA}:{key}"} for key in keys
        ]
        return self._filled(f"%COALESCE({json.dumps({'operators': operators})})%", REQUEST_ID)

    def _filled(self, message: str, request_id: str) -> SubstitutionFormatString:
        text = self.template.format(message=message, request_id=request_id)
        return _formatted(text, self.content_type)


FORMATS = (
    Format(r"text/html|application/xhtml\+xml", "text/html; charset=utf-8", _HTML, is_markup=True),
    Format("application/xml", "application/xml; charset=utf-8", _XML, is_markup=True),
    Format(r"text/plain|text/\*", "text/plain; charset=utf-8", _PLAIN, is_markup=False),
)
"""Whoever wants none of these gets JSON."""


def json_body(
    message: str, reason: str | None = None, request_id: str = REQUEST_ID
) -> SubstitutionFormatString:
    """Kong's JSON, with a reason code, or where Envoy finds it, beside it if given."""
    lines = [f'  "message":{json.dumps(message)}'.replace("%", "%%")]
    if reason:
        lines.append(f'  "reason":"{reason}"')
    lines.append(f'  "request_id":"{request_id}"')
    return _formatted("{\n" + ",\n".join(lines) + "\n}", "application/json; charset=utf-8")


def route_texts(message: str) -> dict[str, str]:
    """What a route that answers by itself says in its metadata, for `body_of_route`."""
    markup = html.escape(message, quote=False)
    return {MESSAGE: message} | ({MARKUP: markup} if markup != message else {})


def _formatted(text: str, content_type: str) -> SubstitutionFormatString:
    return SubstitutionFormatString(
        text_format_source=DataSource(inline_string=text), content_type=content_type
    )
