//! One request from start to end, with a stream that is no Envoy.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use scopegate_filter::filter::Request;
use scopegate_filter::filter_config::FilterConfig;
use scopegate_filter::flow::{Answer, BodyFlow, Flow};
use scopegate_filter::revocations;
use scopegate_filter::stream::{Fact, Headers, Level, List, Reply, Stream};
use scopegate_filter::table_config::TableConfig;

const PROFILE: &str = "profile key=authorization,cookie strip=x-user,x-consumer-id arguments=token methods= media=urlencoded suffixes=/logout";
static POLICIES: AtomicU32 = AtomicU32::new(1);
/// Revocations are the process's: tests that revoke or read the file run one by one.
static ONE_BY_ONE: Mutex<()> = Mutex::new(());

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
/// Status, headers, body and details.
type Replied = (u16, Pairs, Vec<u8>, String);

struct Fake {
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    response_headers: Vec<(Vec<u8>, Vec<u8>)>,
    trailers: usize,
    route: Option<Vec<u8>>,
    table: Option<TableConfig>,
    body: Vec<u8>,
    sends: bool,
    panics: bool,
    asked: VecDeque<Vec<u8>>,
    replies: Vec<Replied>,
    reason: Option<Vec<u8>>,
    logged: std::cell::RefCell<Vec<String>>,
}

impl Headers for Fake {
    fn list(&self) -> List<'_> {
        assert!(!self.panics, "a fault");
        List(
            self.headers
                .iter()
                .map(|each| (&*each.0, &*each.1))
                .collect(),
        )
    }
    fn set_header(&mut self, name: &[u8], value: &[u8]) {
        self.remove_header(name);
        if !value.is_empty() {
            self.add_header(name, value);
        }
    }
    fn add_header(&mut self, name: &[u8], value: &[u8]) {
        self.headers.push((name.to_vec(), value.to_vec()));
    }
    fn remove_header(&mut self, name: &[u8]) {
        self.headers.retain(|each| each.0 != name);
    }
    fn fact(&self, fact: Fact) -> Option<&[u8]> {
        match fact {
            Fact::ClientAddress => Some(b"192.0.2.7:4711"),
            Fact::Protocol => Some(b"HTTP/1.1"),
            Fact::TlsVersion | Fact::ServerName | Fact::ResponseDetails => None,
        }
    }
}

impl Stream for Fake {
    fn remove_trailers(&mut self) {
        self.trailers = 0;
    }
    fn add_response_header(&mut self, name: &[u8], value: &[u8]) {
        self.response_headers.push((name.to_vec(), value.to_vec()));
    }
    fn response_list(&self) -> List<'_> {
        let pairs = self.response_headers.iter();
        List(pairs.map(|each| (&*each.0, &*each.1)).collect())
    }
    fn remove_response_header(&mut self, name: &[u8]) {
        self.response_headers.retain(|each| each.0 != name);
    }
    fn add_via(&mut self) {
        self.add_response_header(b"via", b"1.1 scopegate");
    }
    fn table(&self) -> Option<&TableConfig> {
        self.table.as_ref()
    }
    fn route_name(&self) -> Option<&[u8]> {
        self.route.as_deref()
    }
    fn body_size(&self) -> usize {
        self.body.len()
    }
    fn body(&self) -> Vec<u8> {
        self.body.clone()
    }
    fn replace_body(&mut self, body: &[u8]) {
        self.body = body.to_vec();
    }
    fn drop_arrived_body(&mut self) {
        self.body.clear();
    }
    fn hold_back_up_to(&mut self, _bytes: usize) {}
    fn ask(&mut self, message: &[u8], timeout_ms: u64) -> bool {
        assert!(timeout_ms > 0 && timeout_ms <= 1_000);
        if self.sends {
            self.asked.push_back(message.to_vec());
        }
        self.sends
    }
    fn reply(&mut self, reply: &Reply<'_>) {
        let headers = reply
            .headers
            .iter()
            .map(|(n, v)| (n.to_vec(), v.to_vec()))
            .collect();
        self.replies.push((
            reply.status,
            headers,
            reply.body.to_vec(),
            reply.details.to_owned(),
        ));
    }
    fn note(&mut self, key: &[u8], value: &[u8]) {
        if key == b"reason" {
            self.reason = Some(value.to_vec());
        }
    }
    fn log(&self, _level: Level, text: &str) {
        self.logged.borrow_mut().push(text.to_owned());
    }
}

