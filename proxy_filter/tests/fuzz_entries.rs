//! The entries of fuzzing on good input, and on good input with a few bytes changed: no panic. Run
//! more of them with `SCOPEGATE_FUZZ=<times>`.

#[path = "../fuzz/entries.rs"]
mod entries;
mod support;

use support::{files, vectors, Dice};

fn times() -> usize {
    let times = std::env::var("SCOPEGATE_FUZZ").ok();
    times.and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Each example as it is, and often changed; two of them are joined at times.
fn run(examples: &[Vec<u8>], rounds: usize, entry: fn(&[u8])) {
    let mut dice = Dice::new(6);
    examples.iter().for_each(|example| entry(example));
    for _ in 0..rounds * times() {
        let mut input = examples[dice.below(examples.len())].clone();
        if dice.once_in(4) {
            let other = &examples[dice.below(examples.len())];
            let (end, start) = (dice.below(input.len() + 1), dice.below(other.len() + 1));
            input.truncate(end);
            input.extend_from_slice(&other[start..]);
        }
        entry(&dice.spoil(&input));
    }
}

fn lines(file: &str) -> Vec<Vec<u8>> {
    let content = std::fs::read(vectors(file)).expect("a file of vectors");
    let all = content
        .split(|byte| *byte == b'\n')
        .filter(|line| line.len() > 2);
    all.map(|line| {
        line[line.iter().position(|byte| *byte == b' ').expect("a space") + 1..].to_vec()
    })
    .collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const PROFILE: &str =
    "key=access-token,authorization,cookie strip=x-group,x-user arguments=access_token \
methods=OPTIONS media=urlencoded suffixes=/logout\n/a?access_token=x\ntext/html\nx_user\naccept\n";

#[test]
fn check_requests() {
    let some: Vec<Vec<u8>> = ["GET", "M-SEARCH"]
        .iter()
        .map(|method| {
            let parts: [&[u8]; 9] = [
                b"/a?b=c",
                b"r/n s 0",
                b"api.example",
                method.as_bytes(),
                b"a:8443",
                b"a=1\n\nb",
                b"accept=*/*",
                b"x-envoy-a=1",
                b"cookie=a=1; b=2",
            ];
            parts.join(&0xff)
        })
        .collect();
    run(&some, 10_000, entries::check_request);
}

#[test]
fn check_responses() {
    let good = files("check/responses", "msg");
    let malformed = files("check/responses/malformed", "msg");
    let all: Vec<Vec<u8>> = good
        .into_iter()
        .chain(malformed)
        .map(|file| file.1)
        .collect();
    run(&all, 20_000, entries::check_response);
}

#[test]
fn profiles() {
    run(&texts(&[PROFILE]), 10_000, entries::profile);
}

#[test]
fn cookies() {
    let some = [
        "a=1; s=1AQx; s2=y,b=2",
        "login=1AQ",
        "s=32AQ;s3=x; a",
        "a=1",
        " s = 2AQ , ;",
    ];
    run(&texts(&some), 20_000, entries::cookies);
}

#[test]
fn hosts_paths_and_names() {
    let mut all = lines("guard/paths.txt");
    all.extend(lines("guard/hosts.txt"));
    all.extend(lines("arrival/names.txt"));
    run(&all, 20_000, entries::guard);
}

#[test]
fn forwarded() {
    const PIECES: [&[u8]; 20] = [
        b"10.0.0.1",
        b"203.0.113.9",
        b"2001:db8::1",
        b"::",
        b"[",
        b"]",
        b":",
        b",",
        b" ",
        b".",
        b"1",
        b"80",
        b"65536",
        b"/",
        b"?",
        b"https",
        b"a.example",
        b"\\",
        b"\xe9",
        b"\n",
    ];
    const NAMES: [&str; 7] = [
        ":authority",
        "for",
        "proto",
        "host",
        "port",
        "path",
        "prefix",
    ];
    let mut dice = Dice::new(7);
    let mut some = texts(&["x-forwarded-host=a.example:80\nx-forwarded-proto=https\n:authority=b"]);
    for _ in 0..200 {
        let mut input = Vec::new();
        for name in NAMES {
            if dice.once_in(2) {
                let start = if name.starts_with(':') {
                    ""
                } else {
                    "x-forwarded-"
                };
                input.extend_from_slice(format!("{start}{name}=").as_bytes());
                input.extend_from_slice(&dice.join(&PIECES, 3));
                input.push(b'\n');
            }
        }
        some.push(input);
    }
    run(&some, 50_000, entries::forwarded);
}

#[test]
fn configurations() {
    let filter =
        "policy-cluster p\npolicy-socket /p\npolicy-timeout-ms 15000\nbody-limit-bytes 65536\n\
        revocations /r\ncache-entries 10000\ncache-bytes 16777216\nheaders-limit-bytes 61440\n\
        headers-limit-count 100\ndebug-header on\n";
    run(&texts(&[filter]), 5_000, entries::filter_config);
    let table = "cookie s 1AQ,2AQ s2,s3\ncookie login 1AQ -\nrefuse trailing-dots\nrefuse path-parameters\n";
    run(&texts(&[table]), 5_000, entries::table_config);
    let names = [
        "r/n s/m 0123456789abcdef0123456789abcdef slashes,parameters",
        "no-route - open",
    ];
    run(&texts(&names), 5_000, entries::route_name);
}

#[test]
fn revocations() {
    let epoch = b"0123456789abcdef\n".to_vec();
    let tags = [&epoch[..], b"00ab\n00cd\n"].concat();
    let all = vec![
        epoch.clone(),
        tags.clone(),
        [&epoch[..], b"\xff", &tags, b"\xff", &epoch, b"00"].concat(),
        [&tags[..], b"\xff\xff", b"fedcba9876543210\n", &tags].concat(),
    ];
    run(&all, 1_000, entries::revocations);
}
