//! Gateway cookies, against a plain description of what happens to them.

mod support;

use scopegate_filter::cookies::GatewayCookies;
use support::Dice;

const MARK: &[u8] = b"1AQbbbb";
const OTHER_MARK: &[u8] = b"1AQcccc";
const REST: [&[u8]; 2] = [b"session2", b"session3"];
const SPACES: &[u8] = b" \t\n\x0b\x0c\r";

/// `session` may be long and has two marks, `login` has one.
fn cookies() -> GatewayCookies {
    let mut cookies = GatewayCookies::default();
    cookies
        .add(b"session", MARK, b"session2")
        .expect("a cookie");
    cookies.add(b"login", MARK, b"-").expect("a cookie");
    cookies
        .add(b"session", OTHER_MARK, b"session3")
        .expect("a cookie");
    cookies
}

fn trimmed(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !SPACES.contains(byte))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|byte| !SPACES.contains(byte))
        .map_or(start, |last| last + 1);
    &text[start..end]
}

fn is_sealed(name: &[u8], value: &[u8]) -> bool {
    let begins =
        |mark: &[u8]| value.starts_with(mark) || value[1.min(value.len())..].starts_with(mark);
    match name {
        b"session" => begins(MARK) || begins(OTHER_MARK),
        b"login" => begins(MARK),
        _ => false,
    }
}

/// What the upstream gets of a header with few cookies.
fn described(header: &[u8]) -> Option<Vec<u8>> {
    let is_separator = |byte: &u8| b";,".contains(byte);
    let pieces: Vec<&[u8]> = header.split(is_separator).collect();
    let separators = header.iter().copied().filter(|byte| is_separator(byte));
    let named: Vec<(&[u8], Option<&[u8]>)> = pieces
        .iter()
        .map(|piece| match piece.iter().position(|byte| *byte == b'=') {
            Some(place) => (trimmed(&piece[..place]), Some(trimmed(&piece[place + 1..]))),
            None => (trimmed(piece), None),
        })
        .collect();
    let mut gone: Vec<&[u8]> = Vec::new();
    for (name, value) in &named {
        if value.map_or(false, |value| is_sealed(name, value)) {
            gone.push(name);
            if *name == b"session" {
                gone.extend(REST);
            }
        }
    }
    if gone.is_empty() {
        return Some(header.to_vec());
    }
    let mut left: Option<Vec<u8>> = None;
    let mut follows_gone = false;
    for ((piece, (name, _)), separator) in pieces
        .iter()
        .zip(&named)
        .zip([b';'].into_iter().chain(separators))
    {
        if gone.contains(name) {
            follows_gone = true;
            continue;
        }
        let start = piece
            .iter()
            .position(|byte| !SPACES.contains(byte))
            .unwrap_or(piece.len());
        left = Some(match left {
            Some(left) => [
                &left[..],
                &[if follows_gone { b';' } else { separator }],
                piece,
            ]
            .concat(),
            None if follows_gone => piece[start..].to_vec(),
            None => piece.to_vec(),
        });
        follows_gone = false;
    }
    left.filter(|left| left.iter().any(|byte| !b" \t;,".contains(byte)))
}

fn check(cookies: &GatewayCookies, header: &[u8]) {
    let left = match cookies.strip(header) {
        None => Some(header.to_vec()),
        Some(left) => left,
    };
    assert_eq!(
        left,
        described(header),
        "{}",
        String::from_utf8_lossy(header)
    );
}

#[test]
fn generated_headers_are_stripped_as_described() {
    let pieces: [&[u8]; 21] = [
        b"=",
        b";",
        b",",
        b" ",
        b"\t",
        b"a",
        b"b",
        b"1",
        b"session",
        b"login",
        MARK,
        OTHER_MARK,
        b"session2",
        b"session3",
        b"21AQbbbb",
        b"; ",
        b"session=1AQbbbbX",
        b"session=31AQccccX; ",
        b"login =",
        b"x=0123456789012345678901234567890123456789;",
        b"\xe9",
    ];
    let cookies = cookies();
    let mut dice = Dice::new(1);
    for _ in 0..30_000 {
        let header = dice.join(&pieces, 16);
        check(&cookies, &header);
    }
}

