//! The functions that Envoy calls. Each runs its work behind `without_panic`, so that no panic leaves it.
//!
//! What Envoy keeps for us are plain pointers: to an `Arc<FilterConfig>`'s content, to a
//! `TableConfig`, to a `Slot`. Each is made by one hook of this file and given back by another,
//! once; in between only shared references are made of it.

use std::cell::{Cell, RefCell};
use std::os::raw::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

use super::declarations as abi;
use super::declarations::{EnvoyBuffer, EnvoyHttpHeader};
use super::stream::EnvoyStream;
use crate::arriving::ArrivalConfig;
use crate::filter::Request;
use crate::filter_config::FilterConfig;
use crate::flow::{Answer, BodyFlow, Flow};
use crate::table_config::TableConfig;
use crate::{background, names, worker};

/// The filter of one stream. Envoy calls hooks within our own calls: `local_reply` and
/// `stream_complete` within a reply of ours, `response_headers` within `continue_decoding`. None of
/// them finds `request` borrowed: the first two do not look at it, and we call the last with nothing
/// borrowed. Each hook holds a reference of its own, so that a `destroy` within it would harm nothing
/// (1.40.0 defers it: seen).
struct Slot {
    config: Arc<FilterConfig>,
    request: RefCell<Request>,
    /// The response is Envoy's own.
    is_local: Cell<bool>,
}

impl Slot {
    /// Runs one event of the stream. None: it panicked, or came within another event.
    fn run<T>(
        &self,
        filter: abi::FilterEnvoyPtr,
        is_in_body_hook: bool,
        event: impl FnOnce(&mut Request, &mut EnvoyStream<'_>) -> T,
    ) -> Option<T> {
        let mut request = self.request.try_borrow_mut().ok()?;
        let mut stream = EnvoyStream::new(filter, &self.config.policy_cluster, is_in_body_hook);
        let done = catch_unwind(AssertUnwindSafe(|| event(&mut request, &mut stream)));
        if done.is_err() {
            let _ = catch_unwind(AssertUnwindSafe(|| request.on_panic(&mut stream)));
        }
        done.ok()
    }
}

/// Configurations are shared by all workers.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<FilterConfig>();
    shared::<TableConfig>();
    shared::<ArrivalConfig>();
};

/// A reference for the length of a hook.
///
/// # Safety
/// `slot` came from `…filter_new` and was not given back.
unsafe fn held(slot: abi::FilterModulePtr) -> Rc<Slot> {
    let slot = slot.cast::<Slot>();
    // SAFETY: by the promise above; the new reference is counted before it is made.
    unsafe {
        Rc::increment_strong_count(slot);
        Rc::from_raw(slot)
    }
}

pub(super) fn without_panic<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}

pub(super) fn refused(what: &str, why: &str) {
    let line = format!("{what} cannot be read: {why}");
    // SAFETY: Envoy copies the text.
    unsafe {
        abi::envoy_dynamic_module_callback_log(
            abi::log_level::ERROR,
            abi::ModuleBuffer::new(line.as_bytes()),
        );
    }
}

/// `OnProgramInit`
#[no_mangle]
pub extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    worker::silence_panics();
    abi::ABI_VERSION.as_ptr().cast()
}

/// `OnHttpFilterConfigNew`
#[no_mangle]
pub extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    _envoy: abi::FilterConfigEnvoyPtr,
    _name: EnvoyBuffer,
    config: EnvoyBuffer,
) -> abi::FilterConfigModulePtr {
    without_panic(std::ptr::null(), || {
        // SAFETY: the text is Envoy's and lasts as long as this hook.
        match FilterConfig::parse(unsafe { config.as_slice() }) {
            Ok(config) => {
                background::start(&config);
                Arc::into_raw(Arc::new(config)).cast()
            }
            Err(why) => {
                refused("the filter's configuration", &why);
                std::ptr::null()
            }
        }
    })
}

/// `OnHttpFilterConfigDestroy`
///
/// # Safety
/// `config` came from `…config_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(
    config: abi::FilterConfigModulePtr,
) {
    without_panic((), || {
        // SAFETY: by the promise above; streams hold references of their own.
        drop(unsafe { Arc::from_raw(config.cast::<FilterConfig>()) });
    });
}

