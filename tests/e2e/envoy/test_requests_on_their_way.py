"""What the upstream sees of a request, and what no client can make it see."""

from __future__ import annotations

import time

import pytest

from scopegate.ir.gateway import GatewayCookie, HostMatch, PathMatch, RouteMatch
from support.h2_client import H2Connection
from support.policy_double import allow

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITY = [
    "X-Consumer-ID",
    "X-Consumer-Username",
    "X-Consumer-Custom-ID",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Credential-Username",
    "X-Anonymous-Consumer",
    "X-Authenticated-Groups",
    "X-Authenticated-Scope",
    "X-Authenticated-Userid",
]


@pytest.mark.parametrize("protected", [False, True], ids=["open", "protected"])
async def test_identity_headers_of_a_client_never_arrive(node: Node, protected: bool):
    make = node.protected if protected else node.route
    await node.serve(make("/"))
    spellings = [
        spelling
        for name in IDENTITY
        for spelling in (
            name,
            name.lower(),
            name.replace("-", "_"),
            name.replace("-", "_", 1),
            "_".join(name.rsplit("-", 1)).upper(),
            name.replace("-", "."),
            name.replace("-", "~", 1),
        )
    ]
    forged = [(name, "forged") for name in spellings]
    assert (await node.ask("/", headers=forged)).status == 200
    values = [value for _, value in node.upstream.last.headers]
    assert "forged" not in values
    if protected:
        assert "forged" not in [value for _, value in node.policy.asked[0].headers]


async def test_headers_named_in_connection_do_not_take_ours_away(node: Node):
    await node.serve(node.protected("/"))
    node.policy.decide = lambda asked: allow(("x-consumer-id", "c1"), ("x-user", "u1"))
    named = "x-consumer-id, x-user, x-real-ip, x-kong-request-id, x-dropped"
    sent = [("Connection", named), ("X-Dropped", "1")]
    assert (await node.ask("/", headers=sent)).status == 200
    got = node.upstream.last
    assert (got.one("x-consumer-id"), got.one("x-user")) == ("c1", "u1")
    assert got.one("x-real-ip") == "127.0.0.1"
    assert got.all("x-dropped") == []


async def test_what_we_say_about_the_client_is_our_word(node: Node):
    await node.serve(node.route("/prefix", strip_path=True))
    lies = [
        ("X-Forwarded-For", "10.9.9.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Port", "1"),
        ("X-Forwarded-Path", "/evil"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Forwarded-User", "root"),
        ("X_Forwarded_Proto", "https"),
        ("X_Forwarded-For", "10.9.9.9"),
        ("X.Forwarded.For", "10.9.9.9"),
        ("Forwarded", "for=10.9.9.9"),
        ("X-Real-IP", "10.9.9.9"),
        ("X_Real_IP", "10.9.9.9"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-Kong-Request-Id", "forged"),
        ("X-Envoy-Original-Path", "/admin"),
        ("X-Envoy-Retry-On", "5xx"),
    ]
    reply = await node.ask("/prefix/x?q=1", host="Api.Example:99", headers=lies)
    got = node.upstream.last
    ours = {
        "x-forwarded-for": "10.9.9.9,127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "Api.Example",
        "x-forwarded-port": str(node.plain),
        "x-forwarded-path": "/prefix/x",
        "x-forwarded-prefix": "/prefix",
        "x-real-ip": "127.0.0.1",
        "via": "HTTP/1.1 scopegate",
        "x-kong-request-id": reply.one("x-kong-request-id"),
    }
    assert {name: got.one(name) for name in ours} == ours
    rest = {name for name, _ in got.headers} - ours.keys() - {"host", "content-length"}
    assert rest == set()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("only.test", "only.test"),
        ("Only.Test", "Only.Test"),
        ("only.test:99", "only.test"),
        ("only.test.", "only.test."),
        ("only.test:", "only.test"),
    ],
)
async def test_the_client_s_host_is_told_without_port(node: Node, sent: str, told: str):
    here = RouteMatch(hosts=(HostMatch("only.test"),), path=PathMatch("prefix", "/"))
    await node.serve(node.route(match=here), node.route("/other"))
    forged = [("X-Forwarded-Host", "evil.test")]
    assert (await node.ask("/", host=sent, headers=forged)).status == 200
    assert node.upstream.last.all("x-forwarded-host") == [told]


