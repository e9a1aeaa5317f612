//! Envoy's dynamic module ABI: the part of it that this filter uses.
//!
//! Written by hand after `source/extensions/dynamic_modules/abi/abi.h` of Envoy 1.40.0 (ABI version
//! "v0.2.0"), and checked against the symbols that the Envoy 1.40.0 binary exports. The ABI is only
//! promised to hold from one minor release to the next, so a new Envoy means reading that header
//! again.
//!
//! What holds for all of it:
//!
//! * Functions named `envoy_dynamic_module_callback_*` are Envoy's; a module calls them. The
//!   dynamic linker resolves all of them when the module is loaded: a single one that this Envoy
//!   does not have, and the module does not load at all.
//! * Functions named `envoy_dynamic_module_on_*` are the module's; Envoy looks them up by name with
//!   `dlsym`. They are in `hooks.rs` and `arrival.rs`.
//! * Envoy checks no pointer. Buffers that Envoy hands out stay Envoy's and are valid until the
//!   current hook returns or something writes to the same header map or body, whichever is first.
//!   Buffers that the module hands in are copied by Envoy before the callback returns.
//! * No panic may leave a hook.
//! * C enums are plain `u32` here. A Rust `enum` would make an unknown value from Envoy undefined
//!   behaviour.

use std::os::raw::{c_char, c_void};

// -------------------------------------------------------------------------------------------------
// Common types
// -------------------------------------------------------------------------------------------------

/// What `envoy_dynamic_module_on_program_init` returns, NUL-terminated. Another version only makes
/// Envoy log a warning; a null pointer makes it refuse the module.
pub const ABI_VERSION: &[u8] = b"v0.2.0\0";

/// Bytes that belong to Envoy. `ptr` may be null or dangling when `length` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EnvoyBuffer {
    pub ptr: *const c_char,
    pub length: usize,
}

impl EnvoyBuffer {
    /// An empty buffer, to be filled in by a callback.
    pub const EMPTY: EnvoyBuffer = EnvoyBuffer {
        ptr: std::ptr::null(),
        length: 0,
    };

    /// The bytes themselves.
    ///
    /// # Safety
    ///
    /// The buffer must come from Envoy, and the caller must not keep the slice for longer than
    /// Envoy keeps the bytes (see the module's documentation).
    pub unsafe fn as_slice<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.length == 0 {
            &[]
        } else {
            // SAFETY: a non-null buffer of Envoy's has `length` bytes, by the caller's promise.
            unsafe { std::slice::from_raw_parts(self.ptr as *const u8, self.length) }
        }
    }
}

/// Bytes that belong to the module. Envoy reads them before the callback returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ModuleBuffer {
    pub ptr: *const c_char,
    pub length: usize,
}

impl ModuleBuffer {
    /// A null buffer: "absent" wherever a callback has an optional buffer.
    pub const NULL: ModuleBuffer = ModuleBuffer {
        ptr: std::ptr::null(),
        length: 0,
    };

    /// The buffer for some bytes. It is never null, not even for an empty slice, which matters for
    /// `envoy_dynamic_module_callback_http_set_header` where null means "remove".
    pub fn new(bytes: &[u8]) -> ModuleBuffer {
        ModuleBuffer {
            ptr: bytes.as_ptr() as *const c_char,
            length: bytes.len(),
        }
    }
}

/// A header that belongs to Envoy.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EnvoyHttpHeader {
    pub key_ptr: *const c_char,
    pub key_length: usize,
    pub value_ptr: *const c_char,
    pub value_length: usize,
}

impl EnvoyHttpHeader {
    /// The header's name. Envoy keeps names in lower case.
    pub fn key(&self) -> EnvoyBuffer {
        EnvoyBuffer {
            ptr: self.key_ptr,
            length: self.key_length,
        }
    }

    /// The header's value.
    pub fn value(&self) -> EnvoyBuffer {
        EnvoyBuffer {
            ptr: self.value_ptr,
            length: self.value_length,
        }
    }
}

/// A header that belongs to the module.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ModuleHttpHeader {
    pub key_ptr: *const c_char,
    pub key_length: usize,
    pub value_ptr: *const c_char,
    pub value_length: usize,
}

impl ModuleHttpHeader {
    pub fn new(key: &[u8], value: &[u8]) -> ModuleHttpHeader {
        ModuleHttpHeader {
            key_ptr: key.as_ptr() as *const c_char,
            key_length: key.len(),
            value_ptr: value.as_ptr() as *const c_char,
            value_length: value.len(),
        }
    }
}

