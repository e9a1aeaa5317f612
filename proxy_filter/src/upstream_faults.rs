//! Reports what goes wrong with upstreams: a line in Envoy's log, one for each route in ten seconds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::stream::{Fact, Level, Stream};

const PAUSE: Duration = Duration::from_secs(10);
/// More routes than this at a time: all may be reported anew.
const ROUTES_LIMIT: usize = 1_000;

#[derive(Default)]
struct Reported {
    /// By route: when the last line was written, and how many responses had none since.
    routes: HashMap<Vec<u8>, (Instant, u32)>,
}

thread_local! {
    static REPORTED: RefCell<Reported> = RefCell::new(Reported::default());
}

impl Reported {
    /// How many had no line before this one; None: this one has none either.
    fn begin_line(&mut self, route: &[u8], now: Instant) -> Option<u32> {
        if let Some((at, silent)) = self.routes.get_mut(route) {
            if now.saturating_duration_since(*at) < PAUSE {
                *silent = silent.saturating_add(1);
                return None;
            }
            let before = *silent;
            (*at, *silent) = (now, 0);
            return Some(before);
        }
        if self.routes.len() >= ROUTES_LIMIT {
            self.routes.clear();
        }
        self.routes.insert(route.to_vec(), (now, 0));
        Some(0)
    }
}

/// Reports a response with this status, if it says that an upstream failed. `is_local`: it is
/// Envoy's, since there was none of the upstream.
pub fn report(status: &[u8], is_local: bool, id: &[u8], stream: &impl Stream) {
    if !matches!(status, b"502" | b"503" | b"504") {
        return;
    }
    let details = stream.fact(Fact::ResponseDetails).unwrap_or_default();
    if is_local && details == b"direct_response" {
        return; // a route's own answer
    }
    let route = stream.route_name().unwrap_or_default();
    let before = REPORTED.with(|reported| {
        let mut reported = reported.borrow_mut();
        reported.begin_line(route, Instant::now())
    });
    let before = match before {
        Some(before) => before,
        None => return,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let what = if is_local {
        format!("gave no response: {}", text(details))
    } else {
        format!("answered {}", text(status))
    };
    let mut words = route.split(|byte| *byte == b' ');
    let (route, service) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    stream.log(
        Level::Warning,
        &format!(
            "an upstream {what}, route {}, service {}, request_id {}, {before} more since the last line about this route",
            text(route),
            text(service),
            text(id),
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_a_route_in_ten_seconds() {
        let mut reported = Reported::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(reported.begin_line(b"a", at(0)), Some(0));
        assert_eq!(reported.begin_line(b"b", at(1)), Some(0));
        assert_eq!(reported.begin_line(b"a", at(1)), None);
        assert_eq!(reported.begin_line(b"a", at(9)), None);
        assert_eq!(reported.begin_line(b"a", at(10)), Some(2));
        assert_eq!(reported.begin_line(b"a", at(11)), None);
    }

    #[test]
    fn memory_has_a_bound() {
        let mut reported = Reported::default();
        for number in 0..5_000_u32 {
            reported.begin_line(&number.to_be_bytes(), Instant::now());
        }
        assert!(reported.routes.len() <= ROUTES_LIMIT);
    }
}