impl Fake {
    fn new(route: &str, headers: &[(&str, &str)]) -> Fake {
        let mut all = vec![
            (b":authority".to_vec(), b"api.example:8000".to_vec()),
            (b":path".to_vec(), b"/a?x=1".to_vec()),
            (b":method".to_vec(), b"GET".to_vec()),
            (b":scheme".to_vec(), b"http".to_vec()),
            (
                b"x-kong-request-id".to_vec(),
                b"0123456789abcdef0123456789abcdef".to_vec(),
            ),
        ];
        for (name, value) in headers {
            all.retain(|each| !name.starts_with(':') || each.0 != name.as_bytes());
            all.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        Fake {
            headers: all,
            response_headers: Vec::new(),
            trailers: 1,
            route: Some(route.as_bytes().to_vec()),
            table: Some(
                TableConfig::parse(b"cookie session 1AQ -\nrefuse path-parameters\n").unwrap(),
            ),
            body: Vec::new(),
            sends: true,
            panics: false,
            asked: VecDeque::new(),
            replies: Vec::new(),
            reason: None,
            logged: std::cell::RefCell::default(),
        }
    }

    fn protected(policy: &str, headers: &[(&str, &str)]) -> Fake {
        Fake::new(&format!("r/route s/service {policy}"), headers)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let found = self.list().find(name.as_bytes())?.0;
        Some(std::str::from_utf8(found).unwrap())
    }

    fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.replies.len(), 1, "{:?}", self.replies);
        (self.replies[0].0, &self.replies[0].3)
    }
}

fn config(revocations: &str) -> Arc<FilterConfig> {
    let text = format!(
        "policy-cluster p\npolicy-socket /nowhere\npolicy-timeout-ms 1000\nbody-limit-bytes 16\n\
         revocations {revocations}\ncache-entries 100\ncache-bytes 100000\nheaders-limit-bytes 4000\n\
         headers-limit-count 50\ndebug-header on\n"
    );
    Arc::new(FilterConfig::parse(text.as_bytes()).unwrap())
}

fn request() -> Request {
    Request::new(config("/nowhere"))
}

fn new_policy() -> String {
    format!("{:032x}", POLICIES.fetch_add(1, Ordering::Relaxed))
}

fn message(lines: &[&str], body: &str) -> Answer {
    Answer::Message(format!("scopegate-check 1\n{}\n\n{body}", lines.join("\n")).into_bytes())
}

/// A file of revocations of this test's own, which is read.
fn revocation_file(name: &str) -> (std::path::PathBuf, MutexGuard<'static, ()>) {
    let held = ONE_BY_ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = std::env::temp_dir().join(format!("scopegate-{}-{name}", std::process::id()));
    std::fs::write(&path, b"0123456789abcdef\n").unwrap();
    revocations::configure(path.to_str().unwrap().as_bytes());
    (path, held)
}

const LATER: &str = "cache 99999999999";

/// Asks once for this credential and has it allowed and cached.
fn cache(policy: &str, token: &str, lines: &[&str]) {
    let mut stream = Fake::protected(policy, &[("authorization", token)]);
    let mut asking = request();
    asking.on_headers(true, &mut stream);
    assert_eq!(stream.asked.len(), 1);
    let all: Vec<&str> = [&["verdict allow", PROFILE, LATER][..], lines].concat();
    asking.on_answer(message(&all, ""), &mut stream);
    assert_eq!(asking.flow(), Flow::Continue, "{:?}", stream.replies);
}

fn is_cached(policy: &str, headers: &[(&str, &str)]) -> bool {
    let mut stream = Fake::protected(policy, headers);
    let mut next = request();
    next.on_headers(true, &mut stream);
    assert_eq!(next.flow() == Flow::Continue, stream.asked.is_empty());
    stream.asked.is_empty()
}

#[test]
fn an_open_route_asks_nobody() {
    let mut stream = Fake::new("r - open", &[("cookie", "session=1AQzzz; a=b")]);
    let mut request = request();
    request.on_headers(true, &mut stream);
    assert_eq!(request.flow(), Flow::Continue);
    assert!(stream.asked.is_empty());
    assert_eq!(stream.value("x-forwarded-host"), Some("api.example"));
    assert_eq!(stream.value("cookie"), Some("a=b"));
}

#[test]
fn a_route_that_does_not_say_who_decides_is_refused() {
    for name in ["r s", "r", "", "r s 0123", "r s open more", "no-route"] {
        let mut stream = Fake::new(name, &[]);
        let mut request = request();
        request.on_headers(true, &mut stream);
        assert_eq!(request.flow(), Flow::Stop);
        assert_eq!(
            stream.refusal(),
            (503, "scopegate.policy_undecided"),
            "{name}"
        );
    }
}

