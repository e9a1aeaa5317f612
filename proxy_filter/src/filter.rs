//! What happens to one request: guard, look up, ask, apply. Nothing here knows Envoy.
//!
//! Fail closed: a request goes on from one place only, `pass`, which is reached where the route
//! says that it is open, or with a decision in hand. Everything else is held back or refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::asking::{line, write_request};
use crate::check_request::BodyState;
use crate::check_response::{self, Response, Verdict};
use crate::decision::Changes;
use crate::filter_config::FilterConfig;
use crate::flow::{Answer, BodyFlow, Flow};
use crate::own_changes::OwnChanges;
use crate::reasons::{self, Reason};
use crate::route_name::{Policy, RouteName};
use crate::stream::{Level, Reply, Stream};
use crate::tries::Tries;
use crate::worker::{self, Asked, Known};
use crate::{apply, guard, names, revocations, told};

/// Details of an answer of the policy service, which local reply mappers leave as it is.
const BY_POLICY: &str = "scopegate.policy";
const RETRY_AFTER_S: &[u8] = b"5";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    New,
    /// A check is under way, about the head alone or with the body.
    Asking { body: BodyState },
    /// The policy service wants the body, and it is still coming.
    WaitingForBody,
    /// It may go on.
    Passed,
    /// The client was answered.
    Refused,
}

