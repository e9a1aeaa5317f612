"""The file that brings the last good configuration over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from scopegate.app.control.last_good import LastGood
from scopegate.envoy.resources import Resource, Resources


@pytest.fixture
def resources() -> Resources:
    return Resources(
        clusters={"a": Resource.of(Cluster(name="a")), "b": Resource.of(Cluster(name="b"))},
        routes={"t": Resource.of(RouteConfiguration(name="t"))},
    )


def test_what_is_kept_is_there_for_the_next_until_it_is_forgotten(
    tmp_path: Path, resources: Resources
) -> None:
    path = tmp_path / "last-good"
    assert LastGood(path).load() is None
    LastGood(path).keep(resources)
    assert path.stat().st_mode & 0o777 == 0o600
    after = LastGood(path)
    assert after.load() == resources
    after.forget()
    assert list(tmp_path.iterdir()) == []


def test_it_is_written_once(tmp_path: Path, resources: Resources) -> None:
    path = tmp_path / "last-good"
    last_good = LastGood(path)
    last_good.keep(resources)
    path.write_bytes(b"")
    last_good.keep(resources)
    assert path.read_bytes() == b""
    last_good.keep(Resources())
    assert LastGood(path).load() == Resources()


def test_a_file_that_cannot_be_read_or_written_ends_nothing(
    tmp_path: Path, resources: Resources
) -> None:
    path = tmp_path / "last-good"
    path.write_bytes(b"\xff\xff\xff")
    assert LastGood(path).load() is None
    nowhere = LastGood(tmp_path / "none" / "last-good")
    nowhere.keep(resources)
    nowhere.forget()


def test_a_damaged_file_is_forgotten_too_and_one_that_stays_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "last-good"
    path.write_bytes(b"\xff\xff\xff")
    damaged = LastGood(path)
    assert damaged.load() is None
    damaged.forget()
    assert not path.exists()
    path.mkdir()  # what cannot be unlinked
    with structlog.testing.capture_logs() as logged:
        damaged.forget()
    assert [line["event"] for line in logged] == ["last good configuration not removed"]