#[test]
fn without_a_table_or_a_route_nothing_goes_on() {
    for lose in [
        |fake: &mut Fake| fake.table = None,
        |fake: &mut Fake| fake.route = None,
    ] {
        let mut stream = Fake::new("r - open", &[]);
        lose(&mut stream);
        let mut request = request();
        request.on_headers(true, &mut stream);
        assert_eq!(request.flow(), Flow::Stop);
        assert_eq!(stream.refusal().0, 503);
    }
}

#[test]
fn the_guard_comes_before_everything() {
    let mut stream = Fake::protected(&new_policy(), &[(":path", "/a;b/c")]);
    request().on_headers(true, &mut stream);
    assert_eq!(stream.refusal(), (400, "scopegate.path_parameters"));
    assert!(stream.asked.is_empty());
    assert_eq!(stream.reason.as_deref(), Some(&b"path_parameters"[..]));
}

#[test]
fn a_request_waits_for_its_decision() {
    let policy = new_policy();
    let mut stream = Fake::protected(&policy, &[("authorization", "Bearer a"), ("x-b", "2")]);
    let mut request = request();
    request.on_headers(false, &mut stream);
    assert_eq!(request.flow(), Flow::Stop);
    assert_eq!(request.on_body(false, &mut stream), BodyFlow::HoldBack);
    let asked = String::from_utf8(stream.asked[0].clone()).unwrap();
    assert_eq!(
        asked,
        format!(
            "scopegate-check 1\npolicy {policy}\nroute r/route s/service {policy}\nid 0123456789abcdef0123456789abcdef\n\
             client 192.0.2.7\nprotocol HTTP/1.1\nmethod GET\nscheme http\n\
             authority api.example:8000\npath /a\nquery x=1\nbody not-read\n\n\
             authorization:Bearer a\nx-b:2\n\n"
        )
    );
    let allow = [
        "verdict allow",
        "set x-user:ann",
        "remove x-b",
        "client set-cookie:a=b",
        "query y=2",
        "method POST",
    ];
    request.on_answer(message(&allow, ""), &mut stream);
    assert_eq!(request.flow(), Flow::Continue);
    assert_eq!(stream.value("x-user"), Some("ann"));
    assert_eq!(stream.value("x-b"), None);
    assert_eq!(stream.value(":path"), Some("/a?y=2"));
    assert_eq!(stream.value(":method"), Some("POST"));
    stream.add_response_header(b"x-kong-request-id", b"another's");
    request.on_response_headers(false, &mut stream);
    let names: Vec<&str> = stream
        .response_headers
        .iter()
        .map(|each| std::str::from_utf8(&each.0).unwrap())
        .collect();
    let told = [
        "x-kong-request-id",
        "x-kong-upstream-latency",
        "x-kong-proxy-latency",
        "via",
        "set-cookie",
    ];
    assert_eq!(names, told);
    assert_eq!(
        stream.response_headers[0].1,
        b"0123456789abcdef0123456789abcdef"
    );
}

#[test]
fn an_answer_of_the_policy_service_goes_to_the_client() {
    let mut stream = Fake::protected(
        &new_policy(),
        &[
            ("content-type", "application/grpc+proto"),
            ("kong-debug", "1"),
        ],
    );
    let mut request = request();
    request.on_headers(true, &mut stream);
    request.on_answer(
        message(
            &["verdict answer 403", "reason scopes_missing", "client x:y"],
            "no",
        ),
        &mut stream,
    );
    let (status, headers, body, details) = stream.replies.remove(0);
    assert_eq!(
        (status, &*body, &*details),
        (403, &b"no"[..], "scopegate.policy")
    );
    let has = |name: &str, value: &str| {
        headers.contains(&(name.as_bytes().to_vec(), value.as_bytes().to_vec()))
    };
    assert!(
        has("x", "y") && has("grpc-status", "7") && has("kong-route-name", "route"),
        "{headers:?}"
    );
    assert_eq!(stream.reason.as_deref(), Some(&b"scopes_missing"[..]));
    assert_eq!(request.flow(), Flow::Stop);
    assert_eq!(request.on_body(true, &mut stream), BodyFlow::Drop);
}