/// Envoy's object for one HTTP filter configuration.
pub type FilterConfigEnvoyPtr = *mut c_void;
/// The module's object for one HTTP filter configuration.
pub type FilterConfigModulePtr = *const c_void;
/// The module's object for one per-route configuration.
pub type PerRouteConfigModulePtr = *const c_void;
/// Envoy's object for the filter of one stream.
pub type FilterEnvoyPtr = *mut c_void;
/// The module's object for the filter of one stream.
pub type FilterModulePtr = *const c_void;
/// Envoy's object for one early header mutation configuration.
pub type EarlyMutationConfigEnvoyPtr = *mut c_void;
/// The module's object for one early header mutation configuration.
pub type EarlyMutationConfigModulePtr = *const c_void;
/// The request an early header mutation works on; valid during that one call.
pub type EarlyMutationContextPtr = *mut c_void;

/// `envoy_dynamic_module_type_http_header_type`: the header map meant.
pub mod header_type {
    pub const REQUEST_HEADER: u32 = 0;
    pub const REQUEST_TRAILER: u32 = 1;
    pub const RESPONSE_HEADER: u32 = 2;
}

/// `envoy_dynamic_module_type_http_body_type`: the body meant. "Received" is the piece that the
/// current body hook is about and exists in that hook only; "buffered" is what Envoy holds back
/// because a filter asked it to.
pub mod body_type {
    pub const RECEIVED_REQUEST: u32 = 0;
    pub const BUFFERED_REQUEST: u32 = 1;
}

/// `envoy_dynamic_module_type_log_level`.
pub mod log_level {
    pub const WARN: u32 = 3;
    pub const ERROR: u32 = 4;
}

/// Answers of the request and response headers hooks
/// (`envoy_dynamic_module_type_on_http_filter_{request,response}_headers_status`).
pub mod headers_status {
    pub const CONTINUE: u32 = 0;
    /// Stop the headers; the body still reaches this filter's body hook.
    pub const STOP_ITERATION: u32 = 1;
}

/// Answers of the body hooks (`envoy_dynamic_module_type_on_http_filter_{request,response}_body_status`).
pub mod body_status {
    pub const CONTINUE: u32 = 0;
    /// Buffer; at the limit the peer is no longer read from. Waiting for the whole body this way
    /// never ends if the body is larger than the limit.
    pub const STOP_ITERATION_AND_WATERMARK: u32 = 2;
    /// Throw the piece away (unless the module kept it).
    pub const STOP_ITERATION_NO_BUFFER: u32 = 3;
}

/// Answers of the trailers hooks
/// (`envoy_dynamic_module_type_on_http_filter_{request,response}_trailers_status`).
pub mod trailers_status {
    pub const CONTINUE: u32 = 0;
    pub const STOP_ITERATION: u32 = 1;
}

/// Answers of the local reply hook (`envoy_dynamic_module_type_on_http_filter_local_reply_status`).
pub mod local_reply_status {
    pub const CONTINUE: u32 = 0;
}

/// `envoy_dynamic_module_type_http_callout_init_result`: what starting a callout came to.
pub mod callout_init {
    /// The done hook will be called, unless the stream ends before.
    pub const SUCCESS: u32 = 0;
}

/// `envoy_dynamic_module_type_http_callout_result`: how a callout ended.
pub mod callout_result {
    /// There is an answer. It may be one that Envoy made up itself (503 or 504).
    pub const SUCCESS: u32 = 0;
    pub const EXCEED_RESPONSE_BUFFER_LIMIT: u32 = 2;
}

/// `envoy_dynamic_module_type_metadata_source`.
pub mod metadata_source {
    pub const HOST: u32 = 3;
}

/// `envoy_dynamic_module_type_attribute_id`: the attributes that matter here, by their place in the
/// header's enumeration.
pub mod attribute_id {
    pub const RESPONSE_CODE_DETAILS: u32 = 16;
    pub const REQUEST_PROTOCOL: u32 = 10;
    pub const SOURCE_ADDRESS: u32 = 24;
    pub const CONNECTION_REQUESTED_SERVER_NAME: u32 = 30;
    pub const CONNECTION_TLS_VERSION: u32 = 31;
    pub const XDS_ROUTE_NAME: u32 = 61;
}

// -------------------------------------------------------------------------------------------------
// Hooks: what the module exports
// -------------------------------------------------------------------------------------------------

// -------------------------------------------------------------------------------------------------
// Callbacks: what Envoy exports
// -------------------------------------------------------------------------------------------------

