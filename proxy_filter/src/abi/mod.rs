//! All that touches Envoy's memory. `unsafe` stands in this folder only:
//! what Envoy offers (`declarations`), what we call (`stream`), what Envoy calls (`hooks`).

mod arrival;
mod declarations;
mod hooks;
mod idle_hooks;
mod stream;

/// What the module was built for. Scopegate reads this text from the file before Envoy loads it
/// (`envoy/module_file.py`).
#[no_mangle]
pub static SCOPEGATE_FILTER_BUILD: &str = concat!(
    "scopegate-filter-build scopegate=",
    env!("CARGO_PKG_VERSION"),
    " envoy=1.40.0;"
);
