//! The filter's three texts: a listener's configuration, a route table's, an entry's name; and hosts.

use scopegate_filter::filter_config::FilterConfig;
use scopegate_filter::host::{address_without_port, without_port};
use scopegate_filter::route_name::{Policy, RouteName};
use scopegate_filter::table_config::TableConfig;

const LINES: [&str; 9] = [
    "policy-cluster scopegate.policy",
    "policy-socket /run/a b/policy.sock",
    "policy-timeout-ms 15000",
    "body-limit-bytes 65536",
    "revocations /dev/shm/scopegate",
    "cache-entries 10000",
    "cache-bytes 16777216",
    "headers-limit-bytes 61440",
    "headers-limit-count 100",
];

fn filter_config(lines: &[&str]) -> Result<FilterConfig, String> {
    FilterConfig::parse((lines.join("\n") + "\n").as_bytes())
}

#[test]
fn filter_config_has_all_settings() {
    let config = filter_config(&LINES).expect("a configuration");
    let expected = FilterConfig {
        policy_cluster: b"scopegate.policy".to_vec(),
        policy_socket: b"/run/a b/policy.sock".to_vec(),
        policy_timeout_ms: 15_000,
        body_limit_bytes: 65_536,
        revocations: b"/dev/shm/scopegate".to_vec(),
        cache_entries: 10_000,
        cache_bytes: 16_777_216,
        headers_limit_bytes: 61_440,
        headers_limit_count: 100,
        debug_header: false,
        has_trusted_peers: false,
    };
    assert_eq!(config, expected);
    let with_debug = [&LINES[..], &["debug-header on"]].concat();
    assert!(
        filter_config(&with_debug)
            .expect("a configuration")
            .debug_header
    );
    let with_peers = [&LINES[..], &["trusted-peers on"]].concat();
    assert!(
        filter_config(&with_peers)
            .expect("a configuration")
            .has_trusted_peers
    );
}

#[test]
fn filter_config_with_a_fault_is_refused() {
    for line in LINES {
        let missing: Vec<&str> = LINES.iter().copied().filter(|each| *each != line).collect();
        assert!(filter_config(&missing).is_err(), "without {}", line);
        let doubled = [&LINES[..], &[line]].concat();
        assert!(filter_config(&doubled).is_err(), "twice {}", line);
    }
    for (line, other) in [
        (2, "policy-timeout-ms"),
        (2, "policy-timeout-ms "),
        (2, "policy-timeout-ms -1"),
        (2, "policy-timeout-ms +1"),
        (2, "policy-timeout-ms 1.5"),
        (2, "policy-timeout-ms 1 "),
        (2, "policy-timeout-ms 18446744073709551616"),
        (4, "revocations "),
        (4, "Revocations /a"),
    ] {
        let mut lines = LINES;
        lines[line] = other;
        assert!(filter_config(&lines).is_err(), "{}", other);
    }
    for more in ["debug-header off", "debug-header ", "unknown 1", "nonsense"] {
        assert!(
            filter_config(&[&LINES[..], &[more]].concat()).is_err(),
            "{}",
            more
        );
    }
}

#[test]
fn table_config_has_cookies_and_refusals() {
    let table = TableConfig::parse(b"").expect("an empty one");
    assert!(
        !table.refuse_trailing_dots
            && !table.refuse_escaped_slashes
            && !table.refuse_path_parameters
    );
    assert_eq!(table.cookies.strip(b"session=1AQx"), None);
    let text = b"cookie session 1AQ,2AQ session2,session3\ncookie login 1AQ -\n\
        refuse trailing-dots\nrefuse path-parameters\n";
    let table = TableConfig::parse(text).expect("a configuration");
    assert!(
        table.refuse_trailing_dots && !table.refuse_escaped_slashes && table.refuse_path_parameters
    );
    assert_eq!(
        table.cookies.strip(b"a=1; login=1AQx"),
        Some(Some(b"a=1".to_vec()))
    );
    assert_eq!(table.cookies.strip(b"session3=x; session=2AQx"), Some(None));
}

#[test]
fn table_config_with_a_fault_is_refused() {
    for text in [
        "cookie",
        "cookie a",
        "cookie a m",
        "cookie a m - -",
        "cookie  m -",
        "cookie a  -",
        "cookie a m ",
        "refuse",
        "refuse ",
        "refuse everything",
        "refuse trailing-dots\nrefuse trailing-dots",
        "allow all",
        "escaped-slashes-route r",
        "nonsense",
    ] {
        assert!(TableConfig::parse(text.as_bytes()).is_err(), "{:?}", text);
    }
}

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn route_name_says_what_decides() {
    let id = Policy::Id(*b"0123456789abcdef0123456789abcdef");
    for (name, policy, names_slashes, names_parameters) in [
        ("no-route - open".to_owned(), Policy::Open, false, false),
        (format!("r/n s/m {ID}"), id, false, false),
        (format!("r s {ID} slashes"), id, true, false),
        ("r s open parameters".to_owned(), Policy::Open, false, true),
        (
            format!("r/gr\u{fc}n - {ID} slashes,parameters"),
            id,
            true,
            true,
        ),
    ] {
        let entry = RouteName::parse(name.as_bytes()).expect("a name");
        assert_eq!(
            (entry.policy, entry.names_slashes),
            (policy, names_slashes),
            "{}",
            name
        );
        assert_eq!(entry.names_parameters, names_parameters, "{}", name);
        let mut words = name.split(' ').map(str::as_bytes);
        assert_eq!(
            (Some(entry.route), Some(entry.service)),
            (words.next(), words.next())
        );
    }
}

#[test]
fn other_names_say_nothing() {
    for name in [
        "",
        " ",
        "r",
        "r s",
        "r s ",
        " s open",
        "r  open",
        "r s Open",
        "r s open ",
        "r s open slash",
        "r s open slashes ",
        "r s open parameters,slashes",
        "r s open slashes parameters",
        "open",
        "r s 0123456789abcdef0123456789abcde",
        "r s 0123456789abcdef0123456789abcdef0",
        "r s 0123456789ABCDEF0123456789abcdef",
        "r s 0123456789abcdeg0123456789abcdef",
        "r s -",
    ] {
        assert_eq!(RouteName::parse(name.as_bytes()), None, "{:?}", name);
    }
}

#[test]
fn port_is_taken_off() {
    for (host, name, address) in [
        ("a.example", "a.example", "a.example"),
        ("Only.Test.:99", "Only.Test.", "Only.Test."),
        ("a:", "a", "a"),
        ("[::1]:8", "[::1]", "::1"),
        ("[::1]", "[::1]", "::1"),
        ("192.0.2.1:54140", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("123", "123", "123"),
        ("a:b", "a:b", "a:b"),
        ("a:1:2", "a:1", "a:1"),
        (":80", "", ""),
        ("", "", ""),
    ] {
        assert_eq!(without_port(host.as_bytes()), name.as_bytes(), "{}", host);
        assert_eq!(
            address_without_port(host.as_bytes()),
            address.as_bytes(),
            "{}",
            host
        );
    }
}
