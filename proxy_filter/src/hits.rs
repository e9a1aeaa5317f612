//! Counts uses of cached decisions, and reports them to the policy service (`POST /hits`).

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A plugin and a reason are one label; more of them than there can honestly be are not counted.
const LABELS_LIMIT: usize = 100_000;
const TIMEOUT: Duration = Duration::from_secs(2);
const LINES_LIMIT: usize = 1_000;

/// Uses under one label that were not reported yet.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Counters = HashMap<Box<[u8]>, Arc<Counter>>;

static COUNTERS: Mutex<Option<Counters>> = Mutex::new(None);

fn counters() -> MutexGuard<'static, Option<Counters>> {
    COUNTERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The counter of a label.
pub fn counter(label: &[u8]) -> Option<Arc<Counter>> {
    let mut counters = counters();
    let known = counters.get_or_insert_with(HashMap::new);
    if let Some(counter) = known.get(label) {
        return Some(Arc::clone(counter));
    }
    if known.len() >= LABELS_LIMIT {
        // What no cache entry has and nobody counted since is not needed.
        known.retain(|_, counter| {
            Arc::strong_count(counter) > 1 || counter.0.load(Ordering::Relaxed) > 0
        });
        if known.len() >= LABELS_LIMIT {
            return None;
        }
    }
    let counter = Arc::new(Counter::default());
    known.insert(Box::from(label), Arc::clone(&counter));
    Some(counter)
}

/// Reports what was counted since; what cannot be reported is counted for the next time.
pub fn report(socket: &[u8]) {
    let counted: Vec<(Box<[u8]>, Arc<Counter>)> = match counters().as_ref() {
        Some(known) => known
            .iter()
            .filter(|(_, counter)| counter.0.load(Ordering::Relaxed) > 0)
            .map(|(label, counter)| (label.clone(), Arc::clone(counter)))
            .collect(),
        None => return,
    };
    for some in counted.chunks(LINES_LIMIT) {
        let counts: Vec<u64> = some
            .iter()
            .map(|(_, counter)| counter.0.swap(0, Ordering::Relaxed))
            .collect();
        let mut lines = Vec::new();
        for ((label, _), count) in some.iter().zip(&counts).filter(|(_, count)| **count > 0) {
            lines.extend_from_slice(format!("{count} ").as_bytes());
            lines.extend_from_slice(label);
            lines.push(b'\n');
        }
        if send(socket, &lines).is_none() {
            for ((_, counter), count) in some.iter().zip(&counts) {
                counter.0.fetch_add(*count, Ordering::Relaxed);
            }
            return;
        }
    }
}

/// None: the policy service has not taken them.
fn send(socket: &[u8], lines: &[u8]) -> Option<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(socket));
    let mut stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    let head = format!(
        "POST /hits HTTP/1.1\r\nhost: policy\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        lines.len()
    );
    stream.write_all(&[head.as_bytes(), lines].concat()).ok()?;
    let mut status = [0_u8; 10];
    stream.read_exact(&mut status).ok()?;
    status.starts_with(b"HTTP/1.1 2").then_some(())
}