/// One request.
pub struct Request {
    config: Arc<FilterConfig>,
    phase: Phase,
    is_whole: bool,
    /// The bytes behind its head are no body, and never end.
    is_upgrade: bool,
    drops_body: bool,
    tells_route: bool,
    tries: Tries,
    began: Instant,
    passed: Option<Instant>,
    deadline: Option<Instant>,
    id: [u8; 32],
    asked: Option<Asked>,
    response_headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Request {
    /// A request of which nothing has come yet.
    pub fn new(config: Arc<FilterConfig>) -> Request {
        let began = Instant::now();
        Request {
            config,
            phase: Phase::New,
            is_whole: false,
            is_upgrade: false,
            drops_body: false,
            tells_route: false,
            tries: Tries::begin(began),
            began,
            passed: None,
            deadline: None,
            id: [0; 32],
            asked: None,
            response_headers: Vec::new(),
        }
    }

    /// Whether head and trailers may go on as things stand.
    pub fn flow(&self) -> Flow {
        if self.phase == Phase::Passed {
            Flow::Continue
        } else {
            Flow::Stop
        }
    }

    /// The head is there.
    pub fn on_headers(&mut self, is_whole: bool, stream: &mut impl Stream) {
        self.is_whole = is_whole;
        self.tells_route =
            self.config.debug_header && stream.list().find(b"kong-debug") == Some((&b"1"[..], 1));
        if let Err(reason) = self.begin(stream) {
            self.refuse(reason, stream);
        }
    }

    fn begin(&mut self, stream: &mut impl Stream) -> Result<(), Reason> {
        let list = stream.list();
        // Without the id that arrival gives, what clients must not say may still be there.
        let id = list.value(names::REQUEST_ID).try_into();
        self.id = id.map_err(|_| reasons::FILTER_FAULT)?;
        let table = stream.table().ok_or(reasons::POLICY_UNDECIDED)?;
        let name = stream.route_name().ok_or(reasons::POLICY_UNDECIDED)?;
        let entry = RouteName::parse(name).ok_or(reasons::POLICY_UNDECIDED)?;
        if let Some((target, _)) = list.find(b":path") {
            guard::check(list.value(b":authority"), target, table, &entry)?;
        }
        let policy = match entry.policy {
            Policy::Id(id) => id,
            Policy::Open => {
                let changes = OwnChanges::of(&list, table, &self.config);
                self.pass(&changes, stream);
                return Ok(());
            }
        };
        match worker::look_up(&self.config, policy, &list) {
            Known::Decision((entry, profile)) => {
                let changes = &entry.changes;
                let dropped = apply::check(&list, changes, Some(&profile), &self.config)?;
                let own =
                    (!changes.touch(b"cookie")).then(|| OwnChanges::of(&list, table, &self.config));
                apply::headers(changes, &dropped, stream);
                if let Some(counter) = &entry.counter {
                    counter.count();
                }
                match own {
                    Some(own) => self.pass(&own, stream),
                    None => self.pass_on(stream)?,
                }
                Ok(())
            }
            Known::Nothing(asked) => {
                self.is_upgrade = list.find(b"upgrade").is_some();
                self.asked = Some(asked);
                self.ask(BodyState::NotRead, stream)
            }
        }
    }

    fn ask(&mut self, body: BodyState, stream: &mut impl Stream) -> Result<(), Reason> {
        let mut message = Vec::new();
        {
            let policy = self.asked.as_ref().map(|asked| asked.policy);
            let policy = policy.ok_or(reasons::FILTER_FAULT)?;
            let is_sent = body == BodyState::Whole && !self.is_upgrade;
            let content = if is_sent { stream.body() } else { Vec::new() };
            write_request(&policy, body, &content, &self.config, stream, &mut message)?;
        }
        self.phase = Phase::Asking { body };
        // Anew for each check: the client's time to send the body is not the worker's.
        let now = Instant::now();
        let limit = Duration::from_millis(self.config.policy_timeout_ms);
        self.tries = Tries::begin(now);
        self.deadline = now.checked_add(limit);
        self.send(message, stream)
    }

    fn send(&mut self, message: Vec<u8>, stream: &mut impl Stream) -> Result<(), Reason> {
        let left = self
            .deadline
            .and_then(|deadline| deadline.checked_duration_since(Instant::now()))
            .and_then(|left| u64::try_from(left.as_millis()).ok())
            .filter(|left| *left > 0)
            .ok_or(reasons::POLICY_UNAVAILABLE)?;
        let is_sent = stream.ask(&message, left);
        if let Some(asked) = self.asked.as_mut() {
            asked.message = message;
        }
        if is_sent {
            Ok(())
        } else {
            Err(reasons::POLICY_UNAVAILABLE)
        }
    }

    /// A check was answered, or was not. The caller lets the request go on where `flow` says so.
    pub fn on_answer(&mut self, answer: Answer, stream: &mut impl Stream) {
        let body = match self.phase {
            Phase::Asking { body } => body,
            _ => return, // the client was answered meanwhile
        };
        let done = match answer {
            Answer::Message(message) => self.read(&message, body, stream),
            Answer::TooLarge => Err(reasons::POLICY_ANSWER_BROKEN),
            Answer::Late => Err(reasons::POLICY_UNAVAILABLE),
            Answer::None => self.ask_again(stream),
        };
        if let Err(reason) = done {
            self.refuse(reason, stream);
        }
    }

    /// The worker that took it is gone: the same once more.
    fn ask_again(&mut self, stream: &mut impl Stream) -> Result<(), Reason> {
        if !self.tries.again(Instant::now()) {
            return Err(reasons::POLICY_UNAVAILABLE);
        }
        let message = self
            .asked
            .as_mut()
            .map(|asked| std::mem::take(&mut asked.message));
        self.send(message.ok_or(reasons::FILTER_FAULT)?, stream)
    }

    fn read(
        &mut self,
        message: &[u8],
        body: BodyState,
        stream: &mut impl Stream,
    ) -> Result<(), Reason> {
        let response = match check_response::parse(message) {
            Ok(response) => response,
            Err(why) => return Err(malformed(why, stream)),
        };
        revocations::revoke_now(&response.revoke);
        match response.verdict {
            Verdict::Allow if !response.cuts.is_empty() && body != BodyState::Whole => {
                Err(malformed("it cuts a body that was not sent", stream))
            }
            Verdict::Allow => self.allow(&response, stream),
            Verdict::Answer(status) => {
                self.answer(status, &response, stream);
                Ok(())
            }
            Verdict::Body if body != BodyState::NotRead => {
                Err(malformed("it asks twice for the body", stream))
            }
            Verdict::Body => self.want_body(stream),
        }
    }

    fn allow(&mut self, response: &Response<'_>, stream: &mut impl Stream) -> Result<(), Reason> {
        let asked = self.asked.take().ok_or(reasons::FILTER_FAULT)?;
        let list = stream.list();
        let profile = worker::learn(&self.config, asked, response, &list)
            .map_err(|why| malformed(why, stream))?;
        let changes = Changes::of(response);
        let dropped = apply::check(&list, &changes, profile.as_deref(), &self.config)?;
        apply::headers(&changes, &dropped, stream);
        self.drops_body = apply::body(response, stream)?;
        apply::line(response, stream);
        self.response_headers.extend(
            response
                .client
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec())),
        );
        self.pass_on(stream)
    }

    fn want_body(&mut self, stream: &mut impl Stream) -> Result<(), Reason> {
        let limit = self.config.body_limit_bytes;
        stream.hold_back_up_to(limit.saturating_add(1));
        if stream.body_size() > limit {
            self.ask(BodyState::TooLarge, stream)
        } else if self.is_whole || self.is_upgrade {
            self.ask(BodyState::Whole, stream)
        } else {
            self.phase = Phase::WaitingForBody;
            Ok(())
        }
    }

    /// A piece of the body is there.
    pub fn on_body(&mut self, is_last: bool, stream: &mut impl Stream) -> BodyFlow {
        self.is_whole = self.is_whole || is_last;
        match self.phase {
            Phase::Passed if self.drops_body => {
                stream.drop_arrived_body();
                BodyFlow::Continue
            }
            Phase::Passed => BodyFlow::Continue,
            Phase::New | Phase::Refused => BodyFlow::Drop,
            Phase::Asking { .. } => BodyFlow::HoldBack,
            Phase::WaitingForBody => {
                if let Err(reason) = self.want_body(stream) {
                    self.refuse(reason, stream);
                }
                match self.phase {
                    Phase::Passed => BodyFlow::Continue,
                    Phase::Refused => BodyFlow::Drop,
                    _ => BodyFlow::HoldBack,
                }
            }
        }
    }

    /// Trailers are there, so the body is whole. Nobody looks at them, so none goes on: an upstream
    /// may take them for headers of ours. Source: RFC 9110 §6.5.1.
    pub fn on_trailers(&mut self, stream: &mut impl Stream) {
        stream.remove_trailers();
        self.is_whole = true;
        if self.phase == Phase::WaitingForBody {
            if let Err(reason) = self.want_body(stream) {
                self.refuse(reason, stream);
            }
        }
    }

    /// A response is on its way to the client, the upstream's or (`is_local`) one of Envoy's.
    pub fn on_response_headers(&mut self, is_local: bool, stream: &mut impl Stream) {
        if let Some(passed) = self.passed {
            told::upstream_responded(is_local, &self.id, self.began, passed, stream);
        }
        if self.phase == Phase::Passed {
            for (name, value) in self.response_headers.drain(..) {
                stream.add_response_header(&name, &value);
            }
        }
        if self.tells_route {
            for (name, value) in told::route_facts(stream) {
                stream.add_response_header(name, &value);
            }
        }
    }

    /// Our own code panicked: whatever was decided, it does not go on.
    pub fn on_panic(&mut self, stream: &mut impl Stream) {
        stream.log(
            Level::Error,
            &line("the filter has a fault", &worker::last_panic(), stream),
        );
        self.refuse(reasons::FILTER_FAULT, stream);
    }

    /// Goes on with the headers as they are now.
    fn pass_on(&mut self, stream: &mut impl Stream) -> Result<(), Reason> {
        let changes = {
            let table = stream.table().ok_or(reasons::POLICY_UNDECIDED)?;
            OwnChanges::of(&stream.list(), table, &self.config)
        };
        self.pass(&changes, stream);
        Ok(())
    }

    /// The only way on.
    fn pass(&mut self, changes: &OwnChanges, stream: &mut impl Stream) {
        changes.apply(stream);
        self.phase = Phase::Passed;
        self.passed = Some(Instant::now());
    }

    fn answer(&mut self, status: u16, response: &Response<'_>, stream: &mut impl Stream) {
        if let Some(reason) = response.reason {
            stream.note(names::REASON_KEY, reason);
        }
        self.reply(
            &Reply {
                status,
                headers: &response.client,
                body: response.body,
                details: BY_POLICY,
            },
            stream,
        );
    }

    fn refuse(&mut self, reason: Reason, stream: &mut impl Stream) {
        if self.phase == Phase::Refused {
            return;
        }
        if !reasons::OF_THE_GUARD.contains(&reason) {
            stream.log(
                Level::Warning,
                &line("a request is refused", reason.code, stream),
            );
        }
        stream.note(names::REASON_KEY, reason.code.as_bytes());
        let headers: &[(&[u8], &[u8])] = if reason.status == 503 {
            &[(b"retry-after", RETRY_AFTER_S)]
        } else {
            &[]
        };
        self.reply(
            &Reply {
                status: reason.status,
                headers,
                body: b"",
                details: reason.details,
            },
            stream,
        );
    }

    /// The client gets this, and the request goes no further.
    fn reply(&mut self, reply: &Reply<'_>, stream: &mut impl Stream) {
        told::reply(reply, self.tells_route, stream);
        self.phase = Phase::Refused; // last: a panic before this is a refusal of its own
    }
}

/// The reason of a refusal; why goes to the log.
fn malformed(why: &str, stream: &impl Stream) -> Reason {
    let line = line("a check response is malformed", why, stream);
    stream.log(Level::Error, &line);
    reasons::POLICY_ANSWER_BROKEN
}
