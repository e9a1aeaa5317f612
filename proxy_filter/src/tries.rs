//! How often a check is sent.

use std::time::{Duration, Instant};

/// The first time included.
const TRIES: u8 = 4;
/// And at most so often more where it failed at once: a worker that is killed leaves connections that
/// are closed already, and each try finds another one of them.
const TRIES_AT_ONCE: u8 = 32;
const AT_ONCE: Duration = Duration::from_millis(20);

/// The tries of one check.
#[derive(Debug)]
pub struct Tries {
    taken: u8,
    at_once: u8,
    sent: Instant,
}

impl Tries {
    /// The first one begins.
    pub fn begin(now: Instant) -> Tries {
        Tries {
            taken: 1,
            at_once: 0,
            sent: now,
        }
    }

    /// The last one failed; whether there is another, which begins now.
    pub fn again(&mut self, now: Instant) -> bool {
        let is_at_once = now.saturating_duration_since(self.sent) < AT_ONCE;
        let (count, most) = if is_at_once {
            (&mut self.at_once, TRIES_AT_ONCE)
        } else {
            (&mut self.taken, TRIES)
        };
        self.sent = now;
        let is_left = *count < most;
        *count = count.saturating_add(1);
        is_left
    }
}
