//! Does to a request what was decided.

use crate::check_response::Response;
use crate::decision::Changes;
use crate::filter_config::FilterConfig;
use crate::profile::Profile;
use crate::reasons::{self, Reason};
use crate::stream::{List, Stream};

/// Headers of the client's that a profile keeps from going on.
pub struct Dropped(Vec<Vec<u8>>);

/// What the profile says of the client's headers. Refuses a request whose headers are over the
/// limits with those of the decision.
pub fn check(
    headers: &List<'_>,
    changes: &Changes,
    profile: Option<&Profile>,
    config: &FilterConfig,
) -> Result<Dropped, Reason> {
    let mut bytes = changes.bytes();
    for (name, value) in &headers.0 {
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
    }
    let count = headers.0.len().saturating_add(changes.set.len());
    if bytes > config.headers_limit_bytes || count > config.headers_limit_count {
        return Err(reasons::HEADERS_TOO_LARGE);
    }
    let dropped = headers
        .0
        .iter()
        .filter(|header| profile.map_or(false, |profile| profile.drops(header.0)));
    Ok(Dropped(dropped.map(|header| header.0.to_vec()).collect()))
}

/// Header changes, cached or fresh.
pub fn headers(changes: &Changes, dropped: &Dropped, stream: &mut impl Stream) {
    let removed = dropped.0.iter().map(|name| &**name);
    for name in removed.chain(changes.remove.iter().map(|name| &**name)) {
        stream.remove_header(name);
    }
    for (name, value) in changes.set.iter() {
        stream.set_header(name, value);
    }
}

/// Query and method.
pub fn line(response: &Response<'_>, stream: &mut impl Stream) {
    if let Some(method) = response.method {
        stream.set_header(b":method", method);
    }
    if let Some(query) = response.query {
        let list = stream.list();
        let mut changed = crate::check_request::split_path(list.value(b":path"))
            .0
            .to_vec();
        if !query.is_empty() {
            changed.push(b'?');
            changed.extend_from_slice(query);
        }
        stream.set_header(b":path", &changed);
    }
}

/// The body. True: what is still to come of it is to be dropped.
pub fn body(response: &Response<'_>, stream: &mut impl Stream) -> Result<bool, Reason> {
    if response.drop_body {
        stream.replace_body(b"");
        for name in [&b"content-type"[..], b"transfer-encoding"] {
            stream.remove_header(name);
        }
        stream.set_header(b"content-length", b"0");
        return Ok(true);
    }
    if !response.cuts.is_empty() {
        let body = stream.body();
        let kept = without(&body, &response.cuts).ok_or(reasons::POLICY_ANSWER_BROKEN)?;
        stream.replace_body(&kept);
        stream.set_header(b"content-length", kept.len().to_string().as_bytes());
    }
    Ok(false)
}

/// The bytes that are not in the rising ranges; None: one lies outside.
fn without(body: &[u8], cuts: &[(usize, usize)]) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(body.len());
    let mut from = 0;
    for (start, end) in cuts {
        kept.extend_from_slice(body.get(from..*start)?);
        from = *end;
    }
    kept.extend_from_slice(body.get(from..)?);
    Some(kept)
}
