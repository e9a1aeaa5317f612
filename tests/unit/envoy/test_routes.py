"""The route table as bytes: what a memo may not change, and what it saves."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from xds.type.matcher.v3.matcher_pb2 import Matcher

from scopegate.envoy import routes, wire
from scopegate.envoy.routes import RouteTable, TableMemo, route_table
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Forward, Gateway, HostMatch, PathMatch, Route, RouteMatch

SETTINGS = EnvoySettings()


def route(number: int, cluster: str = "c", host: str | None = None, path: str = "") -> Route:
    match = RouteMatch(
        hosts=(HostMatch(host),) if host else (), path=PathMatch("prefix", path or f"/r{number}")
    )
    return Route(f"key-{number}", match, Forward(cluster, "/", True, None, 1, 0), f"id-{number}")


tables = st.lists(
    st.builds(
        route,
        st.integers(0, 6),
        st.sampled_from(["c", "d"]),
        st.sampled_from([None, "a.test", "b.test"]),
        st.sampled_from(["", "/x/y"]),
    ),
    unique_by=lambda each: each.key,
    max_size=6,
)


@given(changes=st.lists(tables, min_size=1, max_size=4))
def test_a_memo_changes_no_byte(changes: list[list[Route]]):
    memo = TableMemo()
    for each in changes:
        gateway = Gateway(routes=tuple(each))
        with_memo, without = route_table(gateway, SETTINGS, memo), route_table(gateway, SETTINGS)
        assert with_memo.content.value == without.content.value
        assert with_memo.digest == without.digest


def test_what_did_not_change_is_not_made_again(monkeypatch):
    made: list[str] = []
    entries = routes.entries
    monkeypatch.setattr(
        routes, "entries", lambda route, around: made.append(route.key) or entries(route, around)
    )
    memo = TableMemo()
    table = [route(number, host=f"h{number % 3}.test") for number in range(9)]
    first = route_table(Gateway(routes=tuple(table)), SETTINGS, memo)
    assert len(made) == 9
    table[4] = replace(table[4], route_name="new")
    second = route_table(Gateway(routes=tuple(table)), SETTINGS, memo)
    assert made[9:] == ["key-4"]
    assert first.digest != second.digest
    assert memo.routes.keys() == {each.key for each in table}


def test_the_content_is_a_message_that_can_be_read():
    table: RouteTable = route_table(Gateway(routes=(route(1, host="a.test"), route(2))), SETTINGS)
    hosts = {host.name: host for host in table.message().virtual_hosts}
    assert set(hosts) == {"a.test", "all"}
    assert hosts["all"].matcher.matcher_tree.prefix_match_map.map.keys() == {"/r2"}


@given(number=st.integers(0, 2**40), content=st.binary(max_size=300))
def test_fields_are_written_as_protobuf_does(number: int, content: bytes):
    value, place = 0, 0
    for place, byte in enumerate(wire.varint(number)):
        value |= (byte & 0x7F) << 7 * place
    assert value == number
    name = content.hex()
    message = wire.field(Matcher.MatcherTree, "exact_match_map", b"")
    assert Matcher.MatcherTree.FromString(message).HasField("exact_match_map")
    read = Matcher.FromString(wire.field(Matcher, "on_no_match", b""))
    assert read.HasField("on_no_match")
    assert wire.numbered(1, name.encode())[-len(name) or None :] == name.encode() or not name
