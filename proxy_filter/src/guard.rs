//! Refuses hosts and paths that two servers may read differently (`docs/adr/0011`).
//!
//! Paths arrive as Envoy has normalised them: dot segments, `\` and unreserved characters are
//! resolved; `%2F`, `%2E` behind another encoding and the like are not. A server further on may
//! decode those once more, drop `;parameters` and spaces, and see another path than the one whose
//! policy decided.
//!
//! The specification is a set of regular expressions (`tests/support/ambiguous_paths.py`);
//! `tests/vectors/guard/` is made of them.

use crate::check_request::split_path;
use crate::path_tokens::{behind_spaces, token_at, Token};
use crate::reasons::{self, Reason};
use crate::route_name::RouteName;
use crate::table_config::TableConfig;

/// What is refused besides what always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// A segment that ends in a dot or a space, with more behind it: Windows drops these and reads
    /// `/api./admin` as `/api/admin`.
    pub trailing_dots: bool,
    /// An encoded slash or backslash.
    pub escaped_slashes: bool,
    /// A `;`, encoded or not: some servers read `/api;x/admin` as `/api/admin`.
    pub path_parameters: bool,
}

/// Refuses a request whose host or path is ambiguous, or has what its route does not want.
pub fn check(
    authority: &[u8],
    target: &[u8],
    table: &TableConfig,
    entry: &RouteName<'_>,
) -> Result<(), Reason> {
    let refused = Refused {
        trailing_dots: table.refuse_trailing_dots,
        escaped_slashes: table.refuse_escaped_slashes && !entry.names_slashes,
        path_parameters: table.refuse_path_parameters && !entry.names_parameters,
    };
    classify(authority, split_path(target).0, refused).map_or(Ok(()), Err)
}

/// Why a host and a path (without query) are refused, if they are.
pub fn classify(host: &[u8], path: &[u8], refused: Refused) -> Option<Reason> {
    if !is_well_formed_host(host) {
        return Some(reasons::HOST_MALFORMED);
    }
    if is_ordinary(path) {
        return None;
    }
    let found = match look_at(path) {
        Some(found) => found,
        None => return Some(reasons::PATH_AMBIGUOUS),
    };
    if found.has_trailing_dots && refused.trailing_dots {
        Some(reasons::PATH_AMBIGUOUS)
    } else if found.has_escaped_slash && refused.escaped_slashes {
        Some(reasons::PATH_ESCAPED_SLASH)
    } else if found.has_parameters && refused.path_parameters {
        Some(reasons::PATH_PARAMETERS)
    } else {
        None
    }
}

/// A name of non-empty labels, perhaps with a dot at its end, or an IPv6 address in brackets;
/// perhaps a port.
fn is_well_formed_host(host: &[u8]) -> bool {
    let is_end = |byte: &u8| matches!(byte, b':' | b']');
    let (name, port) = match host.strip_prefix(b"[") {
        Some(rest) => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => {
                let (address, rest) = rest.split_at(end);
                let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
                if address.is_empty() || !address.iter().all(is_digit) {
                    return false;
                }
                (None, rest.get(1..).unwrap_or_default())
            }
            None => return false,
        },
        None => {
            let end = host.iter().position(is_end).unwrap_or(host.len());
            let (name, rest) = host.split_at(end);
            (Some(name), rest)
        }
    };
    name.map_or(true, is_name) && is_port(port)
}

fn is_name(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let is_label = |label: &[u8]| !label.is_empty() && label.iter().all(is_letter);
    name.split(|byte| *byte == b'.').all(is_label)
}

/// Nothing, or `:` and up to five digits.
fn is_port(port: &[u8]) -> bool {
    match port.strip_prefix(b":") {
        Some(digits) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        None => port.is_empty(),
    }
}

/// Whether a path is made of words with single dots in them. Most are; nothing in them is refused.
fn is_ordinary(path: &[u8]) -> bool {
    let mut is_word_before = false;
    let mut before = b'/';
    for (place, byte) in path.iter().enumerate() {
        let is_word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'~' | b'-');
        let is_fine = match byte {
            b'/' => is_word_before || place == 0,
            b'.' => is_word_before,
            _ => is_word && place != 0,
        };
        if !is_fine {
            return false;
        }
        is_word_before = is_word;
        before = *byte;
    }
    before != b'.'
}

/// What a path has that may be refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    has_trailing_dots: bool,
    has_escaped_slash: bool,
    has_parameters: bool,
}

