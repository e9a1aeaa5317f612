"""Settings: sources, their order, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from scopegate.app.cannot_start import SettingsError
from scopegate.app.settings.settings import Settings, load_settings, settings_from, warnings
from scopegate.app.settings.table import SETTINGS
from scopegate.app.settings.values import ListenAddress


def load(tmp_path: Path, conf: str | None = None, cores: int = 4, **environment: str) -> Settings:
    path = None
    if conf is not None:
        path = tmp_path / "scopegate.conf"
        path.write_text(conf)
    return load_settings(path, environment, folder=tmp_path, cores=cores)


def refused(tmp_path: Path, conf: str | None = None, **environment: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, conf, **environment)
    return caught.value.lines


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.prefix == tmp_path / ".scopegate"
    assert settings.sqlite_path == tmp_path / ".scopegate/scopegate.db"
    assert settings.proxy_access_log == tmp_path / ".scopegate/logs/access.log"
    assert settings.proxy_listen == (
        ListenAddress("0.0.0.0", 8000),
        ListenAddress("0.0.0.0", 8443, ssl=True, http2=True),
    )
    assert settings.admin_listen == (ListenAddress("127.0.0.1", 8001),)
    assert settings.status_listen == (ListenAddress("127.0.0.1", 8007),)
    assert settings.ssl_cert is None
    assert settings.lua_ssl_trusted_certificate is None
    assert settings.given["prefix"].where == "default"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    conf = "log_level = warn\nlog_format = json\n"
    settings = load(tmp_path, conf, SCOPEGATE_LOG_LEVEL="debug")
    assert (settings.log_level, settings.log_format) == ("debug", "json")
    assert settings.given["log_level"].where == "SCOPEGATE_LOG_LEVEL"
    assert settings.given["log_format"].where == "scopegate.conf:2"


def test_a_file_in_the_working_folder_is_found_unasked(tmp_path: Path) -> None:
    (tmp_path / "scopegate.conf").write_text("log_level = error\n")
    assert load_settings(None, {}, folder=tmp_path).log_level == "error"


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file or directory; name a file"):
        load_settings(tmp_path / "none.conf", {}, folder=tmp_path)


def test_comments_blanks_and_escaped_hashes_are_read_as_kong_does(tmp_path: Path) -> None:
    conf = "# a comment\n\n  log_level = warn   # why\nprefix=/tmp/a\\#b\n"
    settings = load(tmp_path, conf)
    assert settings.log_level == "warn"
    assert settings.prefix == Path("/tmp/a#b")


def test_relative_paths_are_relative_to_prefix_or_to_the_working_folder(tmp_path: Path) -> None:
    conf = "prefix = state\nsqlite_path = db/x.db\nlua_ssl_trusted_certificate = ../ca.pem\n"
    settings = load(tmp_path / ".", conf)
    assert settings.prefix == tmp_path / "state"
    assert settings.sqlite_path == tmp_path / "state/db/x.db"
    assert settings.lua_ssl_trusted_certificate == tmp_path.parent / "ca.pem"


def test_an_unknown_name_gets_the_closest_known_one(tmp_path: Path) -> None:
    assert refused(tmp_path, "proxy_listn = 0.0.0.0:80\n") == (
        'scopegate.conf:1: "proxy_listn" is no setting: did you mean proxy_listen?',
    )


def test_an_unknown_variable_gets_the_closest_known_name(tmp_path: Path) -> None:
    assert refused(tmp_path, SCOPEGATE_LOGLEVEL="info") == (
        "SCOPEGATE_LOGLEVEL in the environment is no setting: did you mean log_level?",
    )


def test_a_name_like_nothing_points_to_the_list(tmp_path: Path) -> None:
    assert refused(tmp_path, "zzz = 1\n")[0].endswith("scopegate.conf.default lists them all")


@pytest.mark.parametrize("name", ["stream_listen", "pg_host", "declarative_config", "port_maps"])
def test_a_setting_of_kongs_that_is_not_built_says_so(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path, f"{name} = x\n") == (
        f'scopegate.conf:1: "{name}" is no setting: it is Kong\'s and not supported yet; remove it',
    )


def test_a_setting_of_kongs_that_has_another_name_here_says_which(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "nginx_worker_processes = 4\n")
    assert line.endswith("it is Kong's, but Scopegate has no nginx; set proxy_workers")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    lines = refused(tmp_path, "log_level = loud\nnonsense\n", SCOPEGATE_DRAIN_TIMEOUT_S="soon")
    assert lines == (
        "scopegate.conf:2: a line should be name = value, or a # comment",
        'SCOPEGATE_DRAIN_TIMEOUT_S: drain_timeout_s = "soon" is wrong: it should be a number of'
        " seconds from 0 to 3600",
        'scopegate.conf:1: log_level = "loud" is wrong: it should be debug or info or warn or'
        " error or crit",
    )


def test_a_setting_may_stand_only_once(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "log_level = info\nlog_level = warn\n")
    assert line == "scopegate.conf:2: log_level stands in line 1 already; keep one"


@pytest.mark.parametrize(
    ("conf", "right"),
    [
        ("database = postgres", '"postgres" is not supported yet; it should be sqlite'),
        ("database = off", '"off" is not supported yet; it should be sqlite'),
        ("role = data_plane", '"data_plane" is not supported yet; it should be traditional'),
        ("log_format = xml", "it should be auto or json or console"),
        ("policy_workers = 0", "it should be a whole number from 1 to 256, or auto"),
        ("policy_workers = ²", "it should be a whole number from 1 to 256, or auto"),
        ("drain_timeout_s = 1e3", "it should be a number of seconds from 0 to 3600"),
        ("request_headers_limit_kib = 2000", "it should be a whole number from 8 to 1024"),
        ("admin_listen = off", "off is not supported yet; give an address and a port"),
        ("admin_listen = 127.0.0.1:8001 ssl", 'the flag "ssl" is not supported yet here'),
        ("proxy_listen = 8000", '"8000" should be address:port with a port from 1 to 65535'),
        ("proxy_listen = 0.0.0.0:0", "should be address:port with a port from 1 to 65535"),
        ("proxy_listen = 0.0.0.0:70000", "should be address:port with a port from 1 to 65535"),
        ("proxy_listen = 0.0.0.0:80,", '"" should be address:port'),
        ("proxy_listen = 1.2.3:80", '"1.2.3" should be an IPv4 address such as 127.0.0.1'),
        ("proxy_listen = ::1:80", "an IPv6 address stands in brackets: [::1]"),
        ("proxy_listen = [x]:80", '"[x]" should hold an IPv6 address'),
        ("proxy_listen = my.host:80", "should be an IP address or localhost"),
        ("proxy_listen = 0.0.0.0:80 backlog=1", 'the flag "backlog=1" is not supported yet here'),
        ("proxy_listen = 0.0.0.0:80 bind", "the flags are ssl, http2, proxy_protocol, reuseport"),
        ("proxy_listen = 0.0.0.0:80 tls", '"tls" is no flag; the flags are ssl, http2, '),
        ("admin_listen = 127.0.0.1:8001 proxy_protocol", '"proxy_protocol" is not supported yet'),
        ("proxy_listen = 0.0.0.0:80, 0.0.0.0:80 ssl", "0.0.0.0:80 is there twice"),
        ("trusted_ips = 10.0.0.0/8,unix:", '"unix:" is not supported: the proxy listens on no'),
        ("trusted_ips = 10.0.0.0/8, 10.0.0.0/33", '"10.0.0.0/33" should be an address or a CIDR'),
        ("trusted_ips = 10.0.0/8", '"10.0.0/8" should be an address or a CIDR range, such as 10.'),
        ("trusted_ips = 10.0.0.0/255.0.0.0", '"10.0.0.0/255.0.0.0" should be an address or a'),
        ("trusted_ips = 10.0.0.0/", '"10.0.0.0/" should be an address or a CIDR range'),
        ("trusted_ips = fe80::1%eth0", '"fe80::1%eth0" should be an address or a CIDR range'),
        ("trusted_ips = 10.0.0.1,", '"" should be an address or a CIDR range'),
        ("trusted_ips = balancer", '"balancer" should be an address or a CIDR range'),
        ("real_ip_header = X Real", "it should be the name of a header, or proxy_protocol"),
        ("real_ip_header =", "it should be the name of a header, or proxy_protocol"),
        ("real_ip_header = Forwarded", "have the balancer send X-Forwarded-For or X-Real-IP"),
        ("real_ip_header = Cookie", "this header has another meaning"),
        ("real_ip_recursive = yes", "it should be on or off"),
        ("admin_gui_url = console", '"console" should be a URL such as https://console.example'),
        ("admin_gui_url = http://u@h", '"http://u@h" should be a URL'),
        ("admin_gui_url = http://h:x", '"http://h:x" should be a URL'),
        ("admin_hosts = a, b:80", '"b:80" should be a host name without port'),
        ("ssl_cert = a.pem, b.pem", "a list is not supported yet"),
        ("lua_ssl_trusted_certificate = system,a.pem", "a list is not supported yet"),
        ("prefix =", "it should be a path"),
    ],
)
def test_a_wrong_value_says_what_would_be_right(tmp_path: Path, conf: str, right: str) -> None:
    name, _, text = (part.strip() for part in conf.partition("="))
    (line,) = refused(tmp_path, conf)
    assert line.startswith(f'scopegate.conf:1: {name} = "{text}" is wrong: ')
    assert right in line


def test_listen_addresses_are_read_in_kongs_grammar(tmp_path: Path) -> None:
    conf = "proxy_listen = localhost:80 reuseport,  [::0]:443  http2 ssl"
    assert load(tmp_path, conf).proxy_listen == (
        ListenAddress("127.0.0.1", 80),
        ListenAddress("::", 443, ssl=True, http2=True),
    )
    assert str(ListenAddress("::", 443)) == "[::]:443"


def test_trusted_addresses_become_ranges_each_once(tmp_path: Path) -> None:
    conf = "trusted_ips = 10.1.2.3/8, 10.0.0.0/8,127.0.0.1, 2001:DB8::1/32, ::1\n"
    settings = load(tmp_path, conf + "real_ip_header = X-Forwarded-For\nreal_ip_recursive = on\n")
    assert settings.trusted_ips == ("10.0.0.0/8", "127.0.0.1/32", "2001:db8::/32", "::1/128")
    assert settings.real_ip_header == "x-forwarded-for"
    assert settings.real_ip_recursive is True
    assert warnings(settings) == ()


def test_trusting_everybody_is_warned_about(tmp_path: Path) -> None:
    lines = warnings(load(tmp_path, "trusted_ips = 0.0.0.0/0, ::/0\n"))
    assert [line.partition(" is everybody")[0] for line in lines] == [
        "trusted_ips: 0.0.0.0/0",
        "trusted_ips: ::/0",
    ]


def test_a_listener_with_proxy_protocol_needs_trusted_addresses(tmp_path: Path) -> None:
    listen = "proxy_listen = 127.0.0.1:80 proxy_protocol, 127.0.0.1:443 ssl proxy_protocol\n"
    (line,) = refused(tmp_path, listen)
    assert line == (
        "scopegate.conf:1: proxy_listen has proxy_protocol on 127.0.0.1:80, where only trusted_ips"
        " may connect; set trusted_ips to the addresses of your load balancers"
    )
    settings = load(tmp_path, listen + "trusted_ips = 10.0.0.1\nreal_ip_header = proxy_protocol\n")
    assert settings.proxy_listen == (
        ListenAddress("127.0.0.1", 80, proxy_protocol=True),
        ListenAddress("127.0.0.1", 443, ssl=True, proxy_protocol=True),
    )


def test_a_client_named_by_the_preamble_needs_such_a_listener(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "real_ip_header = proxy_protocol\ntrusted_ips = 10.0.0.1\n")
    assert line == (
        "scopegate.conf:1: real_ip_header is proxy_protocol, and no address of proxy_listen has"
        " this flag; add it there, as in 0.0.0.0:8000 proxy_protocol"
    )


def test_sites_become_origins_and_names_lower_case(tmp_path: Path) -> None:
    conf = "admin_gui_url = https://Console.example:443/manager, http://[::1]:8002\n"
    settings = load(tmp_path, conf + "admin_hosts = GW.internal,other\n")
    assert settings.admin_gui_url == ("https://console.example", "http://[::1]:8002")
    assert settings.admin_hosts == ("gw.internal", "other")
    assert load_settings(None, {}, folder=tmp_path / "x").admin_gui_url == ()


def test_two_listeners_may_not_want_one_port(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "admin_listen = 127.0.0.1:8000")
    assert line == (
        "scopegate.conf:1: admin_listen and proxy_listen both want port 8000;"
        " give one of them another"
    )
    different = "proxy_listen = 127.0.0.1:9000\nadmin_listen = 127.0.0.2:9000"
    assert load(tmp_path, different).admin_listen == (ListenAddress("127.0.0.2", 9000),)


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, SCOPEGATE_SSL_CERT="a.pem")
    assert line == "SCOPEGATE_SSL_CERT: ssl_cert needs ssl_cert_key beside it; set both"


@pytest.mark.parametrize(("cores", "policy", "proxy"), [(1, 2, 1), (2, 2, 2), (16, 16, 16)])
def test_automatic_numbers_follow_the_cores(
    tmp_path: Path, cores: int, policy: int, proxy: int
) -> None:
    settings = load(tmp_path, cores=cores)
    assert (settings.policy_workers, settings.proxy_workers) == (policy, proxy)


@pytest.mark.parametrize(
    ("kongs", "ours"), [("notice", "info"), ("alert", "crit"), ("emerg", "crit"), ("warn", "warn")]
)
def test_kongs_log_levels_are_understood(tmp_path: Path, kongs: str, ours: str) -> None:
    assert load(tmp_path, f"log_level = {kongs}").log_level == ours


def test_an_admin_api_that_others_can_reach_is_warned_about(tmp_path: Path) -> None:
    assert warnings(load(tmp_path)) == ()
    (line,) = warnings(load(tmp_path, "admin_listen = 127.0.0.1:8001, 0.0.0.0:8002"))
    assert line.startswith("admin_listen: 0.0.0.0:8002 can be reached from other machines")


def test_settings_can_be_rebuilt_from_their_texts(tmp_path: Path) -> None:
    settings = load(tmp_path, "prefix = x\npolicy_workers = 3\n")
    assert settings_from(settings.given, folder=tmp_path, cores=4) == settings


def test_the_table_has_every_field_and_every_example_and_default_parses(tmp_path: Path) -> None:
    fields = set(Settings.__dataclass_fields__) - {"given"}
    assert {setting.name for setting in SETTINGS} == fields
    together = {"ssl_cert": "ssl_cert_key", "ssl_cert_key": "ssl_cert"}
    for setting in SETTINGS:
        conf = f"{setting.name} = {setting.example}\n"
        if setting.name in together:
            conf += f"{together[setting.name]} = x.pem\n"
        assert load(tmp_path, conf).given[setting.name].text == setting.example


def test_a_switch_is_on_or_off(tmp_path: Path) -> None:
    assert load(tmp_path).allow_debug_header is False
    assert load(tmp_path, "allow_debug_header = on\n").allow_debug_header is True
    assert refused(tmp_path, "allow_debug_header = yes\n") == (
        'scopegate.conf:1: allow_debug_header = "yes" is wrong: it should be on or off',
    )
