//! The stream of a request, by Envoy's callbacks.
//!
//! Why this is sound: an `EnvoyStream` lives for one hook only, on the stream's own thread, with the
//! pointer that Envoy gave to that hook. What it hands out borrows from it, so no slice outlives the
//! hook, and none is held while headers or body are changed (reading borrows the stream, changing
//! borrows it exclusively). Envoy copies what it is given before a callback returns.

use std::mem::MaybeUninit;

use super::declarations as abi;
use super::declarations::{EnvoyBuffer, EnvoyHttpHeader, ModuleBuffer, ModuleHttpHeader};
use crate::names;
use crate::stream::{Fact, Headers, Level, List, Reply, Stream};
use crate::table_config::TableConfig;

/// Headers of a request that fit without memory from the heap.
const USUAL_HEADERS: usize = 40;

/// The headers that `fill` writes into as many places as there are headers.
///
/// # Safety
/// `fill` fills all `count` places, and what it fills in lasts as long as `'a`.
pub(super) unsafe fn list_of<'a>(
    count: usize,
    fill: impl FnOnce(*mut EnvoyHttpHeader) -> bool,
) -> List<'a> {
    let mut usual = [MaybeUninit::<EnvoyHttpHeader>::uninit(); USUAL_HEADERS];
    let mut many;
    let places: &mut [MaybeUninit<EnvoyHttpHeader>] = match usual.get_mut(..count) {
        Some(places) => places,
        None => {
            many = vec![MaybeUninit::uninit(); count];
            &mut many
        }
    };
    if count == 0 || !fill(places.as_mut_ptr().cast()) {
        return List::default();
    }
    // SAFETY: by the promise above, each place is filled.
    let pair = |place: &MaybeUninit<EnvoyHttpHeader>| unsafe {
        let header = place.assume_init();
        (header.key().as_slice(), header.value().as_slice())
    };
    List(places.iter().map(pair).collect())
}

/// Envoy's attribute for a fact.
pub(super) fn attribute_of(fact: Fact) -> u32 {
    match fact {
        Fact::ClientAddress => abi::attribute_id::SOURCE_ADDRESS,
        Fact::Protocol => abi::attribute_id::REQUEST_PROTOCOL,
        Fact::TlsVersion => abi::attribute_id::CONNECTION_TLS_VERSION,
        Fact::ServerName => abi::attribute_id::CONNECTION_REQUESTED_SERVER_NAME,
        Fact::ResponseDetails => abi::attribute_id::RESPONSE_CODE_DETAILS,
    }
}

/// A request, within one hook.
pub(super) struct EnvoyStream<'a> {
    filter: abi::FilterEnvoyPtr,
    cluster: &'a [u8],
    is_in_body_hook: bool,
}

impl<'a> EnvoyStream<'a> {
    /// `filter` is what Envoy gave to the hook that is running; `cluster` is asked.
    pub(super) fn new(
        filter: abi::FilterEnvoyPtr,
        cluster: &'a [u8],
        is_in_body_hook: bool,
    ) -> EnvoyStream<'a> {
        EnvoyStream {
            filter,
            cluster,
            is_in_body_hook,
        }
    }

    fn attribute(&self, id: u32) -> Option<&[u8]> {
        let mut found = EnvoyBuffer::EMPTY;
        // SAFETY: a live stream and a place for the result. The bytes last as long as this hook.
        unsafe {
            abi::envoy_dynamic_module_callback_http_filter_get_attribute_string(
                self.filter,
                id,
                &mut found,
            )
            .then(|| found.as_slice())
        }
    }

    fn list_of_kind(&self, kind: u32) -> List<'_> {
        // SAFETY: a live stream; the slices last as long as nothing is changed.
        unsafe {
            list_of(
                abi::envoy_dynamic_module_callback_http_get_headers_size(self.filter, kind),
                |places| {
                    abi::envoy_dynamic_module_callback_http_get_headers(self.filter, kind, places)
                },
            )
        }
    }

    fn size_of(&self, body: u32) -> usize {
        // SAFETY: a live stream.
        unsafe { abi::envoy_dynamic_module_callback_http_get_body_size(self.filter, body) }
    }

    fn append_body_to(&self, out: &mut Vec<u8>, body: u32) {
        // SAFETY: a live stream; the second call fills as many places as the first one told.
        unsafe {
            let count =
                abi::envoy_dynamic_module_callback_http_get_body_chunks_size(self.filter, body);
            let mut chunks = vec![EnvoyBuffer::EMPTY; count];
            if count > 0
                && abi::envoy_dynamic_module_callback_http_get_body_chunks(
                    self.filter,
                    body,
                    chunks.as_mut_ptr(),
                )
            {
                for chunk in chunks {
                    out.extend_from_slice(chunk.as_slice());
                }
            }
        }
    }

    fn drain(&mut self, body: u32) {
        let size = self.size_of(body);
        if size > 0 {
            // SAFETY: a live stream.
            unsafe {
                abi::envoy_dynamic_module_callback_http_drain_body(self.filter, body, size);
            }
        }
    }
}

