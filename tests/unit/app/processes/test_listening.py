"""Listening sockets, and what is said when one cannot be had."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopegate.app.cannot_start import CannotStart
from scopegate.app.prefix import Prefix
from scopegate.app.processes.listening import (
    close_sockets,
    open_sockets,
    open_tcp,
    open_unix,
    probe_tcp,
)
from scopegate.app.settings.settings import load_settings
from scopegate.app.settings.values import ListenAddress
from support.ports import free_port


@pytest.fixture
def taken() -> Iterator[ListenAddress]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield ListenAddress("127.0.0.1", server.getsockname()[1])


def test_a_taken_port_names_the_setting_and_the_port(taken: ListenAddress) -> None:
    for attempt in (open_tcp, probe_tcp):
        with pytest.raises(CannotStart) as caught:
            attempt(taken, "admin_listen")
        assert caught.value.lines == (
            f"admin_listen: 127.0.0.1:{taken.port} is taken by another program; end that one or"
            " give another port",
        )


def test_a_port_that_another_program_would_share_counts_as_taken() -> None:
    with socket.socket() as sharing:
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(("127.0.0.1", 0))
        sharing.listen()
        with pytest.raises(CannotStart, match="is taken"):
            probe_tcp(ListenAddress("127.0.0.1", sharing.getsockname()[1]), "proxy_listen")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1:8001 is no address of this machine"):
        open_tcp(ListenAddress("192.0.2.1", 8001), "admin_listen")


def test_probing_leaves_the_port_free() -> None:
    address = ListenAddress("127.0.0.1", free_port())
    probe_tcp(address, "proxy_listen")
    open_tcp(address, "proxy_listen").close()


def test_a_connection_waits_in_the_queue_until_somebody_serves() -> None:
    address = ListenAddress("127.0.0.1", free_port())
    listening = open_tcp(address, "admin_listen")
    with listening, socket.create_connection((address.host, address.port), timeout=1) as client:
        client.sendall(b"hello")
        listening.setblocking(True)
        served, _ = listening.accept()
        with served:
            assert served.recv(5) == b"hello"


def test_a_socket_left_by_an_earlier_run_is_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "policy.sock"
    open_unix(path).close()
    assert path.exists()
    with open_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert path.stat().st_mode & 0o777 == 0o600


def test_all_sockets_are_opened_or_none(tmp_path: Path, taken: ListenAddress) -> None:
    prefix = Prefix(tmp_path)
    prefix.prepare()
    admin, status = free_port(), free_port()
    settings = load_settings(
        None,
        {
            "SCOPEGATE_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "SCOPEGATE_STATUS_LISTEN": f"127.0.0.1:{taken.port}",
        },
        folder=tmp_path,
    )
    with pytest.raises(CannotStart, match="status_listen"):
        open_sockets(settings, prefix)
    settings = load_settings(
        None,
        {
            "SCOPEGATE_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "SCOPEGATE_STATUS_LISTEN": f"127.0.0.1:{status}",
        },
        folder=tmp_path,
    )
    sockets = open_sockets(settings, prefix)
    try:
        assert {name: len(group) for name, group in sockets.items()} == {
            "admin": 1,
            "status": 1,
            "policy": 1,
            "control": 1,
        }
    finally:
        close_sockets(sockets)