/// `OnHttpFilterPerRouteConfigNew`: the only one there is belongs to the whole table.
#[no_mangle]
pub extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_new(
    _name: EnvoyBuffer,
    config: EnvoyBuffer,
) -> abi::PerRouteConfigModulePtr {
    without_panic(std::ptr::null(), || {
        // SAFETY: the text is Envoy's and lasts as long as this hook.
        match TableConfig::parse(unsafe { config.as_slice() }) {
            Ok(table) => Box::into_raw(Box::new(table)) as abi::PerRouteConfigModulePtr,
            Err(why) => {
                refused("the route table's configuration", &why);
                std::ptr::null()
            }
        }
    })
}

/// `OnHttpFilterPerRouteConfigDestroy`
///
/// # Safety
/// `config` came from `…per_route_config_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(
    config: abi::PerRouteConfigModulePtr,
) {
    without_panic((), || {
        // SAFETY: by the promise above.
        drop(unsafe { Box::from_raw(config as *mut TableConfig) });
    });
}

/// `OnHttpFilterNew`
///
/// # Safety
/// `config` came from `…config_new` and is alive.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: abi::FilterConfigModulePtr,
    _envoy: abi::FilterEnvoyPtr,
) -> abi::FilterModulePtr {
    without_panic(std::ptr::null(), || {
        // SAFETY: by the promise above; the new Arc is a reference of its own.
        let config = unsafe {
            let config = config.cast::<FilterConfig>();
            Arc::increment_strong_count(config);
            Arc::from_raw(config)
        };
        let slot = Slot {
            request: RefCell::new(Request::new(config.clone())),
            config,
            is_local: Cell::new(false),
        };
        Rc::into_raw(Rc::new(slot)).cast()
    })
}

/// `OnHttpFilterDestroy`
///
/// # Safety
/// `slot` came from `…filter_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_destroy(slot: abi::FilterModulePtr) {
    without_panic((), || {
        // SAFETY: by the promise above.
        drop(unsafe { Rc::from_raw(slot.cast::<Slot>()) });
    });
}

/// `OnHttpFilterPart`
///
/// # Safety
/// Both pointers belong to one live stream.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    envoy: abi::FilterEnvoyPtr,
    slot: abi::FilterModulePtr,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: by the promise above.
    let slot = unsafe { held(slot) };
    let flow = slot.run(envoy, false, |request, stream| {
        request.on_headers(end_of_stream, stream);
        request.flow()
    });
    match flow {
        Some(Flow::Continue) => abi::headers_status::CONTINUE,
        _ => abi::headers_status::STOP_ITERATION,
    }
}

/// `OnHttpFilterPart`
///
/// # Safety
/// Both pointers belong to one live stream.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    envoy: abi::FilterEnvoyPtr,
    slot: abi::FilterModulePtr,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: by the promise above.
    let slot = unsafe { held(slot) };
    let flow = slot.run(envoy, true, |request, stream| {
        request.on_body(end_of_stream, stream)
    });
    match flow {
        Some(BodyFlow::Continue) => abi::body_status::CONTINUE,
        Some(BodyFlow::HoldBack) => abi::body_status::STOP_ITERATION_AND_WATERMARK,
        Some(BodyFlow::Drop) | None => abi::body_status::STOP_ITERATION_NO_BUFFER,
    }
}

/// `OnHttpFilterTrailers`
///
/// # Safety
/// Both pointers belong to one live stream.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
    envoy: abi::FilterEnvoyPtr,
    slot: abi::FilterModulePtr,
) -> u32 {
    // SAFETY: by the promise above.
    let slot = unsafe { held(slot) };
    let flow = slot.run(envoy, false, |request, stream| {
        request.on_trailers(stream);
        request.flow()
    });
    match flow {
        Some(Flow::Continue) => abi::trailers_status::CONTINUE,
        _ => abi::trailers_status::STOP_ITERATION,
    }
}

