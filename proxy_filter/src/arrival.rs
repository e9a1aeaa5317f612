//! What happens to headers when a request arrives: those that only the gateway may set are taken
//! away, and the request gets its id.
//!
//! Servers that hand headers on as variables (CGI and the like) take `_` for `-`, some of them every
//! character that is neither letter nor digit, so aliases go, too. The specification is a regular
//! expression (`tests/support/stripped_headers.py`); `tests/vectors/arrival/` is made of it.

/// Everything that begins like these.
const STRIPPED_PREFIXES: [&[u8]; 2] = [b"x-scopegate-", b"x-envoy-"];
const STRIPPED: [&[u8]; 13] = [
    b"x-anonymous-consumer",
    b"x-authenticated-groups",
    b"x-authenticated-scope",
    b"x-authenticated-userid",
    b"x-consumer-custom-id",
    b"x-consumer-groups",
    b"x-consumer-id",
    b"x-consumer-username",
    b"x-credential-identifier",
    b"x-credential-username",
    b"x-original-url",
    b"x-real-ip",
    b"x-rewrite-url",
];
/// Our own word by then, and the one that a client may say: only aliases go.
const KEPT: [&[u8]; 2] = [b"x-kong-request-id", b"x-forwarded-for"];
const FORWARDED: &[u8] = b"x-forwarded-";

/// Whether a client's header of this name, lower case, goes no further.
pub fn is_stripped(name: &[u8]) -> bool {
    match name.first() {
        Some(b'x') => is_stripped_extension(name),
        Some(b'f') => name == b"forwarded",
        _ => false,
    }
}

fn is_stripped_extension(name: &[u8]) -> bool {
    // No alias of a name that begins with `x-` has a letter or digit here.
    if name.get(1).map_or(true, is_plain) {
        return false;
    }
    let begins_like = |prefix: &[u8]| match name.get(..prefix.len()) {
        Some(start) => is_spelling(start, prefix),
        None => false,
    };
    if begins_like(FORWARDED) {
        let rest = name.get(FORWARDED.len()..).unwrap_or_default();
        if !rest.is_empty() && rest != b"for" {
            return true;
        }
    }
    let is_alias = |kept: &&[u8]| name != *kept && is_spelling(name, kept);
    STRIPPED_PREFIXES.iter().any(|prefix| begins_like(prefix))
        || STRIPPED.iter().any(|stripped| is_spelling(name, stripped))
        || KEPT.iter().any(is_alias)
}

fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether a name is `wanted`, or differs in separators alone.
pub fn is_spelling(name: &[u8], wanted: &[u8]) -> bool {
    name.len() == wanted.len()
        && name.iter().zip(wanted).all(|(byte, wanted)| match wanted {
            b'-' => !is_plain(byte),
            _ => byte == wanted,
        })
}

/// Makes request ids: 32 hexadecimal digits, as Kong's are. The time in UTC to the nanosecond, `0`,
/// and eight random digits. An id names a request and guards nothing; that it begins with the second
/// helps when one is looked for.
#[derive(Debug, Default)]
pub struct RequestIds {
    second: Option<u64>,
    text: [u8; 14],
}

impl RequestIds {
    /// The id of a request at this time.
    pub fn make(&mut self, unix_ns: u64, random: u32) -> [u8; 32] {
        let second = unix_ns / 1_000_000_000;
        if self.second != Some(second) {
            self.text = text_of(second);
            self.second = Some(second);
        }
        let mut id = [b'0'; 32];
        let (time, rest) = id.split_at_mut(self.text.len());
        time.copy_from_slice(&self.text);
        let (fraction, rest) = rest.split_at_mut(9);
        write_decimal(fraction, unix_ns % 1_000_000_000);
        let (_zero, digits) = rest.split_at_mut(1);
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            let nibble = (random >> (4 * place)) & 0xf;
            *digit = b"0123456789abcdef"
                .get(nibble as usize)
                .copied()
                .unwrap_or(b'0');
        }
        id
    }
}

/// `20260131235959`. The calendar's days are counted in eras of 400 years that begin on 1 March.
fn text_of(unix_s: u64) -> [u8; 14] {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let days = days.saturating_add(719_468); // since 1 March of the year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let mut text = [b'0'; 14];
    let fields = [
        (4, year),
        (2, month),
        (2, day),
        (2, second / 3600),
        (2, second / 60 % 60),
        (2, second % 60),
    ];
    let mut rest = text.as_mut_slice();
    for (width, value) in fields {
        let (field, behind) = rest.split_at_mut(width);
        write_decimal(field, value);
        rest = behind;
    }
    text
}

/// The last digits of a number, as many as there is room for.
fn write_decimal(room: &mut [u8], mut value: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b"0123456789"
            .get((value % 10) as usize)
            .copied()
            .unwrap_or(b'0');
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_go_and_what_clients_may_say_stays() {
        for name in [
            "x-scopegate-id",
            "x_consumer-id",
            "x.forwarded.proto",
            "x-forwarded-f",
            "x-forwarded-forx",
            "x_forwarded_for",
            "x-kong_request-id",
            "forwarded",
            "x!real~ip",
        ] {
            assert!(is_stripped(name.as_bytes()), "{}", name);
        }
        for name in [
            "x-forwarded-for",
            "x-kong-request-id",
            "x-forwarded-",
            "x-consumer-ids",
            "x",
            "",
            "xscopegate-id",
            "x-scopegate",
            "forwarded-by",
            "x0real-ip",
            "authorization",
        ] {
            assert!(!is_stripped(name.as_bytes()), "{}", name);
        }
    }

    #[test]
    fn ids_begin_with_the_time() {
        let mut ids = RequestIds::default();
        for (unix_s, text) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (1_709_164_800, "20240229000000"),
            (1_709_251_199, "20240229235959"),
            (1_735_689_599, "20241231235959"),
            (4_107_542_400, "21000301000000"),
            (4_107_542_399, "21000228235959"),
        ] {
            let id = ids.make(unix_s * 1_000_000_000 + 7, 0x00a1_b2c3);
            let expected = format!("{}000000007000a1b2c3", text);
            assert_eq!(std::str::from_utf8(&id), Ok(expected.as_str()));
        }
        assert_eq!(&ids.make(u64::MAX, u32::MAX)[23..], b"0ffffffff");
    }
}
