//! What changes on every route, whoever decides.

use crate::filter_config::FilterConfig;
use crate::host;
use crate::names;
use crate::stream::{List, Stream};
use crate::table_config::TableConfig;

/// What changes on every route.
pub struct OwnChanges {
    /// None: the cookies stay as they are; `Some(None)`: no cookie goes on.
    cookies: Option<Option<Vec<u8>>>,
    /// Only an upgrade still has `Connection` here. What the client names in it besides, a server
    /// further on would take away: `Connection: Upgrade, X-Consumer-Id`. Source: RFC 9110 §7.6.1.
    is_upgrade: bool,
    /// The host without port.
    host: Vec<u8>,
    /// The port that the client sees, where a trusted peer says it.
    port: Option<Vec<u8>>,
    /// The path that arrived, and the one that the client sees, where a trusted peer says it.
    path: Option<(Vec<u8>, Vec<u8>)>,
}

impl OwnChanges {
    /// Those of a request.
    pub fn of(headers: &List<'_>, table: &TableConfig, config: &FilterConfig) -> OwnChanges {
        let mut changes = OwnChanges {
            is_upgrade: headers.find(b"connection").is_some(),
            cookies: without_our_cookies(headers, table),
            host: host::without_port(client_authority(headers, config)).to_vec(),
            port: None,
            path: None,
        };
        if config.has_trusted_peers {
            let value = |name| headers.find(name).map(|found| found.0.to_vec());
            changes.port = value(names::FORWARDED_PORT);
            let arrived = headers.value(b"x-forwarded-path").to_vec();
            changes.path = value(names::FORWARDED_PATH).map(|told| (arrived, told));
        }
        changes
    }

    /// Makes them.
    pub fn apply(&self, stream: &mut impl Stream) {
        match &self.cookies {
            None => {}
            Some(None) => stream.remove_header(b"cookie"),
            Some(Some(rest)) => stream.set_header(b"cookie", rest),
        }
        if self.is_upgrade {
            stream.set_header(b"connection", b"Upgrade");
        }
        if !self.host.is_empty() {
            stream.add_header(b"x-forwarded-host", &self.host); // a client's is gone on arrival
        }
        if let Some(port) = &self.port {
            stream.set_header(b"x-forwarded-port", port);
        }
        if let Some((arrived, told)) = &self.path {
            stream.note(names::PATH_KEY, arrived);
            stream.set_header(b"x-forwarded-path", told);
        }
    }
}

/// Host and perhaps port as the client sees them.
pub fn client_authority<'a>(headers: &List<'a>, config: &FilterConfig) -> &'a [u8] {
    if config.has_trusted_peers {
        if let Some((authority, _)) = headers.find(names::AUTHORITY) {
            return authority;
        }
    }
    match headers.value(b":authority") {
        names::NO_HOST => b"",
        authority => authority,
    }
}

fn without_our_cookies(headers: &List<'_>, table: &TableConfig) -> Option<Option<Vec<u8>>> {
    let (first, count) = headers.find(b"cookie")?;
    if count == 1 {
        return table.cookies.strip(first);
    }
    let all = headers.0.iter().filter(|header| header.0 == b"cookie");
    let all: Vec<&[u8]> = all.map(|header| header.1).collect();
    table.cookies.strip(&all.join(&b','))
}
