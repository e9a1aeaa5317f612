//! Names that the filter shares with the Python side (`envoy/names.py`, `docs/check-protocol.md`).

/// Content type of check messages.
pub const CONTENT_TYPE: &[u8] = b"application/x-scopegate-check";

/// What a check request is sent with.
pub const CHECK_HEADERS: [(&[u8], &[u8]); 4] = [
    (b":method", b"POST"),
    (b":path", b"/check"),
    (b"host", b"policy"),
    (b"content-type", CONTENT_TYPE),
];

/// Namespace of dynamic metadata that the access log reads.
pub const METADATA: &[u8] = b"scopegate";
/// Its key for the reason of a refusal.
pub const REASON_KEY: &[u8] = b"reason";

/// Key of the metadata of an endpoint: how responses from there name the gateway in `Via`.
pub const VIA_KEY: &[u8] = b"via";

/// The host that Envoy gives to an HTTP/1.0 request that names none (`envoy/names.py`).
pub const NO_HOST: &[u8] = b"no-host.invalid";

/// The request id, set on arrival.
pub const REQUEST_ID: &[u8] = b"x-kong-request-id";

/// Entries of the route table that are no routes.
pub const NO_ROUTES: [&[u8]; 2] = [b"no-route", b"tunnel"];

/// The client's address, where `trusted_ips` is set: Envoy takes it from here.
pub const CLIENT_IP: &[u8] = b"x-scopegate-client-ip";
/// Host and perhaps port as the client sees them, where a trusted peer says it.
pub const AUTHORITY: &[u8] = b"x-scopegate-authority";
/// The port that the client sees, for the upstream.
pub const FORWARDED_PORT: &[u8] = b"x-scopegate-forwarded-port";
/// The path that the client sees, for the upstream.
pub const FORWARDED_PATH: &[u8] = b"x-scopegate-forwarded-path";
/// Why Envoy refuses a request on arrival.
pub const ARRIVAL_REASON: &[u8] = b"x-scopegate-reason";

/// Key in `METADATA` for the path that arrived, where the upstream is told another.
pub const PATH_KEY: &[u8] = b"path";
