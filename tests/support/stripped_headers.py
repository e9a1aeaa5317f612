"""Headers of clients that are taken away on arrival, as one regular expression.

`proxy_filter/src/arrival.rs` is held against it.
"""

# Servers that hand headers on as variables (CGI and its kin) take `_` for `-`, some of them every
# character that is no letter and no digit.
SEPARATOR = "[^a-z0-9]"
# What a client must never say: our own words, Envoy's orders to itself, identities, where the
# request came from (X-Forwarded-For alone stays, our word is appended to it), another path than
# the one that was decided about. `-` stands for any separator.
# Source: contract openid-connect.md §7, §22 (1).
_NAMES = "|".join(
    (
        "scopegate-.*",
        "envoy-.*",
        "consumer-(?:id|username|custom-id|groups)",
        "credential-(?:identifier|username)",
        "anonymous-consumer",
        "authenticated-(?:groups|scope|userid)",
        "forwarded-(?:[^f].*|f(?:[^o].*)?|fo(?:[^r].*)?|for.+)",
        "real-ip",
        "original-url|rewrite-url",
    )
)
# Every header of every request is held against this: most differ in their first character.
STRIPPED_HEADERS = "|".join(
    (
        f"x-(?:{_NAMES})".replace("-", SEPARATOR),
        # In its own spelling it is ours by then.
        "x[^a-z0-9-]kong[^a-z0-9]request[^a-z0-9]id",
        "x-kong(?:[^a-z0-9-]request[^a-z0-9]|-request[^a-z0-9-])id",
        "x[^a-z0-9-]forwarded[^a-z0-9]for|x-forwarded[^a-z0-9-]for",
        "forwarded",
    )
)
