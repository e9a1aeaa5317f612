//! What trusted peers say about a client, and what of it counts.

use std::net::IpAddr;

use scopegate_filter::filter_config::Lines;
use scopegate_filter::forwarded::{Forwarded, Malformed, Scheme, TrustedPeers};
use scopegate_filter::stream::List;
use support::Dice;

mod support;

const BALANCER: &str = "10.0.0.1:4711";
const STRANGER: &str = "192.0.2.66:4711";

fn peers(more: &str) -> TrustedPeers {
    let text = format!("trusted 10.0.0.0/8\ntrusted 2001:db8::/32\n{more}");
    taken(&text)
        .expect("good lines")
        .expect("somebody is trusted")
}

fn taken(text: &str) -> Result<Option<TrustedPeers>, String> {
    let mut lines = Lines::read(text.as_bytes())?;
    let taken = TrustedPeers::take(&mut lines)?;
    lines.end()?;
    Ok(taken)
}

fn read(
    peers: &TrustedPeers,
    peer: &str,
    headers: &[(&str, &str)],
) -> Result<Forwarded, Malformed> {
    let mut list = List(vec![(b":authority", b"gateway.internal:8000")]);
    let sent = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    list.0.extend(sent);
    peers.read(peer.as_bytes(), Scheme::Http, &list)
}

fn client(more: &str, peer: &str, headers: &[(&str, &str)]) -> String {
    read(&peers(more), peer, headers)
        .expect("nothing malformed")
        .client
        .to_string()
}

fn said(headers: &[(&str, &str)]) -> Result<Forwarded, Malformed> {
    read(&peers("real-ip-header x-real-ip"), BALANCER, headers)
}

fn seen(headers: &[(&str, &str)]) -> (Scheme, Option<String>, Option<u16>) {
    let found = said(headers).expect("nothing malformed");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("ASCII");
    (found.scheme, found.authority.map(text), found.port)
}

const CHAIN: &str = "real-ip-header x-forwarded-for";
const RECURSIVE: &str = "real-ip-header x-forwarded-for\nreal-ip-recursive on";

#[test]
fn the_last_address_counts_or_the_last_that_is_not_trusted() {
    for (value, last, last_untrusted) in [
        ("203.0.113.9", "203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.2.2.2", "10.2.2.2", "203.0.113.9"),
        (
            "6.6.6.6,203.0.113.9,10.2.2.2,10.3.3.3",
            "10.3.3.3",
            "203.0.113.9",
        ),
        ("10.2.2.2, 10.3.3.3", "10.3.3.3", "10.2.2.2"), // all trusted: the first
        ("6.6.6.6, unknown, 10.3.3.3", "10.3.3.3", "10.3.3.3"),
        ("6.6.6.6, unknown", "10.0.0.1", "10.0.0.1"),
        ("6.6.6.6 203.0.113.9", "203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ,\t", "203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:1234", "203.0.113.9", "203.0.113.9"),
        ("2001:db9::1", "2001:db9::1", "2001:db9::1"),
        ("[2001:db9::1]:1234", "2001:db9::1", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1", "2001:db9::1"),
        ("2001:db9::1, 2001:db8::5", "2001:db8::5", "2001:db9::1"),
        ("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, ::ffff:10.1.1.1", "10.1.1.1", "6.6.6.6"),
        ("", "10.0.0.1", "10.0.0.1"),
    ] {
        let headers = [("x-forwarded-for", value)];
        assert_eq!(client(CHAIN, BALANCER, &headers), last, "{value}");
        assert_eq!(
            client(RECURSIVE, BALANCER, &headers),
            last_untrusted,
            "{value}"
        );
    }
}

#[test]
fn what_is_no_address_ends_the_search() {
    for value in [
        "unknown",
        "_hidden",
        "203.0.113",
        "203.0.113.9:0",
        "203.0.113.9:65536",
        "203.0.113.9:x",
        "203.0.113.09",
        "203.0.113.9:",
        "[203.0.113.9]",
        "2001:db9::1]:80",
        "[2001:db9::1",
        "\"203.0.113.9\"",
        "for=203.0.113.9",
        "fe80::1%eth0",
        "203.0.113.9/32",
        "\u{e9}",
        "999999999999999999999999999999",
        ":80",
        "[]:80",
        "-1",
        "+1.2.3.4",
    ] {
        assert_eq!(
            client(RECURSIVE, BALANCER, &[("x-forwarded-for", value)]),
            "10.0.0.1",
            "{value}"
        );
    }
}

#[test]
fn repeated_headers_are_one_list() {
    let headers = [
        ("x-real-ip", "6.6.6.6"),
        ("x-forwarded-for", "7.7.7.7"),
        ("x-real-ip", "8.8.8.8"),
    ];
    assert_eq!(
        client("real-ip-header x-real-ip", BALANCER, &headers),
        "8.8.8.8"
    );
    let headers = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "10.9.9.9"),
    ];
    assert_eq!(client(RECURSIVE, BALANCER, &headers), "6.6.6.6");
}

