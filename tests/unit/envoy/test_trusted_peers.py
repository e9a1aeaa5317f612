"""What a listener and the route table look like where load balancers are trusted."""

from __future__ import annotations

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener as EnvoyListener
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.http.original_ip_detection.custom_header.v3.custom_header_pb2 import (
    CustomHeaderConfig,
)

from scopegate.envoy import names
from scopegate.envoy.arrival import arrival_lines
from scopegate.envoy.listeners import envoy_listener
from scopegate.envoy.routes import route_table
from scopegate.envoy.settings import EnvoySettings, TrustedPeers
from scopegate.ir.gateway import Gateway, Listener, TlsIdentity

TRUSTED = TrustedPeers(("10.0.0.0/8", "2001:db8::/32"), "x-forwarded-for", recursive=True)
PLAIN = Listener("http", "127.0.0.1", 8000)
TLS = Listener("https", "127.0.0.1", 8443, TlsIdentity("/c.pem", "/k.pem"), proxy_protocol=True)
PREAMBLE = "envoy.filters.listener.proxy_protocol"


def listener(made: Listener, trusted: TrustedPeers | None) -> EnvoyListener:
    return envoy_listener(made, EnvoySettings(trusted_peers=trusted))


def manager(made: Listener, trusted: TrustedPeers | None) -> hcm.HttpConnectionManager:
    result = hcm.HttpConnectionManager()
    assert listener(made, trusted).filter_chains[0].filters[0].typed_config.Unpack(result)
    return result


def test_arrival_is_told_who_is_trusted():
    assert list(arrival_lines(PLAIN, None)) == ["port 8000"]
    assert list(arrival_lines(TLS, TRUSTED)) == [
        "port 8443",
        "tls on",
        "trusted 10.0.0.0/8",
        "trusted 2001:db8::/32",
        "real-ip-header x-forwarded-for",
        "real-ip-recursive on",
    ]
    last_counts = TrustedPeers(("10.0.0.0/8",))
    assert list(arrival_lines(PLAIN, last_counts))[-1] == "real-ip-header x-real-ip"


def test_without_trusted_peers_the_connection_says_everything():
    made = manager(PLAIN, None)
    assert made.use_remote_address.value
    assert made.scheme_header_transformation.scheme_to_overwrite == "http"
    assert not made.original_ip_detection_extensions


def test_with_trusted_peers_arrival_says_it_or_nobody_does():
    made = manager(TLS, TRUSTED)
    assert not made.use_remote_address.value
    assert not made.HasField("scheme_header_transformation")
    (detection,) = made.original_ip_detection_extensions
    config = CustomHeaderConfig()
    assert detection.typed_config.Unpack(config)
    assert config.header_name == names.CLIENT_IP
    assert config.reject_with_status.code == 400
    assert not config.allow_extension_to_set_address_as_trusted


def test_a_preamble_is_read_first_and_from_trusted_peers_only():
    made = listener(TLS, TRUSTED)
    kinds = [each.name for each in made.listener_filters]
    assert kinds == [PREAMBLE, "envoy.filters.listener.tls_inspector"]
    (chain,) = made.filter_chains
    ranges = chain.filter_chain_match.direct_source_prefix_ranges
    assert [(each.address_prefix, each.prefix_len.value) for each in ranges] == [
        ("10.0.0.0", 8),
        ("2001:db8::", 32),
    ]
    assert not listener(PLAIN, TRUSTED).filter_chains[0].HasField("filter_chain_match")
    assert not listener(PLAIN, TRUSTED).listener_filters


def test_a_preamble_of_anybody_is_an_error():
    with pytest.raises(ValueError, match="without trusted peers nobody may connect"):
        listener(TLS, None)


def test_what_arrival_says_reaches_no_upstream():
    def removed(trusted: TrustedPeers | None) -> set[str]:
        message = route_table(Gateway(), EnvoySettings(trusted_peers=trusted)).message()
        return set(message.request_headers_to_remove)

    assert removed(TRUSTED) - removed(None) == set(names.FORWARDED)
