"""Headers up to the upstream and down to the client. Source: contract openid-connect.md §8.

Which headers this plugin may set, and what is in them. All of them are first taken out of what the
client sent, in any spelling and also where none is set: `stripping.py`. What no client may send at
all is taken away earlier: `envoy/arrival.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scopegate.plugins.access import Header, LogLine
from scopegate.plugins.openid_connect.bearer import header_name
from scopegate.plugins.openid_connect.identity import Identity, look_up
from scopegate.plugins.openid_connect.reasons import AsideReason

# Set by Kong's authentication plugins; nobody else may (envoy/arrival.py sees to it).
IDENTITY_HEADERS = frozenset(
    {
        "x-consumer-id",
        "x-consumer-username",
        "x-consumer-custom-id",
        "x-consumer-groups",
        "x-credential-identifier",
        "x-credential-username",
        "x-anonymous-consumer",
        "x-authenticated-groups",
        "x-authenticated-scope",
        "x-authenticated-userid",
    }
)

_CONTROLS = bytes([*range(0x20), 0x7F])

FindKey = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class TokenHeader:
    """`name` or `name:bearer`; the second puts `Bearer ` in front of the value."""

    name: str
    bearer: bool

    @classmethod
    def parse(cls, text: str | None) -> TokenHeader | None:
        if not text:
            return None
        name, _, kind = text.partition(":")
        return cls(header_name(name), kind.lower() == "bearer")

    def header(self, value: str) -> Header:
        return (self.name, f"Bearer {value}" if self.bearer else value)


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """The headers of one direction, `upstream` or `downstream`."""

    access_token: TokenHeader | None
    access_token_jwk: TokenHeader | None
    id_token: TokenHeader | None
    id_token_jwk: TokenHeader | None
    refresh_token: TokenHeader | None
    session_id: TokenHeader | None
    claims: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], direction: str) -> HeaderRules:
        def token(name: str) -> TokenHeader | None:
            return TokenHeader.parse(config[f"{direction}_{name}_header"])

        pairs = zip(
            config[f"{direction}_headers_names"] or (),
            config[f"{direction}_headers_claims"] or (),
            strict=True,
        )
        claims = [(header_name(name), (claim,)) for name, claim in pairs]
        claims += [
            (header_name(entry["header"]), tuple(entry["path"]))
            for entry in config[f"{direction}_headers"] or ()
        ]
        return cls(
            access_token=token("access_token"),
            access_token_jwk=token("access_token_jwk"),
            id_token=token("id_token"),
            id_token_jwk=token("id_token_jwk"),
            refresh_token=token("refresh_token"),
            session_id=token("session_id"),
            claims=tuple(claims),
        )

    @property
    def names(self) -> frozenset[str]:
        """Every name that these rules may set."""
        tokens = (
            self.access_token,
            self.access_token_jwk,
            self.id_token,
            self.id_token_jwk,
            self.refresh_token,
            self.session_id,
        )
        return frozenset(token.name for token in tokens if token) | {
            name for name, _ in self.claims
        }

    @property
    def names_nothing(self) -> bool:
        """Whether these rules never set a header; cheaper than `names`."""
        return not self.claims and not (
            self.access_token
            or self.access_token_jwk
            or self.id_token
            or self.id_token_jwk
            or self.refresh_token
            or self.session_id
        )

    @property
    def wants_keys(self) -> bool:
        """Whether a `*_jwk` header is configured."""
        return self.access_token_jwk is not None or self.id_token_jwk is not None

    def build(self, identity: Identity, find_key: FindKey) -> tuple[list[Header], list[LogLine]]:
        """The headers for this identity, and what had to be dropped. A name twice: the last wins.

        `find_key` gives the public JWK that verified a token, for the `*_jwk` headers.
        """
        if self.names_nothing:
            return [], []
        headers: list[Header] = []
        put = headers.append
        tokens = (
            (self.access_token, identity.access_token),
            (self.id_token, identity.id_token),
            (self.refresh_token, identity.refresh_token),
            (self.session_id, identity.session.id if identity.session else None),
        )
        for rule, value in tokens:
            if rule and value:
                put(rule.header(value))
        keys = (
            (self.access_token_jwk, identity.access_token if identity.access_claims else None),
            (self.id_token_jwk, identity.id_token),
        )
        for rule, signed in keys:
            jwk = find_key(signed) if rule and signed else None
            if rule and jwk:
                put(rule.header(_encoded(jwk)))
        for name, path in self.claims:
            found = look_up(identity.for_headers(), path)
            if found is not None:
                put((name, found if isinstance(found, str) else _encoded(found)))
        kept, dropped = sendable(headers)
        return list(dict(kept).items()), dropped


def sendable(headers: Iterable[Header]) -> tuple[list[Header], list[LogLine]]:
    """The headers that can be sent, and a line for each that cannot.

    A control character in a claim would end the header and begin one of the claim's own choice.
    Blanks at its ends are no part of a header's value (RFC 9110 §5.5): ` root` would arrive as
    `root`.
    """
    kept: list[Header] = []
    dropped: list[LogLine] = []
    for name, value in headers:
        if is_sendable(value):
            kept.append((name, value))
        else:
            dropped.append(dropped_line("header", name))
    return kept, dropped


def dropped_line(what: str, name: str) -> LogLine:
    """What the log says of a `header` that cannot be sent, or of a `group` in one."""
    fields = {"reason": AsideReason.HEADER_VALUE_UNSAFE, "header": name}
    return LogLine("warning", f"[openid-connect] {what} dropped", fields)


def is_sendable(value: str) -> bool:
    """Whether a header arrives with just this value. Unicode's blanks count: some servers strip."""
    # In UTF-8 a control character is one byte, and no other character has it. Tokens are long.
    octets = value.encode("utf-8", "surrogatepass")
    is_plain = len(octets.translate(None, _CONTROLS)) == len(octets)
    return is_plain and value == value.strip()


def _encoded(value: Any) -> str:
    """Base64 of JSON, as Kong sends everything that is no string."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(text.encode()).decode("ascii")


def session_header(item: str) -> str:
    """`id` → `session-id`, as lua-resty-session names them."""
    return f"session-{item}"
