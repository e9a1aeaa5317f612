//! What clients are told: replies of our own, and what is added to responses.

use std::time::{Duration, Instant};

use crate::names;
use crate::route_name::RouteName;
use crate::stream::{Reply, Stream};
use crate::upstream_faults;

/// A response to a request that went on. What the client is told of an upstream's: the request's id,
/// how long the upstream took for its first byte, and how long we took before. Envoy's own
/// (`is_local`) has its headers from local reply mappers. Source: contract admin-api.md §3.
pub fn upstream_responded(
    is_local: bool,
    id: &[u8],
    began: Instant,
    passed: Instant,
    stream: &mut impl Stream,
) {
    let list = stream.response_list();
    upstream_faults::report(list.value(b":status"), is_local, id, stream);
    if is_local {
        return;
    }
    let (mut waited, mut took) = ([0; DIGITS], [0; DIGITS]);
    let waited = milliseconds(passed.elapsed(), &mut waited);
    let took = milliseconds(passed.saturating_duration_since(began), &mut took);
    let told: [(&[u8], &[u8]); 3] = [
        (b"x-kong-request-id", id),
        (b"x-kong-upstream-latency", waited),
        (b"x-kong-proxy-latency", took),
    ];
    // To replace costs twice as much as to add, and no usual upstream has these. Envoy's own
    // `response_headers_to_remove` costs as much as all of this.
    let is_ours = |name: &[u8]| told.iter().any(|each| each.0 == name);
    let theirs = list.0.iter().filter(|each| is_ours(each.0));
    let theirs: Vec<Vec<u8>> = theirs.map(|each| each.0.to_vec()).collect();
    for name in &theirs {
        stream.remove_response_header(name);
    }
    for (name, value) in told {
        stream.add_response_header(name, value);
    }
    stream.add_via();
}

/// Of a time in milliseconds: more than a year.
const DIGITS: usize = 11;

/// Writes a time, without memory from the heap: every response has two.
fn milliseconds(span: Duration, place: &mut [u8; DIGITS]) -> &[u8] {
    let mut rest = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut from = DIGITS;
    for (at, digit) in place.iter_mut().enumerate().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        from = at;
        if rest == 0 {
            break;
        }
    }
    place.get(from..).unwrap_or_default()
}

/// What Kong's debug header asks for. What a route does not have is left out.
pub fn route_facts(stream: &impl Stream) -> Vec<(&'static [u8], Vec<u8>)> {
    let mut facts: Vec<(&'static [u8], Vec<u8>)> = Vec::new();
    let entry = stream.route_name().and_then(RouteName::parse);
    let is_route = |entry: &RouteName<'_>| !names::NO_ROUTES.contains(&entry.route);
    if let Some(entry) = entry.filter(is_route) {
        let mut tell = |label: &[u8], id: &'static [u8], name: &'static [u8]| {
            let mut parts = label.splitn(2, |byte| *byte == b'/');
            for (header, part) in [(id, parts.next()), (name, parts.next())] {
                if let Some(part) = part.filter(|part| !part.is_empty() && *part != b"-") {
                    facts.push((header, part.to_vec()));
                }
            }
        };
        tell(entry.route, b"kong-route-id", b"kong-route-name");
        tell(entry.service, b"kong-service-id", b"kong-service-name");
    }
    facts
}

/// Source: gRPC's "HTTP to gRPC Status Code Mapping".
fn grpc_status(status: u16) -> &'static [u8] {
    match status {
        400 => b"13",
        401 => b"16",
        403 => b"7",
        404 => b"12",
        429 | 502 | 503 | 504 => b"14",
        _ => b"2",
    }
}

/// Answers the client in place of the upstream. `tells_route`: it asked which route took it.
pub fn reply(reply: &Reply<'_>, tells_route: bool, stream: &mut impl Stream) {
    let mut headers = reply.headers.to_vec();
    // Envoy would tell a gRPC client 0, which means that all is well.
    if stream
        .list()
        .value(b"content-type")
        .starts_with(b"application/grpc")
    {
        headers.push((b"grpc-status", grpc_status(reply.status)));
    }
    // Envoy calls no hook for a reply of our own.
    let facts = if tells_route {
        route_facts(stream)
    } else {
        Vec::new()
    };
    headers.extend(facts.iter().map(|(name, value)| (*name, &**value)));
    stream.reply(&Reply {
        headers: &headers,
        ..*reply
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_decimal_numbers() {
        for number in [0, 7, 10, 999, 1_000, 60_001, 99_999_999_999] {
            let mut place = [0; DIGITS];
            let written = milliseconds(Duration::from_millis(number), &mut place);
            assert_eq!(written, number.to_string().as_bytes());
        }
    }
}
