//! Addresses as texts, and ranges of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::host::without_port;

/// Addresses that begin alike, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Of IPv4, also as IPv6 writes it (`::ffff:10.0.0.1`).
    V4 {
        /// The first.
        start: u32,
        /// The bits that are the same in all.
        mask: u32,
    },
    /// Of IPv6.
    V6 {
        /// As for IPv4.
        start: u128,
        /// As for IPv4.
        mask: u128,
    },
}

impl Range {
    /// `10.0.0.0/8`; a single address has no `/`.
    pub fn parse(text: &[u8]) -> Option<Range> {
        let mut parts = text.splitn(2, |byte| *byte == b'/');
        let address: IpAddr = parsed(parts.next()?)?;
        let bits: Option<u32> = match parts.next() {
            Some(text) => Some(decimal(text)?),
            None => None,
        };
        match address {
            IpAddr::V4(address) => Range::v4(address, bits.unwrap_or(32)),
            IpAddr::V6(address) => {
                let bits = bits.unwrap_or(128);
                match (address.to_ipv4_mapped(), bits.checked_sub(96)) {
                    (Some(mapped), Some(bits)) => Range::v4(mapped, bits),
                    _ => Range::v6(address, bits),
                }
            }
        }
    }

    fn v4(address: Ipv4Addr, bits: u32) -> Option<Range> {
        // No shift by the whole width: that is `/0`.
        let mask = u32::MAX.checked_shl(32u32.checked_sub(bits)?).unwrap_or(0);
        let start = u32::from(address) & mask;
        Some(Range::V4 { start, mask })
    }

    fn v6(address: Ipv6Addr, bits: u32) -> Option<Range> {
        let mask = u128::MAX
            .checked_shl(128u32.checked_sub(bits)?)
            .unwrap_or(0);
        let start = u128::from(address) & mask;
        Some(Range::V6 { start, mask })
    }

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Range::V4 { start, mask }, IpAddr::V4(address)) => u32::from(address) & mask == *start,
            (Range::V6 { start, mask }, IpAddr::V6(address)) => {
                u128::from(address) & mask == *start
            }
            _ => false,
        }
    }
}

/// An address, perhaps in brackets, perhaps with a port. What an IPv4 client is called on an IPv6
/// socket is its IPv4 address.
pub fn read_address(text: &[u8]) -> Option<IpAddr> {
    let address = match parsed(text) {
        Some(address) => address,
        None => {
            let bare = without_port(text);
            let port = text
                .get(bare.len()..)
                .and_then(|rest| rest.strip_prefix(b":"));
            if let Some(port) = port {
                read_port(port)?;
            }
            match bare
                .strip_prefix(b"[")
                .and_then(|rest| rest.strip_suffix(b"]"))
            {
                Some(inner) => IpAddr::V6(parsed(inner)?),
                None => IpAddr::V4(parsed(bare)?),
            }
        }
    };
    match address {
        IpAddr::V6(address) => Some(
            address
                .to_ipv4_mapped()
                .map_or(IpAddr::V6(address), IpAddr::V4),
        ),
        IpAddr::V4(_) => Some(address),
    }
}

/// A port: 1 to 65535.
pub fn read_port(text: &[u8]) -> Option<u16> {
    decimal(text).filter(|port: &u16| *port > 0)
}

fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Up to five digits and nothing else.
fn decimal<T: FromStr>(text: &[u8]) -> Option<T> {
    let is_good = text.len() <= 5 && text.iter().all(u8::is_ascii_digit);
    parsed(text).filter(|_| is_good)
}
