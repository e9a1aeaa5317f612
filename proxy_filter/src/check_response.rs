//! Reads check responses (`docs/check-protocol.md`). What breaks a rule of that page is malformed,
//! and malformed is a refusal.

use crate::check_request::is_token;

/// More is malformed.
pub const SIZE_LIMIT: usize = 1 << 20;

/// A name and a value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// Why a response is malformed.
pub type Malformed = &'static str;

/// What the policy service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request goes on.
    Allow,
    /// The client gets this status.
    Answer(u16),
    /// Ask again with the body.
    Body,
}

/// A check response, as slices of its message.
#[derive(Debug)]
pub struct Response<'a> {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// Reason code.
    pub reason: Option<&'a [u8]>,
    /// Request headers for the upstream.
    pub set: Vec<Pair<'a>>,
    /// Request headers that do not go on.
    pub remove: Vec<&'a [u8]>,
    /// The query for the upstream.
    pub query: Option<&'a [u8]>,
    /// The method for the upstream.
    pub method: Option<&'a [u8]>,
    /// The upstream gets no body.
    pub drop_body: bool,
    /// Ranges of the body that do not go on: start and end, rising.
    pub cuts: Vec<(usize, usize)>,
    /// Headers for the client.
    pub client: Vec<Pair<'a>>,
    /// What the policy looks at.
    pub profile: Option<&'a [u8]>,
    /// Unix second in which the decision stops being good.
    pub cache: Option<u64>,
    /// Revocations that end the cached decision.
    pub tags: Vec<&'a [u8]>,
    /// Under which label uses are counted.
    pub count: Option<&'a [u8]>,
    /// Cached decisions with these tags end now.
    pub revoke: Vec<&'a [u8]>,
    /// Body of the answer to the client.
    pub body: &'a [u8],
}

/// The response in a message.
pub fn parse(message: &[u8]) -> Result<Response<'_>, Malformed> {
    if message.len() > SIZE_LIMIT {
        return Err("it is over 1 MiB");
    }
    let mut rest = message;
    if next_line(&mut rest) != Some(b"scopegate-check 1") {
        return Err("its first line is not 'scopegate-check 1'");
    }
    let (word, value) = split(next_line(&mut rest).ok_or("it ends in its head")?)?;
    if word != b"verdict" {
        return Err("its second line is not a verdict");
    }
    let mut response = empty(verdict_of(value)?);
    loop {
        let line = next_line(&mut rest).ok_or("it ends in its head")?;
        if line.is_empty() {
            break;
        }
        let (word, value) = split(line)?;
        take(&mut response, word, value)?;
    }
    response.body = rest;
    check(&response)?;
    Ok(response)
}

fn empty<'a>(verdict: Verdict) -> Response<'a> {
    Response {
        verdict,
        reason: None,
        set: Vec::new(),
        remove: Vec::new(),
        query: None,
        method: None,
        drop_body: false,
        cuts: Vec::new(),
        client: Vec::new(),
        profile: None,
        cache: None,
        tags: Vec::new(),
        count: None,
        revoke: Vec::new(),
        body: &[],
    }
}

fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = rest.get(..end)?;
    *rest = rest.get(end.checked_add(1)?..)?;
    Some(line)
}

fn split(line: &[u8]) -> Result<Pair<'_>, Malformed> {
    if line
        .iter()
        .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
    {
        return Err("a line has a control character");
    }
    let space = line
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or("a line has no value")?;
    let (word, value) = line.split_at(space);
    Ok((word, value.get(1..).unwrap_or_default()))
}

fn verdict_of(value: &[u8]) -> Result<Verdict, Malformed> {
    match value {
        b"allow" => Ok(Verdict::Allow),
        b"body" => Ok(Verdict::Body),
        _ => {
            let status = value.strip_prefix(b"answer ").and_then(number);
            match status.and_then(|status| u16::try_from(status).ok()) {
                Some(status) if (200..600).contains(&status) => Ok(Verdict::Answer(status)),
                _ => Err("its verdict is unknown"),
            }
        }
    }
}

