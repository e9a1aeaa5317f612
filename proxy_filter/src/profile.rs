//! What a policy looks at: the cache key, the requests that must be asked about each time, and the
//! headers that only the gateway may set (`docs/check-protocol.md`, "Profile").

use crate::check_request::{is_token, split_path};
use crate::stream::List;

/// Longer queries are not searched for arguments: such a request is asked about.
const QUERY_LIMIT: usize = 4096;
const PARTS: [&[u8]; 6] = [
    b"key",
    b"strip",
    b"arguments",
    b"methods",
    b"media",
    b"suffixes",
];
const METHODS: [&[u8]; 7] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS",
];

type Words = Box<[Box<[u8]>]>;

/// A profile.
#[derive(Debug)]
pub struct Profile {
    key: Words,
    strip: Words,
    arguments: Words,
    methods: Words,
    media: Words,
    suffixes: Words,
    marks: u64,
}

impl Profile {
    /// The profile of a line.
    pub fn parse(line: &[u8]) -> Result<Profile, &'static str> {
        let mut parts = line.split(|byte| *byte == b' ');
        let mut lists: Vec<Words> = Vec::with_capacity(PARTS.len());
        for wanted in PARTS {
            let part = parts.next().ok_or("a profile lacks a part")?;
            let list = part
                .strip_prefix(wanted)
                .and_then(|rest| rest.strip_prefix(b"="))
                .ok_or("a profile has a part in the wrong place")?;
            lists.push(list_of(list)?);
        }
        if parts.next().is_some() {
            return Err("a profile has a part too many");
        }
        let mut lists = lists.into_iter();
        let mut next = || lists.next().ok_or("a profile lacks a part");
        let mut profile = Profile {
            key: next()?,
            strip: next()?,
            arguments: next()?,
            methods: next()?,
            media: next()?,
            suffixes: next()?,
            marks: 0,
        };
        let all =
            |words: &Words, is_fine: fn(&[u8]) -> bool| words.iter().all(|word| is_fine(word));
        if !all(&profile.key, is_key) || !all(&profile.strip, is_token) {
            return Err("a profile names what is not a header");
        }
        if !all(&profile.arguments, is_argument_name) || !all(&profile.media, is_lower_case) {
            return Err("a profile has a word that matches nothing");
        }
        let has = |name: &[u8]| profile.key.iter().any(|each| &**each == name);
        if !has(b"authorization") || !has(b"cookie") {
            return Err("a profile's key lacks the credentials");
        }
        let guarded = profile.key.iter().chain(profile.strip.iter());
        profile.marks = guarded.fold(0, |marks, name| marks | mark_of(name));
        Ok(profile)
    }

    /// Whether a request like this is asked about each time.
    pub fn is_asked_each_time(
        &self,
        method: &[u8],
        target: &[u8],
        content_type: Option<&[u8]>,
    ) -> bool {
        !METHODS.contains(&method)
            || self.methods.iter().any(|each| &**each == method)
            || self.is_odd_target(target)
            || content_type.map_or(false, |kind| self.is_looked_into(kind))
    }

    fn is_odd_target(&self, target: &[u8]) -> bool {
        if !target.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            return true;
        }
        let (path, query) = split_path(target);
        if self.suffixes.iter().any(|suffix| path.ends_with(suffix)) {
            return true;
        }
        if query.is_empty() || self.arguments.is_empty() {
            return false;
        }
        query.len() > QUERY_LIMIT
            || query
                .split(|byte| matches!(byte, b'&' | b';'))
                .any(|piece| self.is_argument(piece))
    }

    /// Whether a piece of a query may be one of the arguments, as a lenient server reads it.
    fn is_argument(&self, piece: &[u8]) -> bool {
        let name = piece.split(|byte| *byte == b'=').next().unwrap_or_default();
        if name.iter().any(|byte| matches!(byte, b'%' | b'+')) {
            return true;
        }
        let name = name.split(|byte| *byte == b'[').next().unwrap_or_default();
        self.arguments.iter().any(|argument| {
            argument.len() == name.len()
                && argument.iter().zip(name).all(|(wanted, byte)| {
                    let plain = byte.to_ascii_lowercase();
                    *wanted
                        == if plain.is_ascii_alphanumeric() {
                            plain
                        } else {
                            b'_'
                        }
                })
        })
    }

    fn is_looked_into(&self, content_type: &[u8]) -> bool {
        if self.media.is_empty() {
            return false;
        }
        let kind = content_type.to_ascii_lowercase();
        self.media
            .iter()
            .any(|media| kind.windows(media.len()).any(|part| part == &**media))
    }

    /// Appends the cache key's values to `key`; false: the request must be asked about.
    pub fn append_key(&self, key: &mut Vec<u8>, headers: &List<'_>) -> bool {
        for name in self.key.iter() {
            if let Some((value, count)) = headers.find(name) {
                // Two headers of the name may have been joined to one.
                let is_joined = &**name == b"authorization" && value.contains(&b',');
                let is_two_lines = value.contains(&b'\n');
                if value.is_empty() || count != 1 || is_joined || is_two_lines {
                    return false;
                }
                key.extend_from_slice(value);
            }
            key.push(b'\n'); // in no value
        }
        true
    }

    /// Whether a client's header of this name does not go on: one that only the gateway may set, or
    /// an alias of a name that the policy knows.
    pub fn drops(&self, name: &[u8]) -> bool {
        self.marks & mark_of(name) != 0 && self.is_guarded(name)
    }

    fn is_guarded(&self, name: &[u8]) -> bool {
        let strips = |each: &[u8]| is_same_but_for_signs(each, name);
        // In its own spelling it is in the key; the decision says whether it goes on.
        let is_alias = |each: &[u8]| each != name && is_same_but_for_signs(each, name);
        self.strip.iter().any(|each| strips(each)) || self.key.iter().any(|each| is_alias(each))
    }
}

/// Whether two names differ at most in characters that are neither letter nor digit.
fn is_same_but_for_signs(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len()
        && name.iter().zip(other).all(|(one, two)| {
            one == two || (!one.is_ascii_alphanumeric() && !two.is_ascii_alphanumeric())
        })
}

/// One bit of 64, the same for a name and its aliases: by length, first and last character.
fn mark_of(name: &[u8]) -> u64 {
    let plain = |byte: Option<&u8>| match byte {
        Some(byte) if byte.is_ascii_alphanumeric() => u32::from(*byte),
        _ => 0,
    };
    let length = u32::try_from(name.len() & 0xff).unwrap_or(0);
    let mixed = length
        .wrapping_mul(7)
        .wrapping_add(plain(name.first()).wrapping_mul(31))
        .wrapping_add(plain(name.last()).wrapping_mul(13));
    1_u64.wrapping_shl(mixed & 63)
}

fn is_key(word: &[u8]) -> bool {
    word == b":scheme" || is_token(word)
}

fn is_argument_name(word: &[u8]) -> bool {
    let is_fine = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    word.iter().all(is_fine)
}

fn is_lower_case(word: &[u8]) -> bool {
    !word.iter().any(u8::is_ascii_uppercase)
}

fn list_of(text: &[u8]) -> Result<Words, &'static str> {
    if text.is_empty() {
        return Ok(Box::new([]));
    }
    let words: Vec<Box<[u8]>> = text.split(|byte| *byte == b',').map(Box::from).collect();
    let is_word =
        |word: &[u8]| !word.is_empty() && word.iter().all(|byte| (b'!'..=b'~').contains(byte));
    if words.iter().all(|word| is_word(word)) {
        Ok(words.into_boxed_slice())
    } else {
        Err("a profile has an empty or odd word")
    }
}
