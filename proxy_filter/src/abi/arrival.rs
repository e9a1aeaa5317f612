//! A request on arrival (Envoy's "early header mutation"): callbacks and hooks. Sound for the same
//! reasons as `stream.rs`: an `EnvoyArrival` lives for one hook only.

use std::panic::{catch_unwind, AssertUnwindSafe};

use super::declarations as abi;
use super::declarations::{EnvoyBuffer, ModuleBuffer};
use super::hooks::{refused, without_panic};
use super::stream::{attribute_of, list_of};
use crate::arriving::{arrive, ArrivalConfig};
use crate::names;
use crate::stream::{Fact, Headers, List};

struct EnvoyArrival(abi::EarlyMutationContextPtr);

impl Headers for EnvoyArrival {
    fn list(&self) -> List<'_> {
        // SAFETY: a live request; the slices last as long as nothing is changed.
        unsafe {
            list_of(
                abi::envoy_dynamic_module_callback_early_header_mutation_get_headers_size(self.0),
                |places| {
                    abi::envoy_dynamic_module_callback_early_header_mutation_get_headers(
                        self.0, places,
                    )
                },
            )
        }
    }

    fn set_header(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: a live request; Envoy copies both.
        unsafe {
            abi::envoy_dynamic_module_callback_early_header_mutation_set_header(
                self.0,
                ModuleBuffer::new(name),
                ModuleBuffer::new(value),
            );
        }
    }

    fn add_header(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: a live request; Envoy copies both.
        unsafe {
            abi::envoy_dynamic_module_callback_early_header_mutation_add_header(
                self.0,
                ModuleBuffer::new(name),
                ModuleBuffer::new(value),
            );
        }
    }

    fn remove_header(&mut self, name: &[u8]) {
        // SAFETY: a live request.
        unsafe {
            abi::envoy_dynamic_module_callback_early_header_mutation_remove_header(
                self.0,
                ModuleBuffer::new(name),
            );
        }
    }

    fn fact(&self, fact: Fact) -> Option<&[u8]> {
        let mut found = EnvoyBuffer::EMPTY;
        // SAFETY: a live request and a place for the result.
        unsafe {
            abi::envoy_dynamic_module_callback_early_header_mutation_get_attribute_string(
                self.0,
                attribute_of(fact),
                &mut found,
            )
            .then(|| found.as_slice())
        }
    }
}

/// `OnEarlyHeaderMutationConfigNew`
#[no_mangle]
pub extern "C" fn envoy_dynamic_module_on_early_header_mutation_config_new(
    _envoy: abi::EarlyMutationConfigEnvoyPtr,
    _name: EnvoyBuffer,
    config: EnvoyBuffer,
) -> abi::EarlyMutationConfigModulePtr {
    without_panic(std::ptr::null(), || {
        // SAFETY: the text is Envoy's and lasts as long as this hook.
        match ArrivalConfig::parse(unsafe { config.as_slice() }) {
            Ok(config) => Box::into_raw(Box::new(config)) as abi::EarlyMutationConfigModulePtr,
            Err(why) => {
                refused("the configuration of arrival", &why);
                std::ptr::null()
            }
        }
    })
}

/// `OnEarlyHeaderMutationConfigDestroy`
///
/// # Safety
/// `config` came from `…config_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_early_header_mutation_config_destroy(
    config: abi::EarlyMutationConfigModulePtr,
) {
    without_panic((), || {
        // SAFETY: by the promise above.
        drop(unsafe { Box::from_raw(config as *mut ArrivalConfig) });
    });
}

/// `OnEarlyHeaderMutationMutate`. Workers share one configuration, which nothing changes. After a
/// panic no header of the client's is believed: all go but those that Envoy needs.
///
/// # Safety
/// `config` came from `…config_new` and is alive; `context` is a live request.
#[no_mangle]
pub unsafe extern "C" fn envoy_dynamic_module_on_early_header_mutation_mutate(
    config: abi::EarlyMutationConfigModulePtr,
    context: abi::EarlyMutationContextPtr,
) -> bool {
    // SAFETY: by the promise above.
    let config = unsafe { &*config.cast::<ArrivalConfig>() };
    let mut request = EnvoyArrival(context);
    if catch_unwind(AssertUnwindSafe(|| arrive(config, &mut request))).is_err() {
        // The filter refuses a request without our id.
        request.remove_header(names::REQUEST_ID);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let names: Vec<Vec<u8>> = request
                .list()
                .0
                .iter()
                .map(|each| each.0.to_vec())
                .collect();
            for name in names.iter().filter(|name| !name.starts_with(b":")) {
                request.remove_header(name);
            }
        }));
    }
    true
}
