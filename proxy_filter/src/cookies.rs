//! Takes the gateway's own cookies out of what the upstream gets.
//!
//! A gateway cookie is known by its name and by how its value begins (a mark, which names the key
//! that sealed it). A long value goes on in other cookies: then the number of all of them, one digit,
//! stands before the mark, and the others go, too. A cookie of the same name whose value begins
//! otherwise is an application's, and stays. All other cookies stay as they are, byte for byte.

use std::collections::HashSet;

/// More cookies than any browser keeps for a site. A header with more, and with the name of one of
/// ours somewhere in it, is removed as a whole.
const COOKIES_LIMIT: usize = 1001;

/// What the gateway seals.
#[derive(Debug)]
struct GatewayCookie {
    name: Box<[u8]>,
    marks: Vec<Box<[u8]>>,
    rest: Vec<Box<[u8]>>,
}

impl GatewayCookie {
    /// Whether a value begins with a mark. Marks are sorted and none begins with another, so it can
    /// only be the last one that is not behind the value.
    fn is_marked(&self, value: &[u8]) -> bool {
        let behind = self.marks.partition_point(|mark| **mark <= *value);
        let candidate = behind.checked_sub(1).and_then(|last| self.marks.get(last));
        candidate.map_or(false, |mark| value.starts_with(mark))
    }
}

/// All cookies of the gateway.
#[derive(Debug, Default)]
pub struct GatewayCookies {
    /// Sorted by name.
    cookies: Vec<GatewayCookie>,
}

impl GatewayCookies {
    /// Adds a cookie: its name, the marks of its values, and the names of the cookies that hold the
    /// rest (`-` for none), the latter two joined by commas. Marks and rest of one name add up.
    pub fn add(&mut self, name: &[u8], marks: &[u8], rest: &[u8]) -> Result<(), String> {
        let marks = words(marks)?;
        let rest = if rest == b"-" {
            Vec::new()
        } else {
            words(rest)?
        };
        let _ = words(name)?;
        if name.contains(&b',') {
            return Err("a cookie's name has a comma".to_owned());
        }
        let place = match self.place_of(name) {
            Ok(place) => place,
            Err(place) => {
                let cookie = GatewayCookie {
                    name: Box::from(name),
                    marks: Vec::new(),
                    rest: Vec::new(),
                };
                self.cookies.insert(place, cookie);
                place
            }
        };
        if let Some(cookie) = self.cookies.get_mut(place) {
            // Plugins with secrets of their own share names: each is there once. A mark behind one
            // that it begins with adds nothing.
            cookie.marks.extend(marks);
            cookie.marks.sort_unstable();
            cookie
                .marks
                .dedup_by(|mark, before| mark.starts_with(before));
            cookie.rest.extend(rest);
            cookie.rest.sort_unstable();
            cookie.rest.dedup();
        }
        Ok(())
    }

    /// The value of the cookie header without the gateway's cookies. None: it has none of them.
    /// `Some(None)`: nothing is left. More than one header is given as one, joined by `,`.
    pub fn strip(&self, header: &[u8]) -> Option<Option<Vec<u8>>> {
        if self.cookies.is_empty() {
            return None;
        }
        // By place of the cookie: however often a client repeats it, it counts once.
        let mut is_there = Vec::new();
        for (count, piece) in Pieces::of(header).enumerate() {
            if count >= COOKIES_LIMIT {
                return self.has_name(header).then_some(None);
            }
            if let Some(place) = self.sealed(piece.text) {
                is_there.resize(self.cookies.len(), false);
                if let Some(flag) = is_there.get_mut(place) {
                    *flag = true;
                }
            }
        }
        if is_there.is_empty() {
            return None;
        }
        let left = without(header, &self.names_of(&is_there));
        let is_left = left.iter().any(|byte| !b" \t;,".contains(byte));
        Some(is_left.then_some(left))
    }

    fn place_of(&self, name: &[u8]) -> Result<usize, usize> {
        self.cookies
            .binary_search_by(|cookie| (*cookie.name).cmp(name))
    }

    /// All names of the cookies that are there.
    fn names_of(&self, is_there: &[bool]) -> HashSet<&[u8]> {
        let cookies = self.cookies.iter().zip(is_there);
        let found = cookies.filter(|(_, is_there)| **is_there);
        found
            .flat_map(|(cookie, _)| cookie.rest.iter().chain(std::iter::once(&cookie.name)))
            .map(|name| &**name)
            .collect()
    }

