//! Our two threads: one reads revocations, one reports counted uses of cached decisions. A policy
//! service that hangs must not delay revocations.

use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::filter_config::FilterConfig;
use crate::{hits, revocations};

const PAUSE_BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const PAUSE_BETWEEN_REPORTS: Duration = Duration::from_secs(1);

static SOCKET: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// Starts them, once; a later configuration changes what it works with.
pub fn start(config: &FilterConfig) {
    revocations::configure(&config.revocations);
    let former = SOCKET
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(config.policy_socket.clone());
    if former.is_none() {
        // Where no thread can be had, workers read the file themselves, and nothing is counted.
        repeat("revocations", PAUSE_BETWEEN_LOOKS, revocations::refresh);
        repeat("hits", PAUSE_BETWEEN_REPORTS, report);
    }
}

/// Does something again and again, whatever becomes of it.
fn repeat(name: &str, pause: Duration, work: fn()) {
    let _ = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || loop {
            thread::sleep(pause);
            let _ = catch_unwind(work);
        });
}

fn report() {
    let socket = SOCKET
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    hits::report(&socket.unwrap_or_default());
}