#[test]
fn whatever_is_no_whole_answer_is_a_refusal() {
    let cases: Vec<(Answer, &str)> = vec![
        (Answer::Late, "scopegate.policy_unavailable"),
        (Answer::TooLarge, "scopegate.policy_answer_broken"),
        (
            Answer::Message(Vec::new()),
            "scopegate.policy_answer_broken",
        ),
        (
            Answer::Message(b"scopegate-check 1\nverdict allow\n".to_vec()),
            "scopegate.policy_answer_broken",
        ),
        (
            Answer::Message(vec![b'x'; 10 << 20]),
            "scopegate.policy_answer_broken",
        ),
        (
            message(&["verdict allow", "profile key=cookie"], ""),
            "scopegate.policy_answer_broken",
        ),
        (
            message(&["verdict allow", "cut 0-9"], ""),
            "scopegate.policy_answer_broken",
        ),
        (
            message(&["verdict perhaps"], ""),
            "scopegate.policy_answer_broken",
        ),
    ];
    for (answer, details) in cases {
        let mut stream = Fake::protected(&new_policy(), &[]);
        let mut request = request();
        request.on_headers(true, &mut stream);
        request.on_answer(answer, &mut stream);
        assert_eq!(stream.refusal().1, details);
        assert_eq!(request.flow(), Flow::Stop);
        assert!(!stream.logged.borrow().is_empty());
    }
}

#[test]
fn a_worker_that_is_gone_is_asked_again_three_times() {
    let mut stream = Fake::protected(&new_policy(), &[]);
    let mut request = request();
    request.on_headers(true, &mut stream);
    for tries in 2..=4 {
        std::thread::sleep(std::time::Duration::from_millis(25)); // it took the check
        request.on_answer(Answer::None, &mut stream);
        assert_eq!(stream.asked.len(), tries);
    }
    assert_eq!(stream.asked[0], stream.asked[3]);
    std::thread::sleep(std::time::Duration::from_millis(25));
    request.on_answer(Answer::None, &mut stream);
    assert_eq!(stream.refusal(), (503, "scopegate.policy_unavailable"));
}

#[test]
fn connections_that_a_killed_worker_left_are_gone_through() {
    let mut stream = Fake::protected(&new_policy(), &[]);
    let mut request = request();
    request.on_headers(true, &mut stream);
    for _ in 0..32 {
        request.on_answer(Answer::None, &mut stream);
    }
    assert_eq!((stream.asked.len(), stream.replies.len()), (33, 0));
    request.on_answer(Answer::None, &mut stream);
    assert_eq!(stream.refusal(), (503, "scopegate.policy_unavailable"));
}

#[test]
fn a_check_that_cannot_be_sent_is_a_refusal() {
    let mut stream = Fake::protected(&new_policy(), &[]);
    stream.sends = false;
    let mut request = request();
    request.on_headers(true, &mut stream);
    assert_eq!(stream.refusal(), (503, "scopegate.policy_unavailable"));
    assert_eq!(
        stream.replies[0].1,
        [(b"retry-after".to_vec(), b"5".to_vec())]
    );
}

#[test]
fn what_no_message_can_hold_is_refused() {
    for (name, value) in [
        (":path", "/a b"),
        (":path", "/a?\u{e4}"),
        (":method", "get"),
        ("x-a", "a\rb"),
    ] {
        let mut stream = Fake::protected(&new_policy(), &[(name, value)]);
        request().on_headers(true, &mut stream);
        assert_eq!(stream.refusal().0, 400, "{name}");
        assert!(stream.asked.is_empty());
    }
}

#[test]
fn the_body_is_sent_where_it_is_wanted() {
    let mut stream = Fake::protected(
        &new_policy(),
        &[(":method", "POST"), ("content-length", "9")],
    );
    let mut request = request();
    request.on_headers(false, &mut stream);
    stream.body = b"token".to_vec();
    assert_eq!(request.on_body(false, &mut stream), BodyFlow::HoldBack);
    request.on_answer(message(&["verdict body"], ""), &mut stream);
    assert_eq!(stream.asked.len(), 1, "it is not whole yet");
    stream.body = b"token=abc".to_vec();
    assert_eq!(request.on_body(true, &mut stream), BodyFlow::HoldBack);
    assert!(stream.asked[1].ends_with(b"\nbody whole\n\ncontent-length:9\n\ntoken=abc"));
    request.on_answer(message(&["verdict allow", "cut 0-6"], ""), &mut stream);
    assert_eq!(
        (&*stream.body, stream.value("content-length")),
        (&b"abc"[..], Some("3"))
    );
    assert_eq!(request.flow(), Flow::Continue);
}

