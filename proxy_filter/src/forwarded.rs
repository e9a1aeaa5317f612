//! What proxies in front of this one say about the client, and how much of it counts
//! (`docs/adr/0043-behind-a-load-balancer.md`).
//!
//! The peer is who speaks HTTP to us: the other end of the connection, or whom a preamble of the
//! PROXY protocol names. Only a peer in `trusted_ips` may speak for a client. The client's address is
//! found as nginx's realip module finds it; what else is said must be well formed or the request is
//! refused, since there is no good guess at a scheme or a host.

use std::net::IpAddr;

use crate::addresses::{read_address, read_port, Range};
use crate::arrival::is_spelling;
use crate::check_request::split_path;
use crate::filter_config::Lines;
use crate::guard;
use crate::host::without_port;
use crate::stream::List;

const FORWARDED_FOR: &[u8] = b"x-forwarded-for";
/// As the value of `real-ip-header`: no header names the client's address.
const PROXY_PROTOCOL: &[u8] = b"proxy_protocol";

/// Who may speak for a client, and how the client's address is said.
#[derive(Debug, PartialEq, Eq)]
pub struct TrustedPeers {
    ranges: Vec<Range>,
    /// Lower case; `None`: no header says it.
    address_header: Option<Vec<u8>>,
    is_recursive: bool,
}

/// A request as its client sees it, as far as that counts.
#[derive(Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Who speaks HTTP to us.
    pub peer: IpAddr,
    /// The client's address.
    pub client: IpAddr,
    /// Whether the peer may speak for the client; if not, all below is our own.
    pub is_peer_trusted: bool,
    /// Of the client's connection.
    pub scheme: Scheme,
    /// Host and, where it is not the scheme's own, port; `None`: as in `:authority`.
    pub authority: Option<Vec<u8>>,
    /// The port; `None`: nothing is claimed, so it is the listener's.
    pub port: Option<u16>,
    /// For the upstream; `None`: the path that arrived.
    pub path: Option<Vec<u8>>,
    /// For the upstream; `None`: what the route strips.
    pub prefix: Option<Vec<u8>>,
}

/// Of HTTP, or of a WebSocket's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn text(self) -> &'static [u8] {
        match self {
            Scheme::Http => b"http",
            Scheme::Https => b"https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// Some balancers name a WebSocket's scheme.
    fn read(text: &[u8]) -> Option<Scheme> {
        let is = |name: &[u8]| text.eq_ignore_ascii_case(name);
        if is(b"https") || is(b"wss") {
            Some(Scheme::Https)
        } else if is(b"http") || is(b"ws") {
            Some(Scheme::Http)
        } else {
            None
        }
    }
}

/// Why a request must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The peer has no address.
    Peer,
    /// `X-Forwarded-Proto` is not one of `http`, `https`, `ws`, `wss`.
    Scheme,
    /// `X-Forwarded-Host` is not one host, perhaps with a port.
    Host,
    /// `X-Forwarded-Port` is not one number from 1 to 65535.
    Port,
    /// `X-Forwarded-Path` does not begin with one `/`, or has other bytes than `!` to `~`.
    Path,
    /// The same of `X-Forwarded-Prefix`, which may have no `?` either.
    Prefix,
}

impl TrustedPeers {
    /// Takes the lines `trusted`, `real-ip-header` and `real-ip-recursive`. `None`: nobody is
    /// trusted, and there are no such lines.
    pub fn take(lines: &mut Lines<'_>) -> Result<Option<TrustedPeers>, String> {
        let mut ranges = Vec::new();
        while let Some(text) = lines.optional("trusted") {
            let wrong = || {
                format!(
                    "trusted is not a range: '{}'",
                    String::from_utf8_lossy(text)
                )
            };
            ranges.push(Range::parse(text).ok_or_else(wrong)?);
        }
        if ranges.is_empty() {
            return Ok(None);
        }
        let header = lines
            .optional("real-ip-header")
            .ok_or("real-ip-header is missing")?;
        let is_recursive = lines.is_on("real-ip-recursive")?;
        if header.is_empty() || header.iter().any(u8::is_ascii_uppercase) {
            return Err("real-ip-header is not in lower case".to_owned());
        }
        Ok(Some(TrustedPeers {
            ranges,
            address_header: (header != PROXY_PROTOCOL).then(|| header.to_vec()),
            is_recursive,
        }))
    }

