//! The decision cache of one worker thread.
//!
//! Two generations: when the young one is full, the old one goes and the young one becomes old.
//! What is used of the old one moves to the young one, so what is used stays. Keys are exact.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::decision::Changes;
use crate::hits::Counter;
use crate::profile::Profile;

const PROFILES_LIMIT: usize = 10_000;
/// An entry takes this much besides its texts.
const ENTRY_BYTES: usize = 200;

/// A decision to allow, for one cache key.
#[derive(Debug)]
pub struct Entry {
    /// What happens to the headers.
    pub changes: Changes,
    /// Counts its uses; none: they are not counted.
    pub counter: Option<Arc<Counter>>,
    until_s: Cell<u64>,
    tags: Box<[Box<[u8]>]>,
    bytes: usize,
}

impl Entry {
    /// An entry that is good until a unix second, or until one of the tags is revoked.
    pub fn new(
        changes: Changes,
        counter: Option<Arc<Counter>>,
        until_s: u64,
        tags: &[&[u8]],
    ) -> Entry {
        let tags: Box<[Box<[u8]>]> = tags.iter().map(|tag| Box::from(*tag)).collect();
        let bytes = changes.bytes() + tags.iter().map(|tag| 2 * tag.len()).sum::<usize>();
        Entry {
            changes,
            counter,
            until_s: Cell::new(until_s),
            tags,
            bytes: bytes + ENTRY_BYTES,
        }
    }
}

#[derive(Default)]
struct Generation {
    entries: HashMap<Box<[u8]>, Rc<Entry>>,
    by_tag: HashMap<Box<[u8]>, Vec<Rc<Entry>>>,
    bytes: usize,
}

/// What a policy looks at, with the line that said it.
struct Known {
    line: Box<[u8]>,
    profile: Rc<Profile>,
}

/// Decisions and profiles.
pub struct Cache {
    entries_limit: usize,
    bytes_limit: usize,
    young: Generation,
    old: Generation,
    profiles: HashMap<[u8; 32], Known>,
}

impl Cache {
    /// The limits hold for each of the two generations.
    pub fn new(entries_limit: usize, bytes_limit: usize) -> Cache {
        Cache {
            entries_limit,
            bytes_limit,
            young: Generation::default(),
            old: Generation::default(),
            profiles: HashMap::new(),
        }
    }

    /// The decision for this key that is good in this second.
    pub fn get(&mut self, key: &[u8], now_s: u64) -> Option<Rc<Entry>> {
        if let Some(found) = self.young.entries.get(key) {
            return (now_s < found.until_s.get()).then(|| Rc::clone(found));
        }
        let (key, found) = self.old.entries.remove_entry(key)?;
        if now_s >= found.until_s.get() {
            return None;
        }
        self.keep(key, Rc::clone(&found));
        Some(found)
    }

    /// Keeps a decision; one that is too large for a cache of this size is not kept.
    pub fn put(&mut self, key: &[u8], entry: Entry) {
        let entry = Rc::new(entry);
        if size_of(key, &entry).saturating_mul(16) <= self.bytes_limit && self.entries_limit > 0 {
            self.keep(Box::from(key), entry);
        }
    }

    fn keep(&mut self, key: Box<[u8]>, entry: Rc<Entry>) {
        let size = size_of(&key, &entry);
        if self.young.entries.len() >= self.entries_limit
            || self.young.bytes.saturating_add(size) > self.bytes_limit
        {
            self.old = std::mem::take(&mut self.young);
        }
        for tag in entry.tags.iter() {
            let tagged = self.young.by_tag.entry(tag.clone()).or_default();
            tagged.push(Rc::clone(&entry));
        }
        // One that is replaced stays in the index of tags until its generation goes, and is counted.
        let _former = self.young.entries.insert(key, entry);
        self.young.bytes = self.young.bytes.saturating_add(size);
    }

    /// Ends all decisions with this tag.
    pub fn end_tag(&mut self, tag: &[u8]) {
        for generation in [&mut self.young, &mut self.old] {
            for entry in generation.by_tag.remove(tag).unwrap_or_default() {
                entry.until_s.set(0);
            }
        }
    }

    /// Forgets all decisions.
    pub fn clear(&mut self) {
        self.young = Generation::default();
        self.old = Generation::default();
    }

    /// What a policy looks at, if it said so before.
    pub fn profile(&self, policy: &[u8; 32]) -> Option<Rc<Profile>> {
        self.profiles
            .get(policy)
            .map(|known| Rc::clone(&known.profile))
    }

    /// Learns what a policy looks at.
    pub fn learn(&mut self, policy: [u8; 32], line: &[u8]) -> Result<Rc<Profile>, &'static str> {
        if let Some(known) = self.profiles.get(&policy) {
            if &*known.line == line {
                return Ok(Rc::clone(&known.profile));
            }
        }
        let profile = Rc::new(Profile::parse(line)?);
        if self.profiles.contains_key(&policy) {
            // Cannot be: it depends on the policy alone. Keys were made of other headers then.
            self.clear();
        }
        if self.profiles.len() >= PROFILES_LIMIT {
            self.profiles.clear();
        }
        let known = Known {
            line: Box::from(line),
            profile: Rc::clone(&profile),
        };
        self.profiles.insert(policy, known);
        Ok(profile)
    }
}

fn size_of(key: &[u8], entry: &Entry) -> usize {
    key.len().saturating_add(entry.bytes)
}
