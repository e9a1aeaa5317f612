//! The check protocol's responses, which the policy service's tests read, too
//! (`tests/vectors/check/README.md`).

mod support;

use scopegate_filter::check_response::{parse, Response, Verdict};
use scopegate_filter::profile::Profile;
use support::{files, json, json_list, json_object, json_or_null, json_pairs, meaning_of};

/// The message that says what a response says, in the order of the policy service.
fn written(response: &Response<'_>) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = vec![b"scopegate-check 1".to_vec()];
    let mut line = |word: &str, parts: &[&[u8]]| {
        lines.push([word.as_bytes(), b" ", &parts.concat()].concat());
    };
    match response.verdict {
        Verdict::Allow => line("verdict", &[b"allow"]),
        Verdict::Body => line("verdict", &[b"body"]),
        Verdict::Answer(status) => line("verdict", &[b"answer ", status.to_string().as_bytes()]),
    }
    response
        .reason
        .iter()
        .for_each(|reason| line("reason", &[reason]));
    response
        .remove
        .iter()
        .for_each(|name| line("remove", &[name]));
    response
        .set
        .iter()
        .for_each(|(name, value)| line("set", &[name, b":", value]));
    response
        .query
        .iter()
        .for_each(|query| line("query", &[query]));
    response
        .method
        .iter()
        .for_each(|method| line("method", &[method]));
    if response.drop_body {
        line("drop-body", &[]);
    }
    for (start, end) in &response.cuts {
        line("cut", &[format!("{start}-{end}").as_bytes()]);
    }
    response
        .client
        .iter()
        .for_each(|(name, value)| line("client", &[name, b":", value]));
    response
        .profile
        .iter()
        .for_each(|profile| line("profile", &[profile]));
    response
        .cache
        .iter()
        .for_each(|until| line("cache", &[until.to_string().as_bytes()]));
    response.tags.iter().for_each(|tag| line("tag", &[tag]));
    response
        .count
        .iter()
        .for_each(|count| line("count", &[count]));
    response
        .revoke
        .iter()
        .for_each(|tag| line("revoke", &[tag]));
    let mut message = lines.join(&b'\n');
    message.extend_from_slice(b"\n\n");
    message.extend_from_slice(response.body);
    message
}

fn meaning(response: &Response<'_>) -> String {
    let texts = |texts: &[&[u8]]| json_list(texts.iter().map(|text| json(text)));
    let optional = |text: Option<&[u8]>| json_or_null(text.map(json));
    let (verdict, status) = match response.verdict {
        Verdict::Allow => ("allow", None),
        Verdict::Body => ("body", None),
        Verdict::Answer(status) => ("answer", Some(status.to_string())),
    };
    let cuts = response
        .cuts
        .iter()
        .map(|(start, end)| format!("[{start}, {end}]"));
    let count = response
        .count
        .map(|count| json_list(count.split(|byte| *byte == b' ').map(json)));
    json_object(&[
        ("verdict", json(verdict.as_bytes())),
        ("status", json_or_null(status)),
        ("reason", optional(response.reason)),
        ("remove", texts(&response.remove)),
        ("set", json_pairs(&response.set)),
        ("query", optional(response.query)),
        ("method", optional(response.method)),
        ("drop_body", response.drop_body.to_string()),
        ("cuts", json_list(cuts)),
        ("client", json_pairs(&response.client)),
        ("profile", optional(response.profile)),
        (
            "cache",
            json_or_null(response.cache.map(|until| until.to_string())),
        ),
        ("tags", texts(&response.tags)),
        ("count", json_or_null(count)),
        ("revoke", texts(&response.revoke)),
        ("body", json(response.body)),
    ])
}

fn sorted_lines(message: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = message.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

#[test]
fn responses_mean_what_is_written() {
    let mut count = 0;
    for (name, message) in files("check/responses", "msg") {
        let response = parse(&message).unwrap_or_else(|why| panic!("{}: {}", name, why));
        assert_eq!(
            meaning(&response),
            meaning_of("check/responses", &name),
            "{}",
            name
        );
        let again = written(&response);
        if name.starts_with("unordered-") {
            assert_eq!(sorted_lines(&again), sorted_lines(&message), "{}", name);
        } else {
            assert_eq!(again, message, "{}", name);
        }
        if let Some(profile) = response.profile {
            assert!(Profile::parse(profile).is_ok(), "{}", name);
        }
        count += 1;
    }
    assert!(count >= 17);
}

#[test]
fn malformed_responses_are_refused() {
    let all = files("check/responses/malformed", "msg");
    assert!(all.len() >= 120);
    for (name, message) in all {
        let is_refused = match parse(&message) {
            Ok(response) => response
                .profile
                .map_or(false, |line| Profile::parse(line).is_err()),
            Err(_) => true,
        };
        assert!(is_refused, "{}", name);
    }
}

#[test]
fn response_over_the_limit_is_refused() {
    let head = b"scopegate-check 1\nverdict answer 200\n\n";
    let mut message = head.to_vec();
    message.resize(1 << 20, b'x');
    assert!(parse(&message).is_ok());
    message.push(b'x');
    assert!(parse(&message).is_err());
}
