//! The check protocol's requests, which the policy service's tests read, too
//! (`tests/vectors/check/README.md`).

mod support;

use scopegate_filter::check_request::{split_path, write, BodyState, Facts, Unreadable};
use scopegate_filter::check_response::Pair;
use scopegate_filter::stream::List;
use support::{files, json, json_list, json_object, json_or_null, json_pairs, meaning_of};

/// A request message, taken apart as plainly as can be: what it says, and the client's headers.
struct Request {
    facts: Vec<(String, Vec<u8>)>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    content: Vec<u8>,
}

fn cut_at(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let place = text
        .iter()
        .position(|byte| *byte == mark)
        .expect("the mark");
    (&text[..place], &text[place + 1..])
}

fn read_request(message: &[u8]) -> Request {
    let (version, mut rest) = cut_at(message, b'\n');
    assert_eq!(version, b"scopegate-check 1");
    let (mut facts, mut headers) = (Vec::new(), Vec::new());
    loop {
        let (line, behind) = cut_at(rest, b'\n');
        rest = behind;
        if line.is_empty() {
            break;
        }
        let (word, value) = cut_at(line, b' ');
        facts.push((String::from_utf8_lossy(word).into_owned(), value.to_vec()));
    }
    loop {
        let (line, behind) = cut_at(rest, b'\n');
        rest = behind;
        if line.is_empty() {
            break;
        }
        let (name, value) = cut_at(line, b':');
        headers.push((name.to_vec(), value.to_vec()));
    }
    let content = rest.to_vec();
    Request {
        facts,
        headers,
        content,
    }
}

impl Request {
    fn fact(&self, word: &str) -> &[u8] {
        self.optional(word).expect("a fact")
    }

    fn optional(&self, word: &str) -> Option<&[u8]> {
        self.facts
            .iter()
            .find(|fact| fact.0 == word)
            .map(|fact| &*fact.1)
    }

    fn pairs(&self) -> Vec<Pair<'_>> {
        self.headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect()
    }
}

#[test]
fn requests_are_written_as_they_stand_there() {
    for (name, message) in files("check/requests", "msg") {
        let request = read_request(&message);
        let body = match request.fact("body") {
            b"not-read" => BodyState::NotRead,
            b"whole" => BodyState::Whole,
            _ => BodyState::TooLarge,
        };
        let facts = Facts {
            policy: request.fact("policy").try_into().expect("an id"),
            route: request.fact("route"),
            id: request.fact("id"),
            client: request.fact("client"),
            protocol: request.fact("protocol"),
            tls: request.optional("tls").map(|tls| cut_at(tls, b' ')),
            method: request.fact("method"),
            scheme: request.fact("scheme"),
            authority: request.fact("authority"),
            path: request.fact("path"),
            query: request.fact("query"),
            body,
        };
        let mut again = Vec::new();
        let left_out: [&[u8]; 8] = [
            b":path",
            b"x-scopegate-sni",
            b"x-envoy-a",
            b"x-forwarded-proto",
            b"x-forwarded-path",
            b"x-forwarded-port",
            b"x-forwarded-host",
            b"x-kong-request-id",
        ];
        let mut headers = request.pairs();
        for name in left_out {
            headers.insert(headers.len() / 2, (name, b"left out"));
        }
        write(&facts, &List(headers), &request.content, &mut again).expect("a message");
        assert_eq!(again, message, "{}", name);
        let mut fields: Vec<(&str, String)> = Vec::new();
        for word in [
            "policy",
            "route",
            "id",
            "client",
            "protocol",
            "tls",
            "method",
            "scheme",
            "authority",
            "path",
            "query",
            "body",
        ] {
            let value = match (word, request.optional(word)) {
                ("tls", Some(tls)) => {
                    let (version, server_name) = cut_at(tls, b' ');
                    Some(json_list([json(version), json(server_name)]))
                }
                (_, value) => value.map(json),
            };
            fields.push((word, json_or_null(value)));
        }
        fields.push(("headers", json_pairs(&request.pairs())));
        fields.push(("content", json(&request.content)));
        assert_eq!(
            json_object(&fields),
            meaning_of("check/requests", &name),
            "{}",
            name
        );
    }
}

const FACTS: Facts<'_> = Facts {
    policy: b"0123456789abcdef0123456789abcdef",
    route: b"r s open",
    id: b"1",
    client: b"192.0.2.1",
    protocol: b"HTTP/1.1",
    tls: None,
    method: b"GET",
    scheme: b"http",
    authority: b"a",
    path: b"/",
    query: b"",
    body: BodyState::NotRead,
};

fn is_readable(facts: &Facts<'_>, name: &[u8], value: &[u8]) -> bool {
    let headers = List(vec![(name, value)]);
    write(facts, &headers, b"", &mut Vec::new()) != Err(Unreadable)
}

#[test]
fn what_no_line_can_hold_is_unreadable() {
    assert!(is_readable(&FACTS, b"x-a", b"\tb\x80\xff "));
    for byte in (0..0x20_u8).filter(|byte| *byte != b'\t').chain([0x7f]) {
        assert!(!is_readable(&FACTS, b"x-a", &[b'a', byte]), "{}", byte);
        let authority = [b'a', byte];
        let facts = Facts {
            authority: &authority,
            ..FACTS
        };
        assert!(!is_readable(&facts, b"x-a", b""), "{}", byte);
    }
    for name in [&b""[..], b"a:b", b"a b", b"A", b"a\tb", b"a\nb"] {
        assert!(!is_readable(&FACTS, name, b""), "{:?}", name);
    }
    for method in [&b""[..], b"get", b"G T", b"GE_T", b"GET\n"] {
        assert!(
            !is_readable(&Facts { method, ..FACTS }, b"a", b""),
            "{:?}",
            method
        );
    }
    for target in [&b"/ "[..], b"/\x80", b"/\t", b"/\x7f", b"/\n"] {
        assert!(
            !is_readable(
                &Facts {
                    path: target,
                    ..FACTS
                },
                b"a",
                b""
            ),
            "{:?}",
            target
        );
        assert!(
            !is_readable(
                &Facts {
                    query: target,
                    ..FACTS
                },
                b"a",
                b""
            ),
            "{:?}",
            target
        );
    }
    for tls in [
        (&b""[..], &b"a"[..]),
        (b"TLS v1", b"a"),
        (b"TLSv1.3", b"a b"),
        (b"TLSv1.3", b"a\n"),
    ] {
        assert!(
            !is_readable(
                &Facts {
                    tls: Some(tls),
                    ..FACTS
                },
                b"a",
                b""
            ),
            "{:?}",
            tls
        );
    }
}

#[test]
fn query_begins_at_the_first_question_mark() {
    assert_eq!(split_path(b"/a?b?c"), (&b"/a"[..], &b"b?c"[..]));
    assert_eq!(split_path(b"/a?"), (&b"/a"[..], &b""[..]));
    assert_eq!(split_path(b"/a"), (&b"/a"[..], &b""[..]));
    assert_eq!(split_path(b""), (&b""[..], &b""[..]));
}