#[test]
fn any_header_or_none_may_name_the_client() {
    let headers = [("cf-connecting-ip", "8.8.8.8"), ("x-real-ip", "6.6.6.6")];
    assert_eq!(
        client("real-ip-header cf-connecting-ip", BALANCER, &headers),
        "8.8.8.8"
    );
    assert_eq!(
        client("real-ip-header proxy_protocol", BALANCER, &headers),
        "10.0.0.1"
    );
    assert_eq!(
        client("real-ip-header x-client", BALANCER, &headers),
        "10.0.0.1"
    );
}

#[test]
fn nothing_that_a_stranger_says_counts() {
    let headers = [
        ("x-real-ip", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "nonsense"),
        ("x-forwarded-path", "nonsense"),
        ("x-forwarded-prefix", "/evil"),
    ];
    for more in [
        "real-ip-header x-real-ip",
        RECURSIVE,
        "real-ip-header proxy_protocol",
    ] {
        let found = read(&peers(more), STRANGER, &headers).expect("nothing is read");
        let nothing = Forwarded {
            peer: IpAddr::from([192, 0, 2, 66]),
            client: IpAddr::from([192, 0, 2, 66]),
            is_peer_trusted: false,
            scheme: Scheme::Http,
            authority: None,
            port: None,
            path: None,
            prefix: None,
        };
        assert_eq!(found, nothing);
    }
}

