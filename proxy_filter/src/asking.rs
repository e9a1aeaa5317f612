//! What is sent to the policy service about a stream, and what is logged about it.

use crate::check_request::{self, BodyState, Facts};
use crate::filter_config::FilterConfig;
use crate::own_changes;
use crate::reasons::{self, Reason};
use crate::stream::{Fact, Stream};
use crate::{host, names};

/// Writes the check request of a stream.
pub fn write_request(
    policy: &[u8; 32],
    body: BodyState,
    content: &[u8],
    config: &FilterConfig,
    stream: &impl Stream,
    message: &mut Vec<u8>,
) -> Result<(), Reason> {
    let headers = stream.list();
    let value = |name: &[u8]| headers.value(name);
    let fact = |which: Fact| stream.fact(which).unwrap_or_default();
    let (path, query) = check_request::split_path(value(b":path"));
    let tls_version = fact(Fact::TlsVersion);
    let facts = Facts {
        policy,
        route: stream.route_name().unwrap_or_default(),
        id: value(names::REQUEST_ID),
        client: host::address_without_port(fact(Fact::ClientAddress)),
        protocol: fact(Fact::Protocol),
        tls: (!tls_version.is_empty()).then(|| (tls_version, fact(Fact::ServerName))),
        method: value(b":method"),
        scheme: value(b":scheme"),
        authority: own_changes::client_authority(&headers, config),
        path,
        query,
        body,
    };
    check_request::write(&facts, &headers, content, message)
        .map_err(|_| reasons::REQUEST_UNREADABLE)
}

/// A line for the log, with the id of the request.
pub fn line(what: &str, why: &str, stream: &impl Stream) -> String {
    let headers = stream.list();
    let id = String::from_utf8_lossy(headers.value(names::REQUEST_ID));
    format!("{what}: {why}, request_id {id}")
}
