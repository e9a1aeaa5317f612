//! What tests share: a random generator of our own, so that no dependency is needed, and where the
//! examples are that other languages read, too.
#![allow(dead_code)]

use std::fmt::Write as _;
use std::path::PathBuf;

/// Random numbers by a seed: splitmix64. The same seed gives the same numbers everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below a limit that is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, some: &[&'a T]) -> &'a T {
        some[self.below(some.len())]
    }

    /// Up to so many of the pieces, one behind the other.
    pub fn join(&mut self, pieces: &[&[u8]], most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        (0..count)
            .flat_map(|_| self.pick(pieces).to_vec())
            .collect()
    }

    /// The text with a few bytes changed, added, taken away or repeated.
    pub fn spoil(&mut self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for _ in 0..=self.below(3) {
            let place = self.below(text.len() + 1);
            let end = (place + self.below(8)).min(text.len());
            match self.below(5) {
                0 => text.insert(place, self.next() as u8),
                1 => text.insert(
                    place,
                    *b"\n :,;=%/.0-\0\r\t"[self.below(14)..]
                        .first()
                        .unwrap_or(&0),
                ),
                2 => drop(text.drain(place..end)),
                3 => text.truncate(place),
                _ => {
                    let again = text[place..end].to_vec();
                    text.splice(place..place, again);
                }
            }
        }
        text
    }
}

/// A folder of `tests/vectors`.
pub fn vectors(folder: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")).join(folder)
}

/// Names (without ending) and contents of all files with this ending, sorted.
pub fn files(folder: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let folder = vectors(folder);
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .expect("the folder of vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().map_or(false, |found| found == ending))
        .map(|path| {
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(path).expect("a vector"))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no vectors in {}", folder.display());
    found
}

/// JSON text of a string whose characters are these bytes, as Python's `json.dumps` writes it.
pub fn json(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\u{byte:04x}");
            }
        }
    }
    text + "\""
}

pub fn json_list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

pub fn json_pairs(pairs: &[(&[u8], &[u8])]) -> String {
    json_list(
        pairs
            .iter()
            .map(|(name, value)| json_list([json(name), json(value)])),
    )
}

pub fn json_or_null(text: Option<String>) -> String {
    text.unwrap_or_else(|| "null".to_owned())
}

/// An object with one key a line, as the vectors are written.
pub fn json_object(fields: &[(&str, String)]) -> String {
    let lines: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!(" \"{key}\": {value}"))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// The text of a vector's meaning.
pub fn meaning_of(folder: &str, name: &str) -> String {
    let path = vectors(folder).join(format!("{name}.json"));
    String::from_utf8(std::fs::read(path).expect("a meaning")).expect("UTF-8")
}