#[test]
fn peers_are_trusted_by_range_and_family() {
    let trusts = |range: &str, peer: &str| {
        let peers = taken(&format!("trusted {range}\nreal-ip-header x-real-ip"));
        let found = read(&peers.expect(range).expect(range), peer, &[]).expect("an address");
        found.is_peer_trusted
    };
    for (range, peer, expected) in [
        ("10.0.0.0/8", "10.255.255.255:1", true),
        ("10.0.0.0/8", "11.0.0.0:1", false),
        ("10.1.2.3/8", "10.9.9.9:1", true),
        ("10.0.0.1/32", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("0.0.0.0/0", "203.0.113.9:1", true),
        ("0.0.0.0/0", "[2001:db8::1]:1", false),
        ("::/0", "203.0.113.9:1", false),
        ("::/0", "[2001:db8::1]:1", true),
        ("2001:db8::/33", "[2001:db8:7fff::1]:1", true),
        ("2001:db8::/33", "[2001:db8:8000::1]:1", false),
        ("::1/128", "[::1]:1", true),
        ("10.0.0.0/8", "[::ffff:10.0.0.1]:1", true),
        ("::ffff:10.0.0.0/104", "10.0.0.1:1", true),
        ("::ffff:10.0.0.0/104", "11.0.0.1:1", false),
    ] {
        assert_eq!(trusts(range, peer), expected, "{range} {peer}");
    }
}

#[test]
fn a_peer_without_an_address_is_refused() {
    for peer in ["", "/run/socket", "10.0.0.1:99999", "internal"] {
        assert_eq!(read(&peers(CHAIN), peer, &[]), Err(Malformed::Peer));
    }
}

#[test]
fn the_client_sees_what_the_peer_says() {
    let (http, https) = (Scheme::Http, Scheme::Https);
    let host = |text: &str| Some(text.to_owned());
    assert_eq!(seen(&[]), (http, None, None));
    assert_eq!(
        seen(&[("x-forwarded-proto", "https")]),
        (https, None, Some(8000))
    );
    let shop = ("x-forwarded-host", "shop.example");
    assert_eq!(seen(&[shop]), (http, host("shop.example"), Some(80)));
    assert_eq!(
        seen(&[shop, ("x-forwarded-proto", " HTTPS ")]),
        (https, host("shop.example"), Some(443))
    );
    let with_port = ("x-forwarded-host", "shop.example:8443");
    assert_eq!(
        seen(&[with_port, ("x-forwarded-proto", "wss")]),
        (https, host("shop.example:8443"), Some(8443))
    );
    // The port of X-Forwarded-Port goes first, as for Kong.
    assert_eq!(
        seen(&[
            with_port,
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443")
        ]),
        (https, host("shop.example"), Some(443))
    );
    assert_eq!(
        seen(&[("x-forwarded-port", "9000")]),
        (http, host("gateway.internal:9000"), Some(9000))
    );
    assert_eq!(
        seen(&[
            ("x-forwarded-host", "[2001:db8::1]:444"),
            ("x-forwarded-proto", "https")
        ]),
        (https, host("[2001:db8::1]:444"), Some(444))
    );
    assert_eq!(
        seen(&[("x-forwarded-host", ""), ("x-forwarded-proto", " ")]),
        (http, None, None)
    );
}

#[test]
fn paths_and_prefixes_go_on() {
    let found = said(&[
        ("x-forwarded-path", "/shop/a?b"),
        ("x-forwarded-prefix", "/shop"),
    ]);
    let found = found.expect("nothing malformed");
    assert_eq!(found.path.as_deref(), Some(&b"/shop/a"[..]));
    assert_eq!(found.prefix.as_deref(), Some(&b"/shop"[..]));
    assert_eq!((found.authority, found.port), (None, None));
}

#[test]
fn malformed_values_are_refused() {
    for (wrong, name, values) in [
        (
            Malformed::Scheme,
            "x-forwarded-proto",
            &["https,http", "https, https", "ftp", "https:", "\u{e9}"][..],
        ),
        (
            Malformed::Host,
            "x-forwarded-host",
            &[
                "a.example, b.example",
                "a b",
                "a/b",
                "a@b",
                "a..b",
                ":80",
                "a:0",
                "a:65536",
                "a:b",
                "[::1",
                "::1",
                "a%2eb",
                "a\u{e9}",
                "<script>",
            ],
        ),
        (
            Malformed::Port,
            "x-forwarded-port",
            &["0", "65536", "-1", "+1", "80,443", "http", "4 4", "000080"],
        ),
        (
            Malformed::Path,
            "x-forwarded-path",
            &[
                "a",
                "//evil.example",
                "/a b",
                "/\u{e9}",
                "?",
                "/\\evil",
                "\\",
            ],
        ),
        (
            Malformed::Prefix,
            "x-forwarded-prefix",
            &["a", "//evil.example", "/a b", "/a?b"],
        ),
    ] {
        for value in values {
            assert_eq!(said(&[(name, value)]), Err(wrong), "{name}: {value}");
        }
        assert_eq!(
            said(&[(name, "/1"), (name, "/1")]),
            Err(wrong),
            "{name} twice"
        );
    }
}

#[test]
fn headers_that_name_an_address_are_dropped_from_strangers() {
    let custom = peers("real-ip-header cf-connecting-ip");
    for (name, from_trusted, from_stranger) in [
        ("cf-connecting-ip", false, true),
        ("cf_connecting-ip", true, true),
        ("cf-connecting-ipv6", false, false),
        ("x-forwarded-for", false, false),
    ] {
        assert_eq!(
            custom.is_stripped(name.as_bytes(), true),
            from_trusted,
            "{name}"
        );
        assert_eq!(
            custom.is_stripped(name.as_bytes(), false),
            from_stranger,
            "{name}"
        );
    }
    assert!(!peers(CHAIN).is_stripped(b"x-forwarded-for", false));
    assert!(!peers("real-ip-header proxy_protocol").is_stripped(b"proxy_protocol", false));
}

#[test]
fn wrong_lines_are_named() {
    assert_eq!(taken(""), Ok(None));
    for (text, wrong) in [
        (
            "trusted 10.0.0.0/33\nreal-ip-header a",
            "trusted is not a range: '10.0.0.0/33'",
        ),
        (
            "trusted 10.0.0.0/\nreal-ip-header a",
            "trusted is not a range: '10.0.0.0/'",
        ),
        (
            "trusted ::/129\nreal-ip-header a",
            "trusted is not a range: '::/129'",
        ),
        (
            "trusted ::ffff:1.2.3.4/129\nreal-ip-header a",
            "trusted is not a range: '::ffff:1.2.3.4/129'",
        ),
        ("trusted x\nreal-ip-header a", "trusted is not a range: 'x'"),
        ("trusted ::1", "real-ip-header is missing"),
        (
            "trusted ::1\nreal-ip-header A",
            "real-ip-header is not in lower case",
        ),
        (
            "trusted ::1\nreal-ip-header ",
            "real-ip-header is not in lower case",
        ),
        (
            "trusted ::1\nreal-ip-header a\nreal-ip-recursive off",
            "real-ip-recursive is not 'on'",
        ),
        (
            "real-ip-header a",
            "'real-ip-header' is unknown, or there twice",
        ),
    ] {
        assert_eq!(taken(text), Err(wrong.to_owned()), "{text}");
    }
}

/// A client cannot move its address beyond what the balancer appended.
#[test]
fn a_client_cannot_choose_its_address() {
    const PIECES: [&[u8]; 12] = [
        b"10.0.0.1",
        b"10.9.9.9",
        b"6.6.6.6",
        b"2001:db8::1",
        b"::",
        b"[",
        b"]",
        b":",
        b",",
        b" ",
        b"1",
        b"\xe9",
    ];
    let mut dice = Dice::new(3);
    let peers = peers(RECURSIVE);
    for _ in 0..50_000 {
        let mut value = dice.join(&PIECES, 8);
        value.extend_from_slice(dice.pick(&[&b", 203.0.113.9"[..], b", 203.0.113.9, 10.4.4.4"]));
        let headers = List(vec![(b"x-forwarded-for", &value)]);
        let found = peers.read(BALANCER.as_bytes(), Scheme::Http, &headers);
        let client = found.expect("an address").client.to_string();
        assert_eq!(client, "203.0.113.9", "{}", String::from_utf8_lossy(&value));
    }
}
