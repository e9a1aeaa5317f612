//! What happens to every request on arrival, before a route is chosen: clients' words that only the
//! gateway may say are taken away, and its own are put there.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::arrival::{is_stripped, RequestIds};
use crate::check_request::split_path;
use crate::filter_config::Lines;
use crate::forwarded::{Forwarded, Scheme, TrustedPeers};
use crate::names;
use crate::stream::{Fact, Headers};

/// What holds for all requests of a listener.
#[derive(Debug, PartialEq, Eq)]
pub struct ArrivalConfig {
    /// The listener's port, as text.
    port: Vec<u8>,
    /// It speaks TLS.
    is_tls: bool,
    /// Who may speak for clients.
    trusted: Option<TrustedPeers>,
}

impl ArrivalConfig {
    /// The configuration in a text: lines of a word and a value; or what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<ArrivalConfig, String> {
        let mut lines = Lines::read(text)?;
        let port = lines.optional("port").ok_or("port is missing")?.to_vec();
        let is_tls = lines.is_on("tls")?;
        let trusted = TrustedPeers::take(&mut lines)?;
        lines.end()?;
        Ok(ArrivalConfig {
            port,
            is_tls,
            trusted,
        })
    }

    fn scheme(&self) -> Scheme {
        if self.is_tls {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }
}

struct Ids {
    made: RequestIds,
    chance: u64,
}

thread_local! {
    static IDS: RefCell<Ids> = RefCell::new(Ids {
        made: RequestIds::default(),
        chance: RandomState::new().build_hasher().finish() | 1,
    });
}

/// Rewrites the headers.
pub fn arrive(config: &ArrivalConfig, headers: &mut impl Headers) {
    let list = headers.list();
    let forwarded = config.trusted.as_ref().map(|trusted| {
        let peer = headers.fact(Fact::ClientAddress).unwrap_or_default();
        trusted.read(peer, config.scheme(), &list)
    });
    let is_peer_trusted = matches!(&forwarded, Some(Ok(found)) if found.is_peer_trusted);
    let names_an_address = |name: &[u8]| match &config.trusted {
        None => false,
        Some(trusted) => trusted.is_stripped(name, is_peer_trusted),
    };
    let stripped = list
        .0
        .iter()
        .filter(|header| is_stripped(header.0) || names_an_address(header.0));
    let gone: Vec<Vec<u8>> = stripped.map(|header| header.0.to_vec()).collect();
    let brings_id = list.find(names::REQUEST_ID).is_some();
    let target = list
        .find(b":path")
        .map(|found| split_path(found.0).0.to_vec());
    for name in &gone {
        headers.remove_header(name);
    }
    if brings_id {
        headers.remove_header(names::REQUEST_ID);
    }
    headers.add_header(names::REQUEST_ID, &request_id());
    if let Some(path) = target {
        headers.add_header(b"x-forwarded-path", &path);
    }
    headers.add_header(b"x-forwarded-port", &config.port);
    // For routes that want gRPC; most requests are spared a header.
    if headers.fact(Fact::Protocol) == Some(b"HTTP/2") {
        headers.add_header(b"x-scopegate-protocol", b"HTTP/2");
    }
    if config.is_tls {
        let name = headers.fact(Fact::ServerName).unwrap_or_default().to_vec();
        headers.add_header(b"x-scopegate-sni", &name);
    }
    match forwarded {
        None => {}
        Some(Ok(found)) => tell(&found, headers),
        // Without the client's address Envoy answers 400.
        Some(Err(_)) => headers.add_header(names::ARRIVAL_REASON, b"forwarded_malformed"),
    }
}

/// How a request looks to its client, for Envoy, the route table and the filter. Routes are chosen
/// by what arrived, so the port and the path that the upstream is told are put in place later.
fn tell(found: &Forwarded, headers: &mut impl Headers) {
    headers.add_header(names::CLIENT_IP, found.client.to_string().as_bytes());
    headers.add_header(b"x-forwarded-for", found.peer.to_string().as_bytes());
    headers.add_header(b"x-forwarded-proto", found.scheme.text());
    headers.set_header(b":scheme", found.scheme.text());
    let port = found.port.map(|port| port.to_string().into_bytes());
    for (name, value) in [
        (names::AUTHORITY, &found.authority),
        (names::FORWARDED_PORT, &port),
        (names::FORWARDED_PATH, &found.path),
        (b"x-forwarded-prefix", &found.prefix),
    ] {
        if let Some(value) = value {
            headers.add_header(name, value);
        }
    }
}

/// An id names a request and guards nothing: its chance need not be hard to guess.
fn request_id() -> [u8; 32] {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ns = u64::try_from(since.as_nanos()).unwrap_or_default();
    IDS.with(|ids| {
        let mut ids = ids.borrow_mut();
        // Xorshift: Marsaglia, "Xorshift RNGs" (2003).
        let mut chance = ids.chance;
        chance ^= chance.wrapping_shl(13);
        chance ^= chance.wrapping_shr(7);
        chance ^= chance.wrapping_shl(17);
        ids.chance = chance;
        let upper = u32::try_from(chance.wrapping_shr(32)).unwrap_or_default();
        ids.made.make(now_ns, upper)
    })
}
