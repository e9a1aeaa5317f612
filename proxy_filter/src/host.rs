//! Hosts and addresses without their port.

/// A host as the client wrote it, without `:` and the digits at its end.
pub fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| !byte.is_ascii_digit()) {
        Some(place) if host.get(place) == Some(&b':') => host.get(..place).unwrap_or_default(),
        _ => host,
    }
}

/// The address of a peer, which Envoy gives as `127.0.0.1:80` or `[::1]:80`.
pub fn address_without_port(peer: &[u8]) -> &[u8] {
    let address = without_port(peer);
    address
        .strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"))
        .unwrap_or(address)
}