impl Headers for EnvoyStream<'_> {
    fn list(&self) -> List<'_> {
        self.list_of_kind(abi::header_type::REQUEST_HEADER)
    }

    fn set_header(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: a live stream; a value replaces all of the name, and an empty one removes it.
        unsafe {
            abi::envoy_dynamic_module_callback_http_set_header(
                self.filter,
                abi::header_type::REQUEST_HEADER,
                ModuleBuffer::new(name),
                ModuleBuffer::new(value),
            );
        }
    }

    fn add_header(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: a live stream.
        unsafe {
            abi::envoy_dynamic_module_callback_http_add_header(
                self.filter,
                abi::header_type::REQUEST_HEADER,
                ModuleBuffer::new(name),
                ModuleBuffer::new(value),
            );
        }
    }

    fn remove_header(&mut self, name: &[u8]) {
        // SAFETY: a live stream; a null value removes.
        unsafe {
            abi::envoy_dynamic_module_callback_http_set_header(
                self.filter,
                abi::header_type::REQUEST_HEADER,
                ModuleBuffer::new(name),
                ModuleBuffer::NULL,
            );
        }
    }

    fn fact(&self, fact: Fact) -> Option<&[u8]> {
        self.attribute(attribute_of(fact))
    }
}

impl Stream for EnvoyStream<'_> {
    fn remove_trailers(&mut self) {
        let trailers = self.list_of_kind(abi::header_type::REQUEST_TRAILER);
        let names: Vec<Vec<u8>> = trailers.0.iter().map(|each| each.0.to_vec()).collect();
        for name in names {
            // SAFETY: a live stream; a null value removes.
            unsafe {
                abi::envoy_dynamic_module_callback_http_set_header(
                    self.filter,
                    abi::header_type::REQUEST_TRAILER,
                    ModuleBuffer::new(&name),
                    ModuleBuffer::NULL,
                );
            }
        }
    }

    fn add_response_header(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: a live stream.
        unsafe {
            abi::envoy_dynamic_module_callback_http_add_header(
                self.filter,
                abi::header_type::RESPONSE_HEADER,
                ModuleBuffer::new(name),
                ModuleBuffer::new(value),
            );
        }
    }

    fn response_list(&self) -> List<'_> {
        self.list_of_kind(abi::header_type::RESPONSE_HEADER)
    }

    fn remove_response_header(&mut self, name: &[u8]) {
        // SAFETY: a live stream; a null value removes.
        unsafe {
            abi::envoy_dynamic_module_callback_http_set_header(
                self.filter,
                abi::header_type::RESPONSE_HEADER,
                ModuleBuffer::new(name),
                ModuleBuffer::NULL,
            );
        }
    }

    fn add_via(&mut self) {
        let mut found = EnvoyBuffer::EMPTY;
        // SAFETY: a live stream and a place for the result, which is copied by the next callback.
        // It is the endpoint's metadata: it lives as long as the endpoint, which the stream holds,
        // since our endpoints come with their cluster (no EDS) and are never given other metadata.
        unsafe {
            if abi::envoy_dynamic_module_callback_http_get_metadata_string(
                self.filter,
                abi::metadata_source::HOST,
                ModuleBuffer::new(names::METADATA),
                ModuleBuffer::new(names::VIA_KEY),
                &mut found,
            ) {
                self.add_response_header(b"via", found.as_slice());
            }
        }
    }

    fn table(&self) -> Option<&TableConfig> {
        // SAFETY: the only route configurations of this module are tables (`hooks.rs`), each lives
        // as long as its route, and a stream holds its route during a hook.
        unsafe {
            (abi::envoy_dynamic_module_callback_get_most_specific_route_config(self.filter)
                as *const TableConfig)
                .as_ref()
        }
    }

    fn route_name(&self) -> Option<&[u8]> {
        self.attribute(abi::attribute_id::XDS_ROUTE_NAME)
    }

    fn body_size(&self) -> usize {
        let arrived = if self.is_in_body_hook {
            self.size_of(abi::body_type::RECEIVED_REQUEST)
        } else {
            0
        };
        self.size_of(abi::body_type::BUFFERED_REQUEST) + arrived
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.append_body_to(&mut body, abi::body_type::BUFFERED_REQUEST);
        if self.is_in_body_hook {
            self.append_body_to(&mut body, abi::body_type::RECEIVED_REQUEST);
        }
        body
    }

    fn replace_body(&mut self, body: &[u8]) {
        self.drain(abi::body_type::BUFFERED_REQUEST);
        if !body.is_empty() {
            // SAFETY: a live stream.
            unsafe {
                abi::envoy_dynamic_module_callback_http_append_body(
                    self.filter,
                    abi::body_type::BUFFERED_REQUEST,
                    ModuleBuffer::new(body),
                );
            }
        }
    }

    fn drop_arrived_body(&mut self) {
        if self.is_in_body_hook {
            self.drain(abi::body_type::RECEIVED_REQUEST);
        }
    }

    fn hold_back_up_to(&mut self, bytes: usize) {
        // SAFETY: a live stream.
        unsafe {
            let limit = abi::envoy_dynamic_module_callback_http_get_buffer_limit(self.filter);
            if limit != 0 && limit < bytes as u64 {
                abi::envoy_dynamic_module_callback_http_set_buffer_limit(self.filter, bytes as u64);
            }
        }
    }

    fn ask(&mut self, message: &[u8], timeout_ms: u64) -> bool {
        let headers = names::CHECK_HEADERS.map(|(name, value)| ModuleHttpHeader::new(name, value));
        let mut id = 0;
        // SAFETY: a live stream; Envoy copies headers and body before it returns.
        let result = unsafe {
            abi::envoy_dynamic_module_callback_http_filter_http_callout(
                self.filter,
                &mut id,
                ModuleBuffer::new(self.cluster),
                headers.as_ptr(),
                headers.len(),
                ModuleBuffer::new(message),
                timeout_ms,
            )
        };
        result == abi::callout_init::SUCCESS
    }

    fn reply(&mut self, reply: &Reply<'_>) {
        let headers: Vec<ModuleHttpHeader> = reply
            .headers
            .iter()
            .map(|(name, value)| ModuleHttpHeader::new(name, value))
            .collect();
        // SAFETY: a live stream; Envoy copies everything before it returns.
        unsafe {
            abi::envoy_dynamic_module_callback_http_send_response(
                self.filter,
                u32::from(reply.status),
                headers.as_ptr(),
                headers.len(),
                ModuleBuffer::new(reply.body),
                ModuleBuffer::new(reply.details.as_bytes()),
            );
        }
    }

    fn note(&mut self, key: &[u8], value: &[u8]) {
        // SAFETY: a live stream; Envoy copies what it is given.
        unsafe {
            abi::envoy_dynamic_module_callback_http_set_dynamic_metadata_string(
                self.filter,
                ModuleBuffer::new(names::METADATA),
                ModuleBuffer::new(key),
                ModuleBuffer::new(value),
            );
        }
    }

    fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Warning => abi::log_level::WARN,
            Level::Error => abi::log_level::ERROR,
        };
        // SAFETY: Envoy copies the text.
        unsafe { abi::envoy_dynamic_module_callback_log(level, ModuleBuffer::new(text.as_bytes())) }
    }
}
