"""Which routes stand in the table of which hosts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scopegate.envoy import route_hosts
from scopegate.envoy.route_hosts import HostTable, Place, by_host, domains
from scopegate.ir.gateway import Forward, HostMatch, Route, RouteMatch
from scopegate.ir.matching import RequestHead, takes

ACTION = Forward("c", "/", False, None, 1, 0)


def route(*hosts: str | HostMatch) -> Route:
    each = (host if isinstance(host, HostMatch) else HostMatch(host) for host in hosts)
    return Route("key", RouteMatch(hosts=tuple(each)), ACTION, "id")


def test_exact_hosts_have_tables_of_their_own():
    routes = [route("a.test"), route("*.test"), route(), route("a.test", "b.test", "*.c.test")]
    assert by_host([*routes, route("b.test"), *[route("x.test")] * 20])[:2] == [
        HostTable(("a.test",), tuple(Place(number, True) for number in range(4))),
        HostTable(("b.test",), tuple(Place(number, True) for number in range(1, 5))),
    ]
    *_, others = by_host(routes)
    assert others == HostTable((), (Place(1, False), Place(2, True), Place(3, False)))


def test_a_port_is_still_looked_at():
    (table, _) = by_host([route(HostMatch("a.test", 99)), route(HostMatch("*.test", 1), "a.test")])
    assert table == HostTable(("a.test",), (Place(0, False), Place(1, True)))


def test_hosts_with_the_same_routes_share_a_table():
    (table, _) = by_host([route("b.test", "a.test")])
    assert table.hosts == ("a.test", "b.test")


def test_there_are_never_too_many_tables():
    tables = by_host([route(f"h{number}.test") for number in range(2000)])
    assert len(tables) <= route_hosts.TABLES_LIMIT + 1
    assert all(len(table.places) <= 8 for table in tables)
    many = by_host([*(route(f"h{number}.test") for number in range(50)), *[route()] * 50])
    assert sum(len(table.places) for table in many) <= 4 * 100


names = st.sampled_from(["a.test", "b.test", "a.b.test", "*.test", "a.*", "*.b.test"])
hosts = st.builds(HostMatch, names, st.sampled_from([None, None, 1, 2]))


@given(
    tables=st.lists(st.lists(hosts, max_size=3), max_size=12),
    host=st.sampled_from(["a.test", "b.test", "a.b.test", "c.test"]),
    port=st.sampled_from(["", ":1", ":3"]),
)
def test_each_table_has_what_takes_its_hosts(tables: list[list[HostMatch]], host: str, port: str):
    routes = [route(*each) for each in tables]
    request = RequestHead("/", host=host + port, port=2)
    *own, others = by_host(routes)
    table = next((each for each in own if host in each.hosts), others)
    found = [
        place.number
        for place in table.places
        if place.host_is_known or takes(routes[place.number].match, request)
    ]
    assert found == [n for n, each in enumerate(routes) if takes(each.match, request)]


def test_envoy_is_told_every_spelling_that_it_does_not_know():
    assert list(domains(["a.test"])) == ["a.test", "a.test.", "a.test:", "a.test.:"]