async def test_what_is_of_the_hop_before_ends_here(node: Node):
    await node.serve(node.route("/"))
    named = [
        ("Connection", "keep-alive, TE"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "gzip, trailers"),
    ]
    proxies = [("Proxy-Connection", "keep-alive"), ("Proxy", "http://evil.test")]
    kept = [("Authorization", "Basic YTpi"), ("Proxy-Authorization", "Basic YTpi")]
    assert (await node.ask("/", headers=[*named, *proxies, *kept])).status == 200
    got = node.upstream.last
    gone = ("connection", "keep-alive", "proxy-connection", "proxy")
    assert [name for name in gone if got.all(name)] == []
    assert got.one("te") == "trailers"
    assert [got.one(name.lower()) for name, _ in kept] == [value for _, value in kept]
    await node.ask("/", headers=[("TE", "gzip;q=0.5")])
    assert node.upstream.last.all("te") == []


async def test_other_upgrades_than_websocket_do_not_arrive(node: Node):
    await node.serve(node.route("/"))
    await node.ask("/", headers=[("Connection", "Upgrade"), ("Upgrade", "h2c")])
    await node.ask("/", headers=[("Upgrade", "websocket")])
    assert [request.all("upgrade") for request in node.upstream.received] == [[], []]


async def test_via_names_the_clients_protocol_and_us_last(node: Node):
    await node.serve(node.route("/"))
    await node.ask("/", headers=[("Via", "1.0 fred")])
    assert node.upstream.last.one("via") == "1.0 fred,HTTP/1.1 scopegate"
    await node.ask("/", version="HTTP/1.0")
    assert node.upstream.last.one("via") == "HTTP/1.0 scopegate"
    connection = await H2Connection.open(node.plain)
    await connection.ask("/")
    assert node.upstream.last.one("via") == "HTTP/2 scopegate"
    connection.close()


async def test_request_ids_are_ours_and_the_clients_own_passes(node: Node):
    await node.serve(node.route("/"))
    replies = [await node.ask("/", headers=[("X-Request-Id", "mine")]) for _ in range(3)]
    ids = [reply.one("x-kong-request-id") for reply in replies]
    assert len(set(ids)) == 3
    assert all(len(id_) == 32 and set(id_) <= set("0123456789abcdef") for id_ in ids)
    assert [request.one("x-request-id") for request in node.upstream.received] == ["mine"] * 3


async def test_the_host_is_the_services_or_the_clients(node: Node):
    await node.serve(node.route("/kept"), node.route("/made", host="svc.test:81"))
    await node.ask("/kept", host="Client.Example:8000")
    assert node.upstream.last.one("host") == "Client.Example:8000"
    await node.ask("/made", host="Client.Example:8000")
    assert node.upstream.last.one("host") == "svc.test:81"


async def test_credentials_go_on_where_nobody_asked_otherwise(node: Node):
    await node.serve(node.route("/"))
    sent = [("Authorization", "Bearer t"), ("Cookie", "a=1"), ("Proxy-Authorization", "Basic x")]
    await node.ask("/", headers=sent)
    got = node.upstream.last
    assert got.one("authorization") == "Bearer t"
    assert got.one("cookie") == "a=1"
    assert got.one("proxy-authorization") == "Basic x"


COOKIES = frozenset(
    {
        GatewayCookie("session", ("AQ-_aa",), ("session2", "session3")),
        GatewayCookie("session", ("AQbbbb",), ("session2", "session3")),
        GatewayCookie("login.one", ("AQlogi",)),
    }
)