    /// The place of the gateway cookie that a piece of the header is.
    fn sealed(&self, piece: &[u8]) -> Option<usize> {
        let (name, value) = split(piece);
        let value = value?;
        let place = self.place_of(name).ok()?;
        let cookie = self.cookies.get(place)?;
        let behind_digit = value.get(1..).unwrap_or_default();
        (cookie.is_marked(value) || cookie.is_marked(behind_digit)).then_some(place)
    }

    /// Whether the header may have a gateway cookie at all.
    fn has_name(&self, header: &[u8]) -> bool {
        let mut names = Pieces::of(header).map(|piece| split(piece.text).0);
        names.any(|name| self.place_of(name).is_ok())
    }
}

/// Words of a list, which are not empty and have nothing in them that divides cookies.
fn words(list: &[u8]) -> Result<Vec<Box<[u8]>>, String> {
    let is_fine = |byte: &u8| (b'!'..=b'~').contains(byte) && !b"=;,".contains(byte);
    list.split(|byte| *byte == b',')
        .map(|word| {
            if word.is_empty() || !word.iter().all(is_fine) {
                return Err(format!(
                    "no word of a cookie: '{}'",
                    String::from_utf8_lossy(word)
                ));
            }
            Ok(Box::from(word))
        })
        .collect()
}

/// A part of a cookie header, and what stands before it (`;` at the beginning).
struct Piece<'a> {
    separator: u8,
    text: &'a [u8],
}

/// The parts of a cookie header. A comma joined two headers.
struct Pieces<'a> {
    separator: u8,
    rest: Option<&'a [u8]>,
}

impl<'a> Pieces<'a> {
    fn of(header: &'a [u8]) -> Pieces<'a> {
        Pieces {
            separator: b';',
            rest: Some(header),
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.rest?;
        let end = separator_in(rest);
        let (text, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let piece = Piece {
            separator: self.separator,
            text,
        };
        self.separator = behind.first().copied().unwrap_or(b';');
        self.rest = behind.get(1..);
        Some(piece)
    }
}

/// The place of the first `;` or `,`. Sealed values are long: they are looked at in blocks, which
/// the compiler turns into a few instructions each.
fn separator_in(text: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let is_separator = |byte: &u8| (*byte == b';') | (*byte == b',');
    let blocks = text.chunks_exact(BLOCK);
    let behind = blocks.len().saturating_mul(BLOCK);
    let has_one = |block: &[u8]| {
        block
            .iter()
            .fold(false, |found, byte| found | is_separator(byte))
    };
    let start = match blocks.into_iter().position(has_one) {
        Some(block) => block.saturating_mul(BLOCK),
        None => behind,
    };
    let place = text.get(start..)?.iter().position(is_separator)?;
    Some(start.saturating_add(place))
}

/// Name and value of a piece; no value where there is no `=`.
fn split(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    match piece.iter().position(|byte| *byte == b'=') {
        Some(place) => {
            let (name, value) = piece.split_at(place);
            (
                trimmed(name),
                Some(trimmed_start(value.get(1..).unwrap_or_default())),
            )
        }
        None => (trimmed(piece), None),
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn trimmed_start(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn trimmed(text: &[u8]) -> &[u8] {
    let text = trimmed_start(text);
    let end = text
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(0, |last| last.saturating_add(1));
    text.get(..end).unwrap_or_default()
}

/// All pieces whose name is not gone. Where some went, `;` stands between their neighbours.
fn without(header: &[u8], gone: &HashSet<&[u8]>) -> Vec<u8> {
    let mut left = Vec::with_capacity(header.len());
    let (mut is_first, mut follows_gone) = (true, false);
    for piece in Pieces::of(header) {
        if gone.contains(split(piece.text).0) {
            follows_gone = true;
            continue;
        }
        if !is_first {
            left.push(if follows_gone { b';' } else { piece.separator });
        }
        let text = if is_first && follows_gone {
            trimmed_start(piece.text)
        } else {
            piece.text
        };
        left.extend_from_slice(text);
        is_first = false;
        follows_gone = false;
    }
    left
}
