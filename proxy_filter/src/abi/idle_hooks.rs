//! Hooks that Envoy looks for when it loads the module, with nothing to do here.

use super::declarations as abi;
use super::declarations::{EnvoyBuffer, EnvoyHttpHeader};

macro_rules! idle {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(
            /// Nothing to do.
            #[no_mangle]
            pub extern "C" fn $name($($argument: $kind),*) {
                let _ = ($($argument),*);
            }
        )*
    };
}

idle! {
    envoy_dynamic_module_on_http_filter_stream_complete(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr);
    envoy_dynamic_module_on_http_filter_scheduled(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr, event: u64);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr);
    envoy_dynamic_module_on_http_filter_http_stream_headers(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr, id: u64,
        headers: *const EnvoyHttpHeader, headers_size: usize, is_last: bool);
    envoy_dynamic_module_on_http_filter_http_stream_data(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr, id: u64,
        chunks: *const EnvoyBuffer, chunks_size: usize, is_last: bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr, id: u64,
        trailers: *const EnvoyHttpHeader, trailers_size: usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr, id: u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(
        envoy: abi::FilterEnvoyPtr, slot: abi::FilterModulePtr, id: u64, reason: u32);
}