fn take<'a>(response: &mut Response<'a>, word: &[u8], value: &'a [u8]) -> Result<(), Malformed> {
    let is_allow = response.verdict == Verdict::Allow;
    let is_answer = matches!(response.verdict, Verdict::Answer(_));
    match word {
        b"reason" if is_allow || is_answer => {
            if !is_word(value) {
                return Err("its reason is not a code");
            }
            once(&mut response.reason, value)
        }
        b"set" if is_allow => {
            let pair = header(value)?;
            if is_reserved(pair.0) {
                return Err("it sets a header that is not a policy's");
            }
            response.set.push(pair);
            Ok(())
        }
        b"remove" if is_allow => {
            if !is_token(value) || is_framing(value) {
                return Err("it removes what is not a header of a client's");
            }
            response.remove.push(value);
            Ok(())
        }
        b"query" if is_allow => {
            if !value
                .iter()
                .all(|byte| (b'!'..=b'~').contains(byte) && *byte != b'#')
            {
                return Err("its query has bytes that no query has");
            }
            once(&mut response.query, value)
        }
        b"method" if is_allow => {
            if !is_method(value) {
                return Err("its method is none");
            }
            once(&mut response.method, value)
        }
        b"drop-body" if is_allow && value.is_empty() && !response.drop_body => {
            response.drop_body = true;
            Ok(())
        }
        b"cut" if is_allow => cut(response, value),
        b"client" if is_allow || is_answer => {
            let pair = header(value)?;
            if is_framing(pair.0) {
                return Err("it tells the client what frames a message");
            }
            response.client.push(pair);
            Ok(())
        }
        b"profile" if is_allow => once(&mut response.profile, value),
        b"cache" if is_allow => once(
            &mut response.cache,
            number(value).ok_or("its cache is not a time")?,
        ),
        b"tag" if is_allow => {
            if !is_hex(value) {
                return Err("a tag is not hexadecimal");
            }
            response.tags.push(value);
            Ok(())
        }
        b"count" if is_allow => {
            let spaces = value.iter().filter(|byte| **byte == b' ').count();
            if spaces != 1 || !value.split(|byte| *byte == b' ').all(is_word_or_dash) {
                return Err("its count is not a plugin id and a reason");
            }
            once(&mut response.count, value)
        }
        b"revoke" => {
            if !is_hex(value) {
                return Err("a tag is not hexadecimal");
            }
            response.revoke.push(value);
            Ok(())
        }
        _ => Err("a line does not fit its verdict, or is unknown"),
    }
}

/// What one line alone does not show.
fn check(response: &Response<'_>) -> Result<(), Malformed> {
    let is_cached = response.cache.is_some();
    if is_cached && response.profile.is_none() {
        return Err("it is to be cached and has no profile");
    }
    if !is_cached && (!response.tags.is_empty() || response.count.is_some()) {
        return Err("it has tags or a count and is not to be cached");
    }
    let changes_more = response.query.is_some()
        || response.method.is_some()
        || response.drop_body
        || !response.cuts.is_empty();
    if is_cached && changes_more {
        return Err("it is to be cached and changes more than request headers");
    }
    if response.drop_body && !response.cuts.is_empty() {
        return Err("it cuts a body that it drops");
    }
    if !matches!(response.verdict, Verdict::Answer(_)) && !response.body.is_empty() {
        return Err("it has a body that nobody gets");
    }
    Ok(())
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    if place.is_some() {
        return Err("a line is there twice");
    }
    *place = Some(value);
    Ok(())
}

fn cut(response: &mut Response<'_>, value: &[u8]) -> Result<(), Malformed> {
    let wrong = "a cut is not a rising range";
    let dash = value.iter().position(|byte| *byte == b'-').ok_or(wrong)?;
    let (start, end) = value.split_at(dash);
    let place = |text: &[u8]| number(text).and_then(|number| usize::try_from(number).ok());
    let start = place(start).ok_or(wrong)?;
    let end = place(end.get(1..).unwrap_or_default()).ok_or(wrong)?;
    let from = response.cuts.last().map_or(0, |last| last.1);
    if start < from || end < start {
        return Err(wrong);
    }
    response.cuts.push((start, end));
    Ok(())
}

fn header(value: &[u8]) -> Result<Pair<'_>, Malformed> {
    let colon = value
        .iter()
        .position(|byte| *byte == b':')
        .ok_or("a header has no value")?;
    let (name, value) = value.split_at(colon);
    if !is_token(name) {
        return Err("a header's name is not a lower-case name");
    }
    Ok((name, value.get(1..).unwrap_or_default()))
}

/// A decimal number of at most 18 digits, without leading zeros.
fn number(text: &[u8]) -> Option<u64> {
    let has_leading_zero = text.len() > 1 && text.first() == Some(&b'0');
    if text.is_empty() || text.len() > 18 || has_leading_zero {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = u64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn is_method(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
}

fn is_word(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_')
}

fn is_word_or_dash(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
}

fn is_hex(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= 128 && text.iter().all(u8::is_ascii_hexdigit)
}

/// What frames a message, or names its server: a policy that set it would break requests.
fn is_framing(name: &[u8]) -> bool {
    matches!(
        name,
        b"host"
            | b"connection"
            | b"content-length"
            | b"transfer-encoding"
            | b"te"
            | b"trailer"
            | b"upgrade"
            | b"keep-alive"
            | b"proxy-connection"
    )
}

/// As `is_reserved_header` of `plugins/lowering.py`: in any spelling, since many servers read `_` as
/// `-`.
fn is_reserved(name: &[u8]) -> bool {
    let name: Vec<u8> = name
        .iter()
        .map(|byte| if *byte == b'_' { b'-' } else { *byte })
        .collect();
    is_framing(&name)
        || matches!(
            &*name,
            b"expect"
                | b"via"
                | b"x-kong-request-id"
                | b"x-real-ip"
                | b"x-forwarded-for"
                | b"x-forwarded-host"
                | b"x-forwarded-path"
                | b"x-forwarded-port"
                | b"x-forwarded-prefix"
                | b"x-forwarded-proto"
        )
        || name.starts_with(b"x-envoy-")
        || name.starts_with(b"x-scopegate-")
}
