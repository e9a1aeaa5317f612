"""The conversation with one Envoy, without a network."""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from google.rpc.status_pb2 import Status

from scopegate.envoy.ads_stream import AdsStream
from scopegate.envoy.resources import CLUSTERS, ROUTES, Resource, ResourceSet


def clusters(**ports: int) -> ResourceSet:
    return {
        name: Resource.of(Cluster(name=name, connect_timeout={"seconds": port}))
        for name, port in ports.items()
    }


def routes(*names: str) -> ResourceSet:
    return {name: Resource.of(RouteConfiguration(name=name)) for name in names}


def subscribe(stream: AdsStream, kind: str = CLUSTERS, *names: str, **held: str) -> None:
    stream.receive(
        DeltaDiscoveryRequest(
            type_url=kind, resource_names_subscribe=names, initial_resource_versions=held
        )
    )


def answer(stream: AdsStream, response, error: str | None = None) -> None:
    request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
    if error is not None:
        request.error_detail.CopyFrom(Status(code=3, message=error))
    stream.receive(request)


def sent(response) -> tuple[set[str], set[str]]:
    return {resource.name for resource in response.resources}, set(response.removed_resources)


def test_nothing_is_sent_to_who_did_not_ask():
    stream = AdsStream()
    assert stream.response(CLUSTERS, clusters(a=1)) is None
    assert not stream.accepted(CLUSTERS, clusters(a=1))


def test_who_asks_gets_everything_once_and_is_believed_when_he_says_yes():
    stream, target = AdsStream(), clusters(a=1, b=2)
    subscribe(stream)
    response = stream.response(CLUSTERS, target)
    assert sent(response) == ({"a", "b"}, set())
    assert stream.response(CLUSTERS, target) is None, "one question at a time"
    assert not stream.accepted(CLUSTERS, target)
    answer(stream, response)
    assert stream.accepted(CLUSTERS, target)
    assert stream.response(CLUSTERS, target) is None


def test_a_first_time_envoy_is_answered_even_with_nothing():
    stream = AdsStream()
    subscribe(stream)
    response = stream.response(CLUSTERS, {})
    assert sent(response) == (set(), set())
    answer(stream, response)
    assert stream.response(CLUSTERS, {}) is None


def test_only_what_changed_is_sent():
    stream = AdsStream()
    subscribe(stream)
    answer(stream, stream.response(CLUSTERS, clusters(a=1, b=2)))
    assert sent(stream.response(CLUSTERS, clusters(a=1, b=3, c=4))) == ({"b", "c"}, set())


def test_what_is_kept_is_not_taken_away_until_it_may_go():
    stream = AdsStream()
    subscribe(stream)
    answer(stream, stream.response(CLUSTERS, clusters(a=1, b=2)))
    target = clusters(b=2)
    assert stream.response(CLUSTERS, target, keep={"a"}) is None
    assert stream.accepted(CLUSTERS, target)
    response = stream.response(CLUSTERS, target)
    assert sent(response) == (set(), {"a"})
    answer(stream, response)
    assert stream.held(CLUSTERS) == {"b"}


def test_who_comes_back_gets_only_what_he_lacks():
    target = clusters(a=1, b=2)
    stream = AdsStream()
    subscribe(stream, CLUSTERS, a=target["a"].version, b="older", gone="1")
    response = stream.response(CLUSTERS, target, keep={"gone"})
    assert sent(response) == ({"b"}, set())
    answer(stream, response)
    assert stream.accepted(CLUSTERS, target)
    assert stream.held(CLUSTERS) == {"a", "b", "gone"}


def test_a_no_is_told_and_not_repeated_until_asked_to():
    stream, bad = AdsStream(), clusters(a=1)
    subscribe(stream)
    answer(stream, stream.response(CLUSTERS, bad), error="no such thing")
    assert stream.fault(CLUSTERS, bad) == "no such thing"
    assert not stream.accepted(CLUSTERS, bad)
    assert stream.response(CLUSTERS, bad) is None
    assert stream.fault(CLUSTERS, clusters(a=2)) is None
    stream.forget_refusals()
    assert sent(stream.response(CLUSTERS, bad)) == ({"a"}, set())


def test_an_answer_to_an_older_question_decides_nothing():
    stream = AdsStream()
    subscribe(stream)
    first = stream.response(CLUSTERS, clusters(a=1))
    answer(stream, first)
    target = clusters(a=2)
    stream.response(CLUSTERS, target)
    answer(stream, first)
    assert not stream.accepted(CLUSTERS, target)


def test_routes_are_sent_by_name():
    stream, target = AdsStream(), routes("one", "two")
    subscribe(stream, ROUTES, "one")
    response = stream.response(ROUTES, target)
    assert sent(response) == ({"one"}, set())
    answer(stream, response)
    assert stream.accepted(ROUTES, target)
    subscribe(stream, ROUTES, "two")
    assert not stream.accepted(ROUTES, target)
    assert sent(stream.response(ROUTES, target)) == ({"two"}, set())


def test_who_asks_for_a_name_again_is_sent_it_again():
    stream, target = AdsStream(), routes("one")
    subscribe(stream, ROUTES, "one")
    answer(stream, stream.response(ROUTES, target))
    stream.receive(DeltaDiscoveryRequest(type_url=ROUTES, resource_names_unsubscribe=["one"]))
    subscribe(stream, ROUTES, "one")
    assert sent(stream.response(ROUTES, target)) == ({"one"}, set())


def test_after_a_no_all_of_the_response_is_sent_again():
    """Envoy may have taken a part of it."""
    stream = AdsStream()
    subscribe(stream, CLUSTERS, "*")
    good = clusters(a=1, b=1)
    answer(stream, stream.response(CLUSTERS, good))
    answer(stream, stream.response(CLUSTERS, clusters(a=2, b=2)), "b is wrong")
    back = stream.response(CLUSTERS, good)
    assert sent(back) == ({"a", "b"}, set())
    answer(stream, back)
    assert stream.accepted(CLUSTERS, good)


def test_what_is_good_and_came_with_what_was_refused_is_offered_again():
    stream = AdsStream()
    subscribe(stream, CLUSTERS, "*")
    answer(stream, stream.response(CLUSTERS, clusters(a=1, b=2)), "b is wrong")
    good = clusters(a=1, b=1)
    stream.forget_refusals()
    back = stream.response(CLUSTERS, good)
    assert sent(back) == ({"a", "b"}, set())
    answer(stream, back)
    assert stream.accepted(CLUSTERS, good)
