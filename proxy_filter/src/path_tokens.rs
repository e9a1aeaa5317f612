//! A path as a server further on may read it: characters that mean something to paths, written as
//! themselves or percent-encoded, once or more.

/// A character of a path, or several that mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `/`
    Slash,
    /// `%2F` or `%5C`, a slash or a backslash.
    EncodedSlash,
    /// `.` or `%2E`
    Dot,
    /// `%20`
    Space,
    /// `;` or `%3B`
    Semicolon,
    /// `%3F` or `%23`, which begin a query or a fragment.
    EncodedQuery,
    /// `%E0`
    E0,
    /// `%F0`
    F0,
    /// `%80` to `%8F`
    Byte8,
    /// `%90` to `%9F`
    Byte9,
    /// What no path needs: a control character, UTF-8 of more bytes than needed, a `%` without two
    /// digits, an unreserved character that is encoded more than once.
    Odd,
    /// Anything else.
    Other,
}

/// The token that begins at a place, and where the next one begins. None at the end.
pub fn token_at(path: &[u8], at: usize) -> Option<(Token, usize)> {
    let token = match path.get(at)? {
        b'/' => Token::Slash,
        b'.' => Token::Dot,
        b';' => Token::Semicolon,
        b'%' => return Some(encoded_at(path, at)),
        _ => Token::Other,
    };
    Some((token, at.saturating_add(1)))
}

/// `at` is the place of a `%`. `%252525XX` is `%XX` to whoever decodes it four times.
fn encoded_at(path: &[u8], at: usize) -> (Token, usize) {
    let mut digits_at = at.saturating_add(1);
    let mut value = match byte_at(path, digits_at) {
        Some(value) => value,
        None => return (Token::Odd, digits_at),
    };
    let mut is_encoded_again = false;
    while value == b'%' {
        match byte_at(path, digits_at.saturating_add(2)) {
            Some(inner) => {
                digits_at = digits_at.saturating_add(2);
                value = inner;
                is_encoded_again = true;
            }
            None => break,
        }
    }
    let token = match value {
        0x00..=0x1f | 0x7f | 0xc0 | 0xc1 => Token::Odd,
        _ if is_encoded_again && is_unreserved(value) => Token::Odd,
        b'/' | b'\\' => Token::EncodedSlash,
        b'.' => Token::Dot,
        b' ' => Token::Space,
        b';' => Token::Semicolon,
        b'?' | b'#' => Token::EncodedQuery,
        0xe0 => Token::E0,
        0xf0 => Token::F0,
        0x80..=0x8f => Token::Byte8,
        0x90..=0x9f => Token::Byte9,
        _ => Token::Other,
    };
    (token, digits_at.saturating_add(2))
}

/// The byte that two hexadecimal digits write.
fn byte_at(path: &[u8], at: usize) -> Option<u8> {
    let high = hex_digit(*path.get(at)?)?;
    let low = hex_digit(*path.get(at.checked_add(1)?)?)?;
    Some(high << 4 | low)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

/// Source: RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The place behind any number of spaces.
pub fn behind_spaces(path: &[u8], mut at: usize) -> usize {
    while let Some((Token::Space, next)) = token_at(path, at) {
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(path: &str) -> Vec<Token> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((token, next)) = token_at(path.as_bytes(), at) {
            assert!(next > at);
            found.push(token);
            at = next;
        }
        found
    }

    #[test]
    fn each_spelling_is_one_token() {
        for (spelling, token) in [
            ("%2f", Token::EncodedSlash),
            ("%25255C", Token::EncodedSlash),
            ("%2E", Token::Dot),
            ("%252e", Token::Odd),
            ("%20", Token::Space),
            ("%2520", Token::Space),
            ("%3b", Token::Semicolon),
            ("%253B", Token::Semicolon),
            ("%3F", Token::EncodedQuery),
            ("%23", Token::EncodedQuery),
            ("%41", Token::Other),
            ("%2541", Token::Odd),
            ("%00", Token::Odd),
            ("%2509", Token::Odd),
            ("%7f", Token::Odd),
            ("%c0", Token::Odd),
            ("%25C1", Token::Odd),
            ("%25", Token::Other),
            ("%2525", Token::Other),
            ("%e2", Token::Other),
            ("%8a", Token::Byte8),
            ("%9a", Token::Byte9),
        ] {
            assert_eq!(tokens(spelling), [token], "{}", spelling);
        }
    }

    #[test]
    fn percent_without_two_digits_is_odd() {
        for path in ["%", "%2", "%z0", "%2g", "%%20"] {
            assert_eq!(tokens(path).first(), Some(&Token::Odd), "{}", path);
        }
        assert_eq!(tokens("%25."), [Token::Other, Token::Dot]);
        assert_eq!(tokens("%252/"), [Token::Other, Token::Other, Token::Slash]);
    }
}