@pytest.mark.parametrize("protected", [False, True], ids=["open", "protected"])
@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        ("session=1AQ-_aaXYZ", None),
        ("a=1; session=1AQ-_aaXYZ; b=2", "a=1; b=2"),
        ("session=1AQbbbbX;b=2", "b=2"),
        ("a=1;  session = 1AQbbbbX ", "a=1"),
        # several cookies that hold one value, in any order
        ("session3=z; a=1; session=3AQbbbbX; session2=y", "a=1"),
        ("login.one=AQlogiXYZ; a=1", "a=1"),
        # two headers of which a comma made one; a comma inside a value
        ("a=1,session=1AQbbbbX,b=2,c=3", "a=1;b=2,c=3"),
        ("a=1,2; session=1AQbbbbX", "a=1,2"),
        # twice
        ("session=1AQbbbbX; session=1AQ-_aaY; a=1", "a=1"),
        # an application's own cookie of such a name, or a name that only looks like it
        ("session=eyJhIjoxfQ.x; session2=own", "session=eyJhIjoxfQ.x; session2=own"),
        ("session=1AQccccX", "session=1AQccccX"),
        ("session=11AQbbbbX", "session=11AQbbbbX"),
        ("Session=1AQbbbbX; session4=1AQbbbbX", "Session=1AQbbbbX; session4=1AQbbbbX"),
        ("loginXone=AQlogiXYZ", "loginXone=AQlogiXYZ"),
        ("a=session=1AQbbbbX; =1AQbbbbX; session", "a=session=1AQbbbbX; =1AQbbbbX; session"),
        ("a=1;; b", "a=1;; b"),
    ],
)
async def test_cookies_that_the_gateway_sealed_stay_here_on_every_route(
    node: Node, protected: bool, sent: str, arrived: str | None
):
    make = node.protected if protected else node.route
    await node.serve(make("/"), cookies=COOKIES)
    assert (await node.ask("/", headers=[("Cookie", sent)])).status == 200
    assert node.upstream.last.one("cookie") == arrived
    if protected:
        assert node.policy.asked[0].one("cookie") == sent.strip()


async def test_more_cookies_than_a_browser_sends_go_on_only_without_a_sealed_one(node: Node):
    await node.serve(node.route("/"), cookies=COOKIES)
    many = "; ".join(f"a{number}=1" for number in range(1500))
    for cookie, arrived in ((many, many), (f"{many}; session=1AQbbbbX", None)):
        assert (await node.ask("/", headers=[("Cookie", cookie)])).status == 200
        assert node.upstream.last.one("cookie") == arrived


async def test_blanks_in_cookies_cost_no_more_than_their_number(node: Node):
    await node.serve(node.route("/"), cookies=COOKIES)

    async def spent_s(filling: str) -> float:
        many = filling * 58_000
        started_s = time.monotonic()
        for cookie in (f"session=1AQbbbb{many}x", f"a=1;{many}session{filling}=1AQbbbbX"):
            assert (await node.ask("/", headers=[("Cookie", cookie)])).status == 200
            assert filling == "x" or "AQbbbb" not in repr(node.upstream.last.headers)
        return time.monotonic() - started_s

    letters_s = await spent_s("x")
    # As much as letters; some thousand times that if every blank were tried with every other.
    assert await spent_s(" ") < 50 * letters_s


async def test_sealed_cookies_in_two_headers_stay_here(node: Node):
    await node.serve(node.route("/"), cookies=COOKIES)
    sent = [("Cookie", "a=1; session=1AQbbbbX"), ("cookie", "session2=y; b=2")]
    assert (await node.ask("/", headers=sent)).status == 200
    assert "AQbbbb" not in repr(node.upstream.last.headers)
    assert "session2" not in repr(node.upstream.last.headers)
    assert "b=2" in repr(node.upstream.last.headers)


async def test_sealed_cookies_in_pieces_of_http2_stay_here(node: Node):
    """RFC 9113 §8.2.3: a cookie a field."""
    await node.serve(node.route("/"), cookies=COOKIES)
    pieces = ["a=1", "session=2AQbbbbX", "session2=y", "login.one=AQlogiX", "b=2"]
    connection = await H2Connection.open(node.plain)
    try:
        reply = await connection.ask("/", headers=[("cookie", piece) for piece in pieces])
    finally:
        connection.close()
    assert reply.status == 200
    assert node.upstream.last.one("cookie") == "a=1; b=2"