    /// What counts of a request. `peer` is an address, perhaps with a port; `scheme` is that of the
    /// connection; `headers` are as they came.
    pub fn read(
        &self,
        peer: &[u8],
        scheme: Scheme,
        headers: &List<'_>,
    ) -> Result<Forwarded, Malformed> {
        let peer = read_address(peer).ok_or(Malformed::Peer)?;
        let mut found = Forwarded {
            peer,
            client: peer,
            is_peer_trusted: self.is_trusted(peer),
            scheme,
            authority: None,
            port: None,
            path: None,
            prefix: None,
        };
        if found.is_peer_trusted {
            found.client = self.client(peer, headers);
            found.believe(headers)?;
        }
        Ok(found)
    }

    /// Whether a client's header goes no further because it names an address, and who sent it may
    /// not (or it is an alias, which no balancer sends). `X-Forwarded-For` stays: it is appended to.
    pub fn is_stripped(&self, name: &[u8], is_peer_trusted: bool) -> bool {
        match self.address_header.as_deref() {
            None | Some(FORWARDED_FOR) => false,
            Some(header) if name == header => !is_peer_trusted,
            Some(header) => is_spelling(name, header),
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// As nginx's realip module: from the right; a value that is not an address ends the search.
    /// Source: `ngx_http_get_forwarded_addr` (nginx 1.22).
    fn client(&self, peer: IpAddr, headers: &List<'_>) -> IpAddr {
        let mut client = peer;
        let name = match self.address_header.as_deref() {
            Some(name) => name,
            None => return client,
        };
        let is_separator = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
        let values = headers.0.iter().rev().filter(|header| header.0 == name);
        let from_the_right = values
            .flat_map(|header| header.1.rsplit(is_separator))
            .filter(|text| !text.is_empty());
        for text in from_the_right {
            match read_address(text) {
                Some(address) => client = address,
                None => break,
            }
            if !self.is_recursive || !self.is_trusted(client) {
                break;
            }
        }
        client
    }
}

impl Forwarded {
    fn believe(&mut self, headers: &List<'_>) -> Result<(), Malformed> {
        let scheme = claim(
            headers,
            b"x-forwarded-proto",
            Malformed::Scheme,
            Scheme::read,
        )?;
        let host = claim(headers, b"x-forwarded-host", Malformed::Host, read_host)?;
        let port = claim(headers, b"x-forwarded-port", Malformed::Port, read_port)?;
        self.path = claim(headers, b"x-forwarded-path", Malformed::Path, |text| {
            read_path(split_path(text).0)
        })?;
        self.prefix = claim(
            headers,
            b"x-forwarded-prefix",
            Malformed::Prefix,
            read_prefix,
        )?;
        if scheme.is_none() && host.is_none() && port.is_none() {
            return Ok(());
        }
        let scheme = scheme.unwrap_or(self.scheme);
        let is_authority_claimed = host.is_some() || port.is_some();
        // The guard refuses an authority that is not a host.
        let host = host.or_else(|| read_host(headers.value(b":authority")));
        let named = host.as_ref().and_then(|found| found.1);
        let port = port.or(named).unwrap_or_else(|| scheme.default_port());
        if let (true, Some((mut host, _))) = (is_authority_claimed, host) {
            if port != scheme.default_port() {
                host.extend_from_slice(format!(":{port}").as_bytes());
            }
            self.authority = Some(host);
        }
        self.scheme = scheme;
        self.port = Some(port);
        Ok(())
    }
}

/// The value of a header that may stand there once, as `read` reads it.
fn claim<T>(
    headers: &List<'_>,
    name: &[u8],
    wrong: Malformed,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, Malformed> {
    let values = headers.0.iter().filter(|header| header.0 == name);
    let mut values = values
        .map(|header| trimmed(header.1))
        .filter(|value| !value.is_empty());
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => read(value).map(Some).ok_or(wrong),
        (Some(_), Some(_)) => Err(wrong),
    }
}

/// A host, and the port that stands behind it.
fn read_host(text: &[u8]) -> Option<(Vec<u8>, Option<u16>)> {
    if guard::classify(text, b"/", guard::Refused::default()).is_some() {
        return None;
    }
    let host = without_port(text);
    match text
        .get(host.len()..)
        .and_then(|rest| rest.strip_prefix(b":"))
    {
        None | Some(b"") => Some((host.to_vec(), None)),
        Some(port) => Some((host.to_vec(), Some(read_port(port)?))),
    }
}

/// A path that no client takes for another host.
fn read_path(text: &[u8]) -> Option<Vec<u8>> {
    let is_good = text.starts_with(b"/")
        && !text.starts_with(b"//")
        && text
            .iter()
            .all(|byte| matches!(byte, b'!'..=b'~') && *byte != b'\\');
    is_good.then(|| text.to_vec())
}

fn read_prefix(text: &[u8]) -> Option<Vec<u8>> {
    read_path(text).filter(|path| !path.contains(&b'?'))
}

fn trimmed(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(start, |last| last.saturating_add(1));
    text.get(start..end).unwrap_or_default()
}