#[test]
fn a_body_over_the_limit_is_not_sent() {
    let mut stream = Fake::protected(&new_policy(), &[(":method", "POST")]);
    let mut request = request();
    request.on_headers(false, &mut stream);
    stream.body = vec![b'a'; 17];
    request.on_answer(message(&["verdict body"], ""), &mut stream);
    assert!(stream.asked[1].ends_with(b"\nbody too-large\n\n\n"));
    request.on_answer(message(&["verdict body"], ""), &mut stream);
    assert_eq!(stream.refusal(), (500, "scopegate.policy_answer_broken"));
}

#[test]
fn a_dropped_body_goes_nowhere_however_late_it_comes() {
    let mut stream = Fake::protected(&new_policy(), &[(":method", "POST")]);
    let mut request = request();
    request.on_headers(false, &mut stream);
    request.on_answer(
        message(&["verdict allow", "drop-body ", "method GET"], ""),
        &mut stream,
    );
    stream.body = b"late".to_vec();
    assert_eq!(request.on_body(true, &mut stream), BodyFlow::Continue);
    assert!(stream.body.is_empty());
    assert_eq!(stream.value("content-length"), Some("0"));
}

#[test]
fn trailers_never_go_on() {
    let mut stream = Fake::new("r - open", &[]);
    let mut request = request();
    request.on_headers(false, &mut stream);
    request.on_trailers(&mut stream);
    assert_eq!((stream.trailers, request.flow()), (0, Flow::Continue));
}

#[test]
fn a_panic_is_a_refusal() {
    let mut stream = Fake::protected(&new_policy(), &[]);
    let mut request = request();
    request.on_headers(true, &mut stream);
    request.on_panic(&mut stream);
    assert_eq!(stream.refusal(), (500, "scopegate.filter_fault"));
    request.on_answer(message(&["verdict allow"], ""), &mut stream);
    assert_eq!(request.flow(), Flow::Stop);
}

#[test]
fn headers_that_are_too_large_with_ours_are_a_431() {
    let mut stream = Fake::protected(&new_policy(), &[]);
    let mut request = request();
    request.on_headers(true, &mut stream);
    let long = format!("set x-user:{}", "a".repeat(4000));
    request.on_answer(message(&["verdict allow", &long], ""), &mut stream);
    assert_eq!(stream.refusal(), (431, "scopegate.headers_too_large"));
}