async def test_sealed_cookies_do_not_go_on_with_an_upgrade(node: Node):
    await node.serve(node.route("/"), cookies=COOKIES)
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    connection = await node.connect()
    await connection.send("/", headers=[*upgrade, ("Cookie", "a=1; session=1AQbbbbX")])
    assert (await connection.head()).status == 101
    assert node.upstream.last.one("cookie") == "a=1"
    connection.close()


JOINS = [
    # base, path of the route, strip, request, what the upstream sees (admin-api.md §3)
    ("/", "/", False, "/", "/"),
    ("/", "/", True, "/a/b", "/a/b"),
    ("/", "/route", False, "/route/x", "/route/x"),
    ("/", "/route", True, "/route", "/"),
    ("/", "/route", True, "/route/", "/"),
    ("/", "/route", True, "/route/x", "/x"),
    ("/", "/rou", True, "/route", "/te"),
    ("/", "/route/", True, "/route/x", "/x"),
    ("/srv", "/", False, "/", "/srv"),
    ("/srv", "/", False, "/x", "/srv/x"),
    ("/srv", "/", True, "/", "/srv"),
    ("/srv", "/", True, "/x", "/srv/x"),
    ("/srv", "/route", False, "/route", "/srv/route"),
    ("/srv", "/route", True, "/route", "/srv"),
    ("/srv", "/route", True, "/route/", "/srv/"),
    ("/srv", "/route", True, "/route/x/", "/srv/x/"),
    ("/srv", "/rou", True, "/route", "/srv/te"),
    ("/srv", "/route/", True, "/route/", "/srv/"),
    ("/srv/", "/", False, "/", "/srv/"),
    ("/srv/", "/", False, "/x", "/srv/x"),
    ("/srv/", "/", True, "/", "/srv/"),
    ("/srv/", "/route", False, "/route", "/srv/route"),
    ("/srv/", "/route", True, "/route", "/srv"),
    ("/srv/", "/route", True, "/route/", "/srv/"),
    ("/srv/", "/route", True, "/route/x", "/srv/x"),
    ("/srv/", "/rou", True, "/route", "/srv/te"),
    ("/srv", None, True, "/x", "/srv/x"),
    ("/srv", None, True, "/", "/srv"),
    ("/a/b.c+d", "/route", True, "/route/x", "/a/b.c+d/x"),
    # regexes: the text that matched is stripped
    ("/", r"~/r\d+", True, "/r12/x", "/x"),
    ("/", r"~/r\d+", True, "/r12", "/"),
    ("/srv", r"~/r\d+", True, "/r12", "/srv"),
    ("/srv", r"~/r\d+", True, "/r12x", "/srv/x"),
    ("/srv", r"~/r\d+/?", True, "/r12/", "/srv/"),
    ("/srv/", r"~/r\d+/?", True, "/r12/", "/srv/"),
    ("/srv/", r"~/r\d+", True, "/r12", "/srv"),
    ("/srv", r"~/[0]?", True, "/", "/srv"),
    ("/srv/", r"~/[0]?", True, "/", "/srv/"),
    ("/srv", r"~/r\d+", False, "/r12/x", "/srv/r12/x"),
    # the query goes on as it is, an empty one too
    ("/srv", "/route", True, "/route?a=/route&b=%2F", "/srv?a=/route&b=%2F"),
    ("/srv", "/route", True, "/route/x?", "/srv/x?"),
    ("/srv", "/route", False, "/route?", "/srv/route?"),
    # encoded characters in the route's path
    ("/srv", "/caf%C3%A9", True, "/caf%c3%a9/x", "/srv/x"),
    ("/srv", "/a%20b", True, "/a%20b", "/srv"),
]


@pytest.mark.parametrize(("base", "path", "strip", "request_", "seen"), JOINS)
async def test_paths_are_joined_as_kong_does(node: Node, base, path, strip, request_, seen):
    if path is None:
        match = RouteMatch()
    elif path.startswith("~"):
        match = RouteMatch(path=PathMatch("regex", path[1:]))
    else:
        match = RouteMatch(path=PathMatch("prefix", path))
    await node.serve(node.route(match=match, base_path=base, strip_path=strip))
    assert (await node.ask(request_)).status == 200
    assert node.upstream.last.target == seen