/// `OnHttpFilterPart`. After a panic here the client gets a 500 in place of the response.
///
/// # Safety
/// Both pointers belong to one live stream.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    envoy: abi::FilterEnvoyPtr,
    slot: abi::FilterModulePtr,
    _end_of_stream: bool,
) -> u32 {
    // SAFETY: by the promise above.
    let slot = unsafe { held(slot) };
    slot.run(envoy, false, |request, stream| {
        request.on_response_headers(slot.is_local.get(), stream);
    });
    abi::headers_status::CONTINUE
}

/// `OnHttpFilterLocalReply`: before the hook above, and within a reply of our own.
///
/// # Safety
/// Both pointers belong to one live stream.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_local_reply(
    _envoy: abi::FilterEnvoyPtr,
    slot: abi::FilterModulePtr,
    _status: u32,
    _details: EnvoyBuffer,
    _reset_imminent: bool,
) -> u32 {
    // SAFETY: by the promise above.
    unsafe { held(slot) }.is_local.set(true);
    abi::local_reply_status::CONTINUE
}

/// `OnHttpFilterPart`: nothing to do.
#[no_mangle]
pub extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
    _envoy: abi::FilterEnvoyPtr,
    _slot: abi::FilterModulePtr,
    _end_of_stream: bool,
) -> u32 {
    abi::body_status::CONTINUE
}

/// `OnHttpFilterTrailers`: nothing to do.
#[no_mangle]
pub extern "C" fn envoy_dynamic_module_on_http_filter_response_trailers(
    _envoy: abi::FilterEnvoyPtr,
    _slot: abi::FilterModulePtr,
) -> u32 {
    abi::trailers_status::CONTINUE
}

/// `OnHttpFilterHttpCalloutDone`
///
/// # Safety
/// Both first pointers belong to one live stream; the arrays have as many elements as is said.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_http_callout_done(
    envoy: abi::FilterEnvoyPtr,
    slot: abi::FilterModulePtr,
    _callout_id: u64,
    result: u32,
    headers: *const EnvoyHttpHeader,
    headers_size: usize,
    chunks: *const EnvoyBuffer,
    chunks_size: usize,
) {
    // SAFETY: by the promise above.
    let slot = unsafe { held(slot) };
    let answer = without_panic(Answer::None, || {
        // SAFETY: by the promise above; everything is copied here.
        unsafe { answer_of(result, headers, headers_size, chunks, chunks_size) }
    });
    let flow = slot.run(envoy, false, |request, stream| {
        request.on_answer(answer, stream);
        request.flow()
    });
    if flow == Some(Flow::Continue) {
        // Nothing is borrowed here: Envoy may answer by itself, and calls the response's hook.
        // SAFETY: a live stream.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_continue_decoding(envoy) }
    }
}

/// # Safety
/// The arrays are null or have as many elements as is said.
unsafe fn answer_of(
    result: u32,
    headers: *const EnvoyHttpHeader,
    headers_size: usize,
    chunks: *const EnvoyBuffer,
    chunks_size: usize,
) -> Answer {
    if result == abi::callout_result::EXCEED_RESPONSE_BUFFER_LIMIT {
        return Answer::TooLarge;
    }
    if result != abi::callout_result::SUCCESS || headers.is_null() {
        return Answer::None;
    }
    // SAFETY: by the promise above.
    let headers = unsafe { std::slice::from_raw_parts(headers, headers_size) };
    let value_of = |name: &[u8]| {
        headers
            .iter()
            // SAFETY: names and values are Envoy's and last as long as this hook.
            .find(|each| unsafe { each.key().as_slice() } == name)
            .map(|each| unsafe { each.value().as_slice() })
    };
    let status = value_of(b":status").unwrap_or_default();
    if status == b"504" {
        return Answer::Late;
    }
    if status != b"200" || value_of(b"content-type") != Some(names::CONTENT_TYPE) {
        return Answer::None;
    }
    let mut body = Vec::new();
    if !chunks.is_null() {
        // SAFETY: by the promise above.
        for chunk in unsafe { std::slice::from_raw_parts(chunks, chunks_size) } {
            // SAFETY: as above.
            body.extend_from_slice(unsafe { chunk.as_slice() });
        }
    }
    Answer::Message(body)
}
