//! What comes to the filter of a check, and what it says of head and body.

/// What became of a check request.
#[derive(Debug)]
pub enum Answer {
    /// A check response, not read yet.
    Message(Vec<u8>),
    /// Nobody answered: refused, reset, or something else than a policy worker spoke.
    None,
    /// No answer within the time that there is.
    Late,
    /// More than Envoy buffers.
    TooLarge,
}

/// Whether the head of a request, or its trailers, go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They go on.
    Continue,
    /// They wait.
    Stop,
}

/// What happens to a piece of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFlow {
    /// It goes on.
    Continue,
    /// It waits with the rest.
    HoldBack,
    /// It goes nowhere.
    Drop,
}