#[test]
fn sealed_cookies_go_and_others_stay() {
    for (header, left) in [
        ("a=1; session=1AQbbbbX; b=2", Some("a=1; b=2")),
        ("session=1AQbbbbX; b=2", Some("b=2")),
        ("a=1;session=21AQccccX;session2=Y,b=1", Some("a=1;b=1")),
        ("session = 1AQbbbbX", None),
        ("login=1AQbbbbX", None),
        ("login=1AQccccX", Some("login=1AQccccX")),
        (
            "session=theirs; session2=theirs",
            Some("session=theirs; session2=theirs"),
        ),
        ("Session=1AQbbbbX", Some("Session=1AQbbbbX")),
        ("session=1AQbbb", Some("session=1AQbbb")),
        ("session", Some("session")),
        ("", Some("")),
    ] {
        check(&cookies(), header.as_bytes());
        assert_eq!(
            described(header.as_bytes()).as_deref(),
            left.map(str::as_bytes),
            "{}",
            header
        );
    }
}

#[test]
fn no_more_cookies_are_gone_through_than_a_browser_keeps() {
    let cookies = cookies();
    let header =
        |count: usize, last: &str| format!("{}{}", "a=1;".repeat(count - 1), last).into_bytes();
    assert_eq!(cookies.strip(&header(1001, "a=1")), None);
    assert_eq!(
        cookies.strip(&header(1001, "login=1AQbbbb")),
        Some(Some(header(1000, "a=1")))
    );
    assert_eq!(
        cookies.strip(&header(1002, "a=1")),
        None,
        "no mark, so none of ours"
    );
    assert_eq!(cookies.strip(&header(1002, "login=1AQbbbb")), Some(None));
}

#[test]
fn odd_words_are_no_cookie() {
    let mut cookies = GatewayCookies::default();
    for (name, marks, rest) in [
        ("", "m", "-"),
        ("a", "", "-"),
        ("a", "m", ""),
        ("a,b", "m", "-"),
        ("a=b", "m", "-"),
        ("a", "m,,n", "-"),
        ("a", "m;n", "-"),
        ("a", "m", "b,"),
        ("a\t", "m", "-"),
        ("\u{e9}", "m", "-"),
    ] {
        let added = cookies.add(name.as_bytes(), marks.as_bytes(), rest.as_bytes());
        assert!(added.is_err(), "{:?}", (name, marks, rest));
    }
    assert_eq!(cookies.strip(b"a=m"), None);
}

/// A client repeats a cookie of ours and names one of its rest again and again, while many plugins
/// seal a cookie of this name with secrets of their own: the cost is that of the header's length.
#[test]
fn repeated_cookies_cost_no_more_than_their_length() {
    let mut cookies = GatewayCookies::default();
    for number in 0..400 {
        let mark = format!("1M{number:04}");
        cookies
            .add(
                b"session",
                mark.as_bytes(),
                b"session2,session3,session4,session9",
            )
            .expect("a cookie");
    }
    let header = "session=1M0399x;".repeat(500) + &"session9;".repeat(499);
    let time = |cookies: &GatewayCookies| {
        let start = std::time::Instant::now();
        for _ in 0..20 {
            assert_eq!(cookies.strip(header.as_bytes()), Some(None));
        }
        start.elapsed()
    };
    let mut one = GatewayCookies::default();
    one.add(b"session", b"1M0399", b"session9")
        .expect("a cookie");
    let (few, many) = (time(&one), time(&cookies));
    assert!(many < few * 20, "{many:?} and {few:?}");
    let many = "session=1M0399x;".repeat(2_000);
    assert_eq!(cookies.strip(many.as_bytes()), Some(None));
    let others = "theme=dark;".repeat(2_000);
    assert_eq!(cookies.strip(others.as_bytes()), None);
}
