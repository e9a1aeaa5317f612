//! What fuzzing calls, and `cargo test`, too: every reader of bytes that come from outside.

use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use scopegate_filter::check_request::{self, split_path, BodyState, Facts};
use scopegate_filter::check_response::{parse, Verdict};
use scopegate_filter::cookies::GatewayCookies;
use scopegate_filter::decision::Changes;
use scopegate_filter::filter_config::{FilterConfig, Lines};
use scopegate_filter::forwarded::{Scheme, TrustedPeers};
use scopegate_filter::guard::{classify, Refused};
use scopegate_filter::profile::Profile;
use scopegate_filter::revocations::Book;
use scopegate_filter::route_name::RouteName;
use scopegate_filter::stream::List;
use scopegate_filter::table_config::TableConfig;
use scopegate_filter::{arrival, host};

fn is_line(text: &[u8]) -> bool {
    !text
        .iter()
        .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
}

fn cut(input: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == mark) {
        Some(place) => (&input[..place], &input[place + 1..]),
        None => (input, b""),
    }
}

/// Nothing that a client sends makes a line of its own.
pub fn check_request(input: &[u8]) {
    let parts: Vec<&[u8]> = input.split(|byte| *byte == 0xff).collect();
    let part = |place: usize| parts.get(place).copied().unwrap_or(b"a");
    let (path, query) = split_path(part(0));
    let facts = Facts {
        policy: b"0123456789abcdef0123456789abcdef",
        route: part(1),
        id: b"1",
        client: b"192.0.2.1",
        protocol: b"HTTP/2",
        tls: Some((b"TLSv1.3", part(2))),
        method: part(3),
        scheme: b"https",
        authority: part(4),
        path,
        query,
        body: BodyState::Whole,
    };
    let headers = List(parts.iter().skip(6).map(|part| cut(part, b'=')).collect());
    let mut message = Vec::new();
    if check_request::write(&facts, &headers, part(5), &mut message).is_ok() {
        let head = message.strip_suffix(part(5)).expect("the body at its end");
        let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
        assert!(lines.iter().all(|line| is_line(line)));
        let ends: Vec<usize> = (0..lines.len())
            .filter(|place| lines[*place].is_empty())
            .collect();
        assert!(lines.len() <= 16 + headers.0.len());
        assert_eq!(ends, [13, lines.len() - 2, lines.len() - 1]);
    }
}

/// What is let through has no header that would end a line, and rising ranges.
pub fn check_response(input: &[u8]) {
    let response = match parse(input) {
        Ok(response) => response,
        Err(_) => return,
    };
    for (name, value) in response.set.iter().chain(&response.client) {
        assert!(!name.is_empty() && is_line(name) && !name.contains(&b':') && is_line(value));
    }
    assert!(response
        .remove
        .iter()
        .all(|name| !name.is_empty() && is_line(name)));
    assert!(response.cuts.iter().all(|(start, end)| start <= end));
    assert!(response.cuts.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    let is_allow = response.verdict == Verdict::Allow;
    assert!(is_allow || (response.set.is_empty() && response.profile.is_none()));
    assert!(response.cache.is_none() || (is_allow && response.profile.is_some()));
    assert_eq!(Changes::of(&response).set.len(), response.set.len());
    if let Some(line) = response.profile {
        profile(line);
    }
}

/// A line, and behind it a path, a content type and header names.
pub fn profile(input: &[u8]) {
    let (line, rest) = cut(input, b'\n');
    let profile = match Profile::parse(line) {
        Ok(profile) => profile,
        Err(_) => return,
    };
    let (target, rest) = cut(rest, b'\n');
    let (kind, names) = cut(rest, b'\n');
    let _ = profile.is_asked_each_time(b"GET", target, Some(kind));
    for name in names
        .split(|byte| *byte == b'\n')
        .chain(line.split(|byte| b"=, ".contains(byte)))
    {
        let _ = profile.drops(name);
    }
    let headers: [(&[u8], &[u8]); 2] = [(b"cookie", kind), (b"authorization", target)];
    let _ = profile.append_key(&mut Vec::new(), &List(headers.to_vec()));
}

/// None of ours is left.
pub fn cookies(input: &[u8]) {
    let mut cookies = GatewayCookies::default();
    cookies.add(b"s", b"1AQ,2AQ", b"s2,s3").expect("a cookie");
    cookies.add(b"login", b"1AQ", b"-").expect("a cookie");
    if let Some(Some(left)) = cookies.strip(input) {
        assert!(left.len() < input.len());
        assert_eq!(cookies.strip(&left), None);
    }
}

/// Who refuses more lets nothing through that others refuse.
pub fn guard(input: &[u8]) {
    let (host, path) = cut(input, b'\n');
    let all = Refused {
        trailing_dots: true,
        escaped_slashes: true,
        path_parameters: true,
    };
    for (host, path) in [(host, path), (b"a.example", input)] {
        let least = classify(host, path, Refused::default());
        let most = classify(host, path, all);
        assert!(least.is_none() || most == least);
    }
    let _ = arrival::is_stripped(input);
    assert!(host::address_without_port(input).len() <= host::without_port(input).len());
}

/// Lines of a header's name, `=` and its value, as a trusted peer and as a stranger send them.
pub fn forwarded(input: &[u8]) {
    let config = b"trusted 10.0.0.0/8\nreal-ip-header x-forwarded-for\nreal-ip-recursive on";
    let mut lines = Lines::read(config).expect("lines");
    let peers = TrustedPeers::take(&mut lines)
        .expect("good lines")
        .expect("somebody");
    let headers = List(
        input
            .split(|byte| *byte == b'\n')
            .map(|line| cut(line, b'='))
            .collect(),
    );
    let _ = peers.read(input, Scheme::Https, &headers);
    let stranger = peers
        .read(b"192.0.2.66:80", Scheme::Http, &headers)
        .expect("nothing is read");
    assert_eq!(stranger.client.to_string(), "192.0.2.66");
    assert_eq!((stranger.authority, stranger.port), (None, None));
    let found = match peers.read(b"10.0.0.1:80", Scheme::Http, &headers) {
        Ok(found) => found,
        Err(_) => return,
    };
    assert_ne!(found.port, Some(0));
    for path in [found.path, found.prefix].iter().flatten() {
        assert!(path.starts_with(b"/") && !path.starts_with(b"//"));
        assert!(path
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b'\\'));
    }
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    let authority = found.authority.unwrap_or_else(|| b"a".to_vec());
    assert!(!authority.is_empty() && authority.iter().all(is_good));
}

pub fn filter_config(input: &[u8]) {
    let _ = FilterConfig::parse(input);
}

pub fn table_config(input: &[u8]) {
    if let Ok(table) = TableConfig::parse(input) {
        let _ = table.cookies.strip(input);
    }
}

/// A name is what its words say.
pub fn route_name(input: &[u8]) {
    if let Some(entry) = RouteName::parse(input) {
        assert!(input.starts_with(&[entry.route, b" ", entry.service, b" "].concat()));
    }
}

/// The file before and after a change, divided by a byte 0xff.
pub fn revocations(input: &[u8]) {
    let path = std::env::temp_dir().join(format!("scopegate-fuzz-{}", std::process::id()));
    let mut book = Book::new(path.as_os_str().as_bytes());
    let mut seen = 0;
    for content in input.split(|byte| *byte == 0xff).take(4) {
        std::fs::write(&path, content).expect("a file");
        let is_read = book.read(Instant::now());
        assert!(!is_read || content.len() >= 17);
        seen = book.since(seen).1;
    }
    let _ = std::fs::remove_file(&path);
}