/// None: the path is ambiguous.
fn look_at(path: &[u8]) -> Option<Found> {
    let mut found = Found::default();
    let mut follows_empty_segment = false;
    let mut at = 0;
    while let Some((token, next)) = token_at(path, at) {
        let is_ambiguous = match token {
            Token::Odd => true,
            Token::Slash | Token::EncodedSlash => {
                found.has_escaped_slash |= token == Token::EncodedSlash;
                let segment = behind_spaces(path, next);
                let first = token_at(path, segment).map(|(token, _)| token);
                // A segment of nothing but parameters, with more behind it; or of nothing at all.
                let was_empty = follows_empty_segment;
                follows_empty_segment = first == Some(Token::Semicolon);
                was_empty || first.map_or(false, is_separator) || is_dot_segment(path, segment)
            }
            Token::Dot => {
                found.has_trailing_dots |= is_separator_at(path, next);
                ends_like_dot_segment(path, at, next)
            }
            Token::Space => {
                found.has_trailing_dots |= is_separator_at(path, next);
                is_dot_segment(path, next)
            }
            Token::Semicolon => {
                found.has_parameters = true;
                false
            }
            // UTF-8 of more bytes than needed.
            Token::E0 => matches!(token_at(path, next), Some((Token::Byte8 | Token::Byte9, _))),
            Token::F0 => matches!(token_at(path, next), Some((Token::Byte8, _))),
            Token::EncodedQuery | Token::Byte8 | Token::Byte9 | Token::Other => false,
        };
        if is_ambiguous {
            return None;
        }
        at = next;
    }
    Some(found)
}

fn is_separator(token: Token) -> bool {
    matches!(token, Token::Slash | Token::EncodedSlash)
}

fn is_separator_at(path: &[u8], at: usize) -> bool {
    token_at(path, at).map_or(false, |(token, _)| is_separator(token))
}

/// Whether a segment may end here for a server: at a separator, or where it takes parameters, a
/// query or a fragment to begin.
fn is_end_at(path: &[u8], at: usize) -> bool {
    match token_at(path, at) {
        Some((token, _)) => {
            is_separator(token) || matches!(token, Token::Semicolon | Token::EncodedQuery)
        }
        None => true,
    }
}

/// The place behind a dot that is here.
fn behind_dot(path: &[u8], at: usize) -> Option<usize> {
    match token_at(path, at) {
        Some((Token::Dot, next)) => Some(next),
        _ => None,
    }
}

/// Whether `.` or `..` begins here, with spaces behind each dot, and nothing else up to the end of
/// the segment.
fn is_dot_segment(path: &[u8], at: usize) -> bool {
    let second = match behind_dot(path, at) {
        Some(next) => behind_spaces(path, next),
        None => return false,
    };
    let end = behind_dot(path, second).map_or(second, |next| behind_spaces(path, next));
    is_end_at(path, end)
}

/// Whether a segment ends in two dots, of which the first is here and `next` is the place behind
/// it, so that they would be a dot segment without a prefix that ends before them. Two plain dots
/// and a slash are left to whoever strips the prefix.
fn ends_like_dot_segment(path: &[u8], at: usize, next: usize) -> bool {
    let second = behind_spaces(path, next);
    let behind = match behind_dot(path, second) {
        Some(behind) => behind,
        None => return false,
    };
    let end = behind_spaces(path, behind);
    let is_slash = matches!(token_at(path, end), Some((Token::Slash, _)));
    let before = at.checked_sub(1).and_then(|place| path.get(place));
    let is_behind_more = before.map_or(false, |byte| !b"/.".contains(byte));
    let is_spaced = second > next;
    if is_slash {
        is_spaced || (is_behind_more && end > behind)
    } else {
        is_behind_more && is_end_at(path, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Refused = Refused {
        trailing_dots: true,
        escaped_slashes: true,
        path_parameters: true,
    };

    fn code(host: &str, path: &str, refused: Refused) -> &'static str {
        classify(host.as_bytes(), path.as_bytes(), refused).map_or("", |reason| reason.code)
    }

    #[test]
    fn reasons_come_in_their_order() {
        assert_eq!(code("a,b", "/..;/%2F", ALL), "host_malformed");
        assert_eq!(code("a", "/..;/%2F", ALL), "path_ambiguous");
        assert_eq!(code("a", "/x;%2Fy", ALL), "path_escaped_slash");
        assert_eq!(code("a", "/x;y", ALL), "path_parameters");
    }

    #[test]
    fn choices_allow_what_is_only_unusual() {
        for path in ["/x%2Fy", "/x;y", "/x./y", "/x%20/y"] {
            assert_eq!(code("a", path, Refused::default()), "", "{}", path);
            assert_ne!(code("a", path, ALL), "", "{}", path);
        }
    }

    #[test]
    fn ordinary_paths_have_nothing_to_find() {
        for path in ["", "/", "/a", "/a/", "/api/v1.2/x-y_z~/1", "/a.tar.gz"] {
            assert!(is_ordinary(path.as_bytes()), "{}", path);
            assert_eq!(look_at(path.as_bytes()), Some(Found::default()), "{}", path);
        }
    }

    #[test]
    fn other_paths_are_looked_at() {
        for path in [
            "a", "/.", "/..", "/.a", "/a.", "/a../b", "/a..b", "//", "/a;b", "/%41", "/a b", "*",
        ] {
            assert!(!is_ordinary(path.as_bytes()), "{}", path);
        }
    }
}
