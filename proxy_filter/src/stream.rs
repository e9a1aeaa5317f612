//! One request, as the filter sees it. Envoy implements this (`abi/stream.rs`), and so do the tests.

use crate::table_config::TableConfig;

/// A fact of the connection or of the routing that is not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The client's address without port.
    ClientAddress,
    /// `HTTP/1.1` and the like.
    Protocol,
    /// Version of TLS; there is none on a plain connection.
    TlsVersion,
    /// Name of the server in the TLS handshake.
    ServerName,
    /// Envoy's word for how the response came about.
    ResponseDetails,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A request was refused for a fault of the gateway's own parts.
    Warning,
    /// A fault of the filter.
    Error,
}

/// A local reply: what the client gets in place of an upstream's response.
#[derive(Debug)]
pub struct Reply<'a> {
    /// HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Body, perhaps empty.
    pub body: &'a [u8],
    /// What local reply mappers and the access log know it by.
    pub details: &'a str,
}

/// The headers of a request at one moment, pseudo headers (`:path`) too, in the order of arrival.
///
/// To ask Envoy for all of them costs as much as to ask for one.
#[derive(Debug, Default)]
pub struct List<'a>(pub Vec<(&'a [u8], &'a [u8])>);

impl<'a> List<'a> {
    /// The first value of a header, and how many headers have that name.
    pub fn find(&self, name: &[u8]) -> Option<(&'a [u8], usize)> {
        let mut values = self.0.iter().filter(|header| header.0 == name);
        let first = values.next()?.1;
        Some((first, values.count().saturating_add(1)))
    }

    /// The first value of a header, or nothing.
    pub fn value(&self, name: &[u8]) -> &'a [u8] {
        self.0
            .iter()
            .find(|header| header.0 == name)
            .map_or(&[], |header| header.1)
    }
}

/// The headers of a request, and where it came from. Names of headers are lower case.
pub trait Headers {
    /// All headers as they are now.
    fn list(&self) -> List<'_>;
    /// Replaces all request headers of this name by one; an empty value removes them.
    fn set_header(&mut self, name: &[u8], value: &[u8]);
    /// Adds a request header beside those of its name.
    fn add_header(&mut self, name: &[u8], value: &[u8]);
    /// Removes all request headers of this name.
    fn remove_header(&mut self, name: &[u8]);
    /// A fact, as text.
    fn fact(&self, fact: Fact) -> Option<&[u8]>;
}

/// What the filter may read and do.
pub trait Stream: Headers {
    /// Removes the request's trailers.
    fn remove_trailers(&mut self);
    /// Adds a header to the response that is on its way to the client.
    fn add_response_header(&mut self, name: &[u8], value: &[u8]);
    /// All headers of the response as they are now.
    fn response_list(&self) -> List<'_>;
    /// Removes all headers of this name from the response.
    fn remove_response_header(&mut self, name: &[u8]);
    /// Adds `Via` to the response as the upstream's endpoint says that responses name the gateway.
    fn add_via(&mut self);
    /// What the route table says for all of its routes.
    fn table(&self) -> Option<&TableConfig>;
    /// The name of the route table's entry that took the request.
    fn route_name(&self) -> Option<&[u8]>;
    /// Bytes of the body that are held back, with those that have just arrived.
    fn body_size(&self) -> usize;
    /// Those bytes.
    fn body(&self) -> Vec<u8>;
    /// Puts other bytes in the place of those that are held back.
    fn replace_body(&mut self, body: &[u8]);
    /// Drops the bytes that have just arrived.
    fn drop_arrived_body(&mut self);
    /// Lets this many bytes be held back before the client is slowed down.
    fn hold_back_up_to(&mut self, bytes: usize);
    /// Sends a check request; false: it could not be sent. The answer comes later.
    fn ask(&mut self, message: &[u8], timeout_ms: u64) -> bool;
    /// Answers the client; the request goes no further.
    fn reply(&mut self, reply: &Reply<'_>);
    /// Notes something for the access log, under a key of `names::METADATA`.
    fn note(&mut self, key: &[u8], value: &[u8]);
    /// Writes a line to Envoy's log.
    fn log(&self, level: Level, text: &str);
}