extern "C" {

    /// Writes a line to Envoy's log, under the logger "dynamic_modules".
    pub fn envoy_dynamic_module_callback_log(level: u32, message: ModuleBuffer);

    pub fn envoy_dynamic_module_callback_http_get_headers_size(
        filter: FilterEnvoyPtr,
        header_type: u32,
    ) -> usize;
    /// All headers; `result` must have room for as many as `..._get_headers_size` said.
    pub fn envoy_dynamic_module_callback_http_get_headers(
        filter: FilterEnvoyPtr,
        header_type: u32,
        result: *mut EnvoyHttpHeader,
    ) -> bool;
    /// Adds one value and keeps the others.
    pub fn envoy_dynamic_module_callback_http_add_header(
        filter: FilterEnvoyPtr,
        header_type: u32,
        key: ModuleBuffer,
        value: ModuleBuffer,
    ) -> bool;
    /// Replaces all values by one. A null value removes the header.
    pub fn envoy_dynamic_module_callback_http_set_header(
        filter: FilterEnvoyPtr,
        header_type: u32,
        key: ModuleBuffer,
        value: ModuleBuffer,
    ) -> bool;

    /// Answers the request. `details` may be null.
    pub fn envoy_dynamic_module_callback_http_send_response(
        filter: FilterEnvoyPtr,
        status_code: u32,
        headers: *const ModuleHttpHeader,
        headers_size: usize,
        body: ModuleBuffer,
        details: ModuleBuffer,
    );

    pub fn envoy_dynamic_module_callback_http_get_body_size(
        filter: FilterEnvoyPtr,
        body_type: u32,
    ) -> usize;
    /// All chunks; `result` must have room for as many as `..._get_body_chunks_size` said.
    pub fn envoy_dynamic_module_callback_http_get_body_chunks(
        filter: FilterEnvoyPtr,
        body_type: u32,
        result: *mut EnvoyBuffer,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_get_body_chunks_size(
        filter: FilterEnvoyPtr,
        body_type: u32,
    ) -> usize;
    pub fn envoy_dynamic_module_callback_http_append_body(
        filter: FilterEnvoyPtr,
        body_type: u32,
        data: ModuleBuffer,
    ) -> bool;
    /// Removes bytes from the front, at most all there are.
    pub fn envoy_dynamic_module_callback_http_drain_body(
        filter: FilterEnvoyPtr,
        body_type: u32,
        number_of_bytes: usize,
    ) -> bool;
    /// How much of a body Envoy buffers for this stream at most, in bytes. 0 is "no limit".
    pub fn envoy_dynamic_module_callback_http_get_buffer_limit(filter: FilterEnvoyPtr) -> u64;
    pub fn envoy_dynamic_module_callback_http_set_buffer_limit(filter: FilterEnvoyPtr, limit: u64);

    pub fn envoy_dynamic_module_callback_http_set_dynamic_metadata_string(
        filter: FilterEnvoyPtr,
        namespace: ModuleBuffer,
        key: ModuleBuffer,
        value: ModuleBuffer,
    );
    /// `source` is one of the constants of `metadata_source`.
    pub fn envoy_dynamic_module_callback_http_get_metadata_string(
        filter: FilterEnvoyPtr,
        source: u32,
        namespace: ModuleBuffer,
        key: ModuleBuffer,
        result: *mut EnvoyBuffer,
    ) -> bool;

    pub fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
        filter: FilterEnvoyPtr,
        attribute_id: u32,
        result: *mut EnvoyBuffer,
    ) -> bool;

    pub fn envoy_dynamic_module_callback_http_filter_http_callout(
        filter: FilterEnvoyPtr,
        callout_id: *mut u64,
        cluster_name: ModuleBuffer,
        headers: *const ModuleHttpHeader,
        headers_size: usize,
        body: ModuleBuffer,
        timeout_milliseconds: u64,
    ) -> u32;

    /// Goes on where a hook's answer stopped the request.
    pub fn envoy_dynamic_module_callback_http_filter_continue_decoding(filter: FilterEnvoyPtr);
    /// The per-route configuration that applies to the request, or null.
    pub fn envoy_dynamic_module_callback_get_most_specific_route_config(
        filter: FilterEnvoyPtr,
    ) -> PerRouteConfigModulePtr;

    pub fn envoy_dynamic_module_callback_early_header_mutation_get_headers_size(
        context: EarlyMutationContextPtr,
    ) -> usize;
    pub fn envoy_dynamic_module_callback_early_header_mutation_get_headers(
        context: EarlyMutationContextPtr,
        result: *mut EnvoyHttpHeader,
    ) -> bool;
    /// Replaces all values by one. (Unlike the HTTP filter's, a null value does not remove.)
    pub fn envoy_dynamic_module_callback_early_header_mutation_set_header(
        context: EarlyMutationContextPtr,
        key: ModuleBuffer,
        value: ModuleBuffer,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_early_header_mutation_add_header(
        context: EarlyMutationContextPtr,
        key: ModuleBuffer,
        value: ModuleBuffer,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_early_header_mutation_remove_header(
        context: EarlyMutationContextPtr,
        key: ModuleBuffer,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_early_header_mutation_get_attribute_string(
        context: EarlyMutationContextPtr,
        attribute_id: u32,
        result: *mut EnvoyBuffer,
    ) -> bool;
}
