//! What arrival makes of a request where load balancers are trusted.

use scopegate_filter::arriving::{arrive, ArrivalConfig};
use scopegate_filter::stream::{Fact, Headers, List};

struct Fake {
    peer: &'static [u8],
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Headers for Fake {
    fn list(&self) -> List<'_> {
        List(
            self.headers
                .iter()
                .map(|each| (&each.0[..], &each.1[..]))
                .collect(),
        )
    }
    fn set_header(&mut self, name: &[u8], value: &[u8]) {
        self.remove_header(name);
        self.add_header(name, value);
    }
    fn add_header(&mut self, name: &[u8], value: &[u8]) {
        self.headers.push((name.to_vec(), value.to_vec()));
    }
    fn remove_header(&mut self, name: &[u8]) {
        self.headers.retain(|each| each.0 != name);
    }
    fn fact(&self, fact: Fact) -> Option<&[u8]> {
        match fact {
            Fact::ClientAddress => Some(self.peer),
            _ => None,
        }
    }
}

const TRUSTED: &str = "trusted 10.0.0.0/8\nreal-ip-header cf-connecting-ip";
const SAID: [(&str, &str); 8] = [
    (":authority", "gateway:8000"),
    (":path", "/a?b"),
    ("x-forwarded-for", "6.6.6.6"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "shop.example"),
    ("x-forwarded-prefix", "/shop"),
    ("x-scopegate-authority", "evil.example"),
    ("cf-connecting-ip", "203.0.113.9"),
];

/// Names and values after arrival, without the request's id, as `name: value`, sorted.
fn arrived(config: &str, peer: &'static str, more: &[(&str, &str)]) -> Vec<String> {
    let config = ArrivalConfig::parse(format!("port 8000\n{config}").as_bytes()).expect("a text");
    let bytes = |pair: &(&str, &str)| (pair.0.as_bytes().to_vec(), pair.1.as_bytes().to_vec());
    let mut fake = Fake {
        peer: peer.as_bytes(),
        headers: SAID.iter().chain(more).map(bytes).collect(),
    };
    arrive(&config, &mut fake);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all: Vec<String> = fake
        .headers
        .iter()
        .filter(|each| each.0 != b"x-kong-request-id")
        .map(|each| format!("{}: {}", text(&each.0), text(&each.1)))
        .collect();
    all.sort();
    all
}

#[test]
fn what_a_trusted_peer_says_is_put_in_place() {
    assert_eq!(
        arrived(TRUSTED, "10.0.0.1:4711", &[]),
        [
            ":authority: gateway:8000",
            ":path: /a?b",
            ":scheme: https",
            "cf-connecting-ip: 203.0.113.9",
            "x-forwarded-for: 10.0.0.1",
            "x-forwarded-for: 6.6.6.6",
            "x-forwarded-path: /a",
            "x-forwarded-port: 8000",
            "x-forwarded-prefix: /shop",
            "x-forwarded-proto: https",
            "x-scopegate-authority: shop.example",
            "x-scopegate-client-ip: 203.0.113.9",
            "x-scopegate-forwarded-port: 443",
        ]
    );
}

#[test]
fn what_a_stranger_says_is_dropped() {
    assert_eq!(
        arrived(
            TRUSTED,
            "192.0.2.66:4711",
            &[("x-forwarded-port", "nonsense")]
        ),
        [
            ":authority: gateway:8000",
            ":path: /a?b",
            ":scheme: http",
            "x-forwarded-for: 192.0.2.66",
            "x-forwarded-for: 6.6.6.6",
            "x-forwarded-path: /a",
            "x-forwarded-port: 8000",
            "x-forwarded-proto: http",
            "x-scopegate-client-ip: 192.0.2.66",
        ]
    );
}

#[test]
fn a_malformed_word_leaves_no_address() {
    for (peer, more) in [
        ("10.0.0.1:4711", &[("x-forwarded-port", "nonsense")][..]),
        ("no address", &[]),
    ] {
        let all = arrived(TRUSTED, peer, more);
        assert!(all.contains(&"x-scopegate-reason: forwarded_malformed".to_owned()));
        assert!(!all
            .iter()
            .any(|each| each.starts_with("x-scopegate-client-ip")));
    }
}

#[test]
fn where_nobody_is_trusted_nothing_is_said() {
    let all = arrived("tls on", "10.0.0.1:4711", &[]);
    let expected = [
        ":authority: gateway:8000",
        ":path: /a?b",
        "cf-connecting-ip: 203.0.113.9",
        "x-forwarded-for: 6.6.6.6",
        "x-forwarded-path: /a",
        "x-forwarded-port: 8000",
        "x-scopegate-sni: ",
    ];
    assert_eq!(all, expected);
}
