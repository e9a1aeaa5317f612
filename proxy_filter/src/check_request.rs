//! Writes check requests (`docs/check-protocol.md`).

use crate::stream::List;

/// What the policy service is told of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyState {
    /// It has not been looked at.
    NotRead,
    /// It follows.
    Whole,
    /// It is over the limit and does not follow.
    TooLarge,
}

/// What a check request says besides the client's headers and the body.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Id of the policy that decides.
    pub policy: &'a [u8; 32],
    /// The route's label.
    pub route: &'a [u8],
    /// The request id.
    pub id: &'a [u8],
    /// The client's address.
    pub client: &'a [u8],
    /// `HTTP/1.1` and the like.
    pub protocol: &'a [u8],
    /// Version and server name, on a TLS connection.
    pub tls: Option<(&'a [u8], &'a [u8])>,
    /// As it came.
    pub method: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// Host and perhaps port.
    pub authority: &'a [u8],
    /// Without the query.
    pub path: &'a [u8],
    /// Without `?`.
    pub query: &'a [u8],
    /// Whether the body is there.
    pub body: BodyState,
}

/// No message can hold what the client sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Path and query of a request target; the query is empty where there is none.
pub fn split_path(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(mark) => (
            target.get(..mark).unwrap_or_default(),
            target.get(mark.saturating_add(1)..).unwrap_or_default(),
        ),
        None => (target, &[]),
    }
}

/// Appends the message to `out`.
pub fn write(
    facts: &Facts<'_>,
    headers: &List<'_>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
    let is_visible = |byte: &u8| (b'!'..=b'~').contains(byte);
    if facts.method.is_empty()
        || !facts.method.iter().all(is_method)
        || !facts.path.iter().all(is_visible)
        || !facts.query.iter().all(is_visible)
    {
        return Err(Unreadable);
    }
    out.extend_from_slice(b"scopegate-check 1\n");
    line(out, b"policy", facts.policy)?;
    line(out, b"route", facts.route)?;
    line(out, b"id", facts.id)?;
    line(out, b"client", facts.client)?;
    line(out, b"protocol", facts.protocol)?;
    if let Some((version, name)) = facts.tls {
        if version.is_empty() || version.contains(&b' ') || name.contains(&b' ') {
            return Err(Unreadable);
        }
        line(out, b"tls", &[version, b" ", name].concat())?;
    }
    line(out, b"method", facts.method)?;
    line(out, b"scheme", facts.scheme)?;
    line(out, b"authority", facts.authority)?;
    line(out, b"path", facts.path)?;
    line(out, b"query", facts.query)?;
    let state: &[u8] = match facts.body {
        BodyState::NotRead => b"not-read",
        BodyState::Whole => b"whole",
        BodyState::TooLarge => b"too-large",
    };
    line(out, b"body", state)?;
    out.push(b'\n');
    for (name, value) in headers.0.iter().filter(|header| is_the_clients(header.0)) {
        if !is_token(name) || !fits(value) {
            return Err(Unreadable);
        }
        out.extend_from_slice(name);
        out.push(b':');
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(body);
    Ok(())
}

fn line(out: &mut Vec<u8>, word: &[u8], value: &[u8]) -> Result<(), Unreadable> {
    if !fits(value) {
        return Err(Unreadable);
    }
    out.extend_from_slice(word);
    out.push(b' ');
    out.extend_from_slice(value);
    out.push(b'\n');
    Ok(())
}

/// Whether a line can hold it: no control character but the tab.
fn fits(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| (*byte >= b' ' && *byte != 0x7f) || *byte == b'\t')
}

/// Whether it can be the name of a header, in lower case. Source: RFC 9110 §5.1, §5.6.2.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(byte)
        })
}

/// Whether it is a header that the client sent, and not Envoy or we.
fn is_the_clients(name: &[u8]) -> bool {
    match name.first() {
        Some(b':') => false,
        Some(b'x') => {
            !(name.starts_with(b"x-scopegate-")
                || name.starts_with(b"x-envoy-")
                || matches!(
                    name,
                    b"x-forwarded-proto"
                        | b"x-forwarded-path"
                        | b"x-forwarded-port"
                        | b"x-forwarded-host"
                        | b"x-kong-request-id"
                ))
        }
        _ => true,
    }
}
