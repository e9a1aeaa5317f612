//! Why the filter refuses. The texts for operators are in `envoy/reasons.py`.

/// A refusal of the filter's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// `scopegate.` and the code: how local reply mappers and the access log know it.
    pub details: &'static str,
}

macro_rules! reasons {
    ($($name:ident = $status:literal, $code:literal;)*) => {
        $(
            #[allow(missing_docs)]
            pub const $name: Reason = Reason {
                status: $status,
                code: $code,
                details: concat!("scopegate.", $code),
            };
        )*
    };
}

reasons! {
    HOST_MALFORMED = 400, "host_malformed";
    PATH_AMBIGUOUS = 400, "path_ambiguous";
    PATH_ESCAPED_SLASH = 400, "path_escaped_slash";
    PATH_PARAMETERS = 400, "path_parameters";
    REQUEST_UNREADABLE = 400, "request_unreadable";
    HEADERS_TOO_LARGE = 431, "headers_too_large";
    POLICY_UNDECIDED = 503, "policy_undecided";
    POLICY_UNAVAILABLE = 503, "policy_unavailable";
    POLICY_ANSWER_BROKEN = 500, "policy_answer_broken";
    FILTER_FAULT = 500, "filter_fault";
}

/// Scanners cause them by the thousand: they are in the access log, and not in the log.
pub const OF_THE_GUARD: [Reason; 4] = [
    HOST_MALFORMED,
    PATH_AMBIGUOUS,
    PATH_ESCAPED_SLASH,
    PATH_PARAMETERS,
];
