//! What one worker thread keeps from request to request: the decision cache.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cache::{Cache, Entry};
use crate::check_response::Response;
use crate::decision::Changes;
use crate::filter_config::FilterConfig;
use crate::hits;
use crate::profile::Profile;
use crate::revocations::{self, Ended, Mark};
use crate::stream::List;

struct Worker {
    cache: Cache,
    /// Up to which revocation the cache is right.
    seen: u64,
    key: Vec<u8>,
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// A cached decision, and what its policy looks at.
pub type Cached = (Rc<Entry>, Rc<Profile>);

/// What was known of a request before it was asked about.
#[derive(Debug)]
pub struct Asked {
    /// Who decides.
    pub policy: [u8; 32],
    /// The check request, to be sent once more if nobody answers.
    pub message: Vec<u8>,
    mark: Option<Mark>,
}

/// What the worker knows of a request.
pub enum Known {
    /// Its decision.
    Decision(Cached),
    /// Nothing: it must be asked about.
    Nothing(Asked),
}

fn with<T>(config: &FilterConfig, work: impl FnOnce(&mut Worker) -> T) -> T {
    WORKER.with(|worker| {
        let mut worker = worker.borrow_mut();
        work(worker.get_or_insert_with(|| Worker {
            cache: Cache::new(config.cache_entries, config.cache_bytes),
            seen: 0,
            key: Vec::new(),
        }))
    })
}

impl Worker {
    /// Ends what was revoked since this worker looked.
    fn catch_up(&mut self) {
        if revocations::number() == self.seen {
            return;
        }
        let (ended, seen) = revocations::since(self.seen);
        match ended {
            Ended::Everything => self.cache.clear(),
            Ended::Tags(tags) => tags.iter().for_each(|tag| self.cache.end_tag(tag)),
        }
        self.seen = seen;
    }
}

/// Looks for the decision about a request.
pub fn look_up(config: &FilterConfig, policy: [u8; 32], headers: &List<'_>) -> Known {
    with(config, |worker| {
        let profile = worker.cache.profile(&policy);
        let has_key = match &profile {
            Some(profile) => key_of(profile, &policy, headers, &mut worker.key),
            None => false,
        };
        if let (true, Some(profile)) = (has_key && revocations::are_known(), &profile) {
            worker.catch_up();
            if let Some(entry) = worker.cache.get(&worker.key, now_s()) {
                return Known::Decision((entry, Rc::clone(profile)));
            }
        }
        Known::Nothing(Asked {
            policy,
            message: Vec::new(),
            mark: revocations::mark(),
        })
    })
}

/// Takes what a response says of its policy and of the cache; must come before any header of the
/// request is changed. The policy's profile, where there is one.
pub fn learn(
    config: &FilterConfig,
    asked: Asked,
    response: &Response<'_>,
    headers: &List<'_>,
) -> Result<Option<Rc<Profile>>, &'static str> {
    let line = match response.profile {
        Some(line) => line,
        None => return Ok(None),
    };
    with(config, |worker| {
        let profile = worker.cache.learn(asked.policy, line)?;
        if let (Some(until_s), Some(mark)) = (response.cache, asked.mark) {
            // By the profile of this response: it may be the policy's first.
            let has_key = key_of(&profile, &asked.policy, headers, &mut worker.key);
            // First this: what is revoked from here on is ended when the worker next looks.
            worker.catch_up();
            if has_key && revocations::may_cache(mark, &response.tags) {
                let counter = response.count.and_then(hits::counter);
                let entry = Entry::new(Changes::of(response), counter, until_s, &response.tags);
                worker.cache.put(&worker.key, entry);
            }
        }
        Ok(Some(profile))
    })
}

/// Writes the cache key of a request; false: it must be asked about.
fn key_of(profile: &Profile, policy: &[u8; 32], headers: &List<'_>, key: &mut Vec<u8>) -> bool {
    let kind = match headers.find(b"content-type") {
        Some((_, count)) if count > 1 => return false, // any of them may say what the body is
        found => found.map(|found| found.0),
    };
    if profile.is_asked_each_time(headers.value(b":method"), headers.value(b":path"), kind) {
        return false;
    }
    key.clear();
    key.extend_from_slice(policy);
    profile.append_key(key, headers)
}

/// The second of the clock on the wall. Before 1970 nothing is good any more.
fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |since| since.as_secs())
}

/// A panic is a refusal and a line in Envoy's log, which says where it was; Rust's own text on
/// stderr would be one of many lines, and takes a fifth of a second.
pub fn silence_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, ToString::to_string);
        let _ = PANIC.try_with(|last| last.try_borrow_mut().map(|mut last| *last = place));
    }));
}

/// What this thread's last panic is reported as.
pub fn last_panic() -> String {
    let place = PANIC.try_with(|last| last.borrow().clone());
    format!("panic at {}", place.unwrap_or_default())
}