#[test]
fn a_cached_decision_is_for_the_same_credential_only() {
    let (path, _held) = revocation_file("same");
    let policy = new_policy();
    cache(&policy, "Bearer a", &["set x-user:ann", "remove x-odd"]);
    let mut stream = Fake::protected(
        &policy,
        &[
            ("authorization", "Bearer a"),
            ("x_user", "eve"),
            ("x-consumer-id", "1"),
            ("x-odd", "1"),
            ("x-other", "1"),
        ],
    );
    let mut next = request();
    next.on_headers(true, &mut stream);
    assert!(stream.asked.is_empty());
    assert_eq!(next.flow(), Flow::Continue);
    assert_eq!(stream.value("x-user"), Some("ann"));
    for gone in ["x_user", "x-consumer-id", "x-odd"] {
        assert_eq!(stream.value(gone), None, "{gone}");
    }
    assert_eq!(stream.value("x-other"), Some("1"));
    let asked: [&[(&str, &str)]; 9] = [
        &[("authorization", "Bearer b")],
        &[],
        &[("authorization", "Bearer a"), ("cookie", "a=b")],
        &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
        &[("authorization", "Bearer a"), (":path", "/a?TOKEN=1")],
        &[("authorization", "Bearer a"), (":path", "/a?tok%65n=1")],
        &[("authorization", "Bearer a"), (":path", "/logout?x")],
        &[("authorization", "Bearer a"), (":method", "PURGE")],
        &[
            ("authorization", "Bearer a"),
            ("content-type", "Application/X-WWW-Form-URLEncoded"),
        ],
    ];
    for headers in asked {
        assert!(!is_cached(&policy, headers), "{headers:?}");
    }
    assert!(!is_cached(&new_policy(), &[("authorization", "Bearer a")]));
    assert!(is_cached(
        &policy,
        &[("authorization", "Bearer a"), (":path", "/b?tokens=1")]
    ));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn aliases_go_when_asked_as_when_cached() {
    let mut stream = Fake::protected(
        &new_policy(),
        &[("x_user", "eve"), ("x-user", "eve"), ("x.consumer.id", "1")],
    );
    let mut request = request();
    request.on_headers(true, &mut stream);
    request.on_answer(message(&["verdict allow", PROFILE], ""), &mut stream);
    for gone in ["x_user", "x-user", "x.consumer.id"] {
        assert_eq!(stream.value(gone), None, "{gone}");
    }
}

#[test]
fn a_revocation_ends_a_cached_decision_at_once() {
    let (path, _held) = revocation_file("revoked");
    let policy = new_policy();
    cache(&policy, "Bearer a", &["tag ab12"]);
    cache(&policy, "Bearer b", &["tag cd34"]);
    cache(&policy, "Bearer c", &["tag ef56"]);
    assert!(is_cached(&policy, &[("authorization", "Bearer a")]));
    let mut stream = Fake::protected(&policy, &[("authorization", "Bearer z")]);
    let mut logout = request();
    logout.on_headers(true, &mut stream);
    logout.on_answer(
        message(&["verdict answer 302", "revoke ab12"], ""),
        &mut stream,
    );
    assert!(!is_cached(&policy, &[("authorization", "Bearer a")]));
    assert!(is_cached(&policy, &[("authorization", "Bearer b")]));
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(b"cd34\nef").unwrap();
    revocations::refresh();
    assert!(!is_cached(&policy, &[("authorization", "Bearer b")]));
    assert!(
        is_cached(&policy, &[("authorization", "Bearer c")]),
        "its line is not whole"
    );
    file.write_all(b"56\n").unwrap();
    revocations::refresh();
    assert!(!is_cached(&policy, &[("authorization", "Bearer c")]));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_was_revoked_since_it_was_asked_is_not_cached() {
    let (path, _held) = revocation_file("since");
    let policy = new_policy();
    let mut stream = Fake::protected(&policy, &[("authorization", "Bearer a")]);
    let mut asking = request();
    asking.on_headers(true, &mut stream);
    revocations::revoke_now(&[b"ab12"]);
    asking.on_answer(
        message(&["verdict allow", PROFILE, LATER, "tag ab12"], ""),
        &mut stream,
    );
    assert_eq!(asking.flow(), Flow::Continue);
    assert!(!is_cached(&policy, &[("authorization", "Bearer a")]));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn without_the_file_nothing_cached_counts() {
    let (path, _held) = revocation_file("gone");
    let policy = new_policy();
    cache(&policy, "Bearer a", &[]);
    std::fs::remove_file(&path).unwrap();
    revocations::refresh();
    assert!(!is_cached(&policy, &[("authorization", "Bearer a")]));
    std::fs::write(&path, b"0123456789abcdef\n").unwrap();
    revocations::refresh();
    assert!(
        !is_cached(&policy, &[("authorization", "Bearer a")]),
        "what was lost is not known"
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn another_epoch_or_a_shorter_file_ends_everything() {
    let (path, _held) = revocation_file("epoch");
    let policy = new_policy();
    for content in ["fedcba9876543210\nab\n", "fedcba9876543210\n"] {
        cache(&policy, "Bearer a", &[]);
        assert!(is_cached(&policy, &[("authorization", "Bearer a")]));
        std::fs::write(&path, content).unwrap();
        revocations::refresh();
        assert!(
            !is_cached(&policy, &[("authorization", "Bearer a")]),
            "{content}"
        );
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_cached_decision_ends_in_its_second() {
    let (path, _held) = revocation_file("ends");
    let policy = new_policy();
    let mut stream = Fake::protected(&policy, &[("authorization", "Bearer a")]);
    let mut asking = request();
    asking.on_headers(true, &mut stream);
    asking.on_answer(
        message(&["verdict allow", PROFILE, "cache 1000"], ""),
        &mut stream,
    );
    assert!(!is_cached(&policy, &[("authorization", "Bearer a")]));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_upgrade_has_no_body_to_wait_for() {
    let upgrade = [("connection", "Upgrade, x-user"), ("upgrade", "websocket")];
    let mut stream = Fake::protected(&new_policy(), &upgrade);
    let mut request = request();
    request.on_headers(false, &mut stream);
    request.on_answer(message(&["verdict body"], ""), &mut stream);
    let asked = stream.asked.back().expect("asked again");
    assert!(asked.windows(12).any(|part| part == b"\nbody whole\n"));
    request.on_answer(message(&["verdict allow"], ""), &mut stream);
    assert_eq!(request.flow(), Flow::Continue);
    assert_eq!(stream.value("connection"), Some("Upgrade"));
}
