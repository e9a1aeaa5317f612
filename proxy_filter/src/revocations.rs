//! What is over: logouts and superseded sessions, by tag, for all workers of this process.
//!
//! Two sources: the file that policy workers write (`session/revocation_file.py`), read five times
//! a second, and check responses, which count at once. The file is a line that names its epoch, then
//! a tag on each line in the order of time. Another epoch, or a file that became shorter, means that
//! something may have been lost: then nothing that was cached counts any more.
//!
//! Fail closed: while the file cannot be read, no cached decision counts.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The first line of the file, its end included.
const EPOCH_BYTES: u64 = 17;
/// Revocations are remembered for this long, at least.
pub const KEPT: Duration = Duration::from_secs(60);
/// Without a good look at the file for this long, nothing that is cached counts.
const FRESH_MS: u64 = 2_000;
/// More of them at a time: all is forgotten.
const TAGS_LIMIT: usize = 65_536;
/// The file is begun anew long before it is as large as this.
const READ_LIMIT: u64 = 4 << 20;

/// Rises with every revocation.
static NUMBER: AtomicU64 = AtomicU64::new(1);
/// When the file was last read well, in milliseconds of `now_ms`; 0: not.
static READ_AT_MS: AtomicU64 = AtomicU64::new(0);
static BOOK: Mutex<Option<Book>> = Mutex::new(None);
/// Held while somebody reads the file. `BOOK` is not: a disk that hangs must not hold up requests.
static READING: Mutex<()> = Mutex::new(());

/// What a worker has to end.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that it has.
    Everything,
    /// What has one of these tags.
    Tags(Vec<Box<[u8]>>),
}

/// A place in the order of revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    number: u64,
    forgot: u64,
    at: Instant,
}

/// How far a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The first line; None: nothing was read.
    epoch: Option<[u8; 17]>,
    /// Device and inode.
    file: (u64, u64),
    offset: u64,
}

/// What is in a file behind a place.
#[derive(Debug)]
struct Look {
    from: Place,
    text: Vec<u8>,
}

/// Looks behind a place; at the start of a file that is another one by now, or shorter.
fn look_at(path: &[u8], known: &Place) -> Option<Look> {
    let path = path_of(path);
    if !std::fs::metadata(path).ok()?.is_file() {
        return None; // opening a pipe could take for ever
    }
    let mut file = File::open(path).ok()?;
    let mut epoch = [0_u8; 17];
    file.read_exact(&mut epoch).ok()?;
    if epoch.last() != Some(&b'\n') {
        return None;
    }
    let there = file.metadata().ok()?;
    let is_known = known.epoch == Some(epoch)
        && known.file == (there.dev(), there.ino())
        && known.offset <= there.len();
    let from = Place {
        epoch: Some(epoch),
        file: (there.dev(), there.ino()),
        offset: if is_known { known.offset } else { EPOCH_BYTES },
    };
    if there.len().saturating_sub(from.offset) > READ_LIMIT {
        return None;
    }
    file.seek(SeekFrom::Start(from.offset)).ok()?;
    let mut text = Vec::new();
    file.take(READ_LIMIT).read_to_end(&mut text).ok()?;
    Some(Look { from, text })
}

/// All revocations of a minute, by number.
#[derive(Debug)]
pub struct Book {
    path: Vec<u8>,
    place: Place,
    log: VecDeque<(u64, Instant, Box<[u8]>)>,
    numbers: HashMap<Box<[u8]>, u64>,
    number: u64,
    /// The number since which the log is whole.
    whole_since: u64,
    /// How often everything was forgotten.
    forgot: u64,
}

impl Book {
    /// A book of the file at this path.
    pub fn new(path: &[u8]) -> Book {
        Book {
            path: path.to_vec(),
            place: Place::default(),
            log: VecDeque::new(),
            numbers: HashMap::new(),
            number: 1,
            whole_since: 1,
            forgot: 0,
        }
    }

    /// Takes what is new in the file; false: it cannot be read.
    pub fn read(&mut self, now: Instant) -> bool {
        let look = look_at(&self.path, &self.place);
        self.take(look, now)
    }

    fn take(&mut self, look: Option<Look>, now: Instant) -> bool {
        self.drop_old(now);
        let look = match look {
            Some(look) => look,
            None => {
                if self.place.epoch.take().is_some() {
                    self.forget_everything();
                }
                return false;
            }
        };
        if look.from != self.place {
            if look.from.offset != EPOCH_BYTES {
                return false; // of a book before this one
            }
            self.forget_everything();
            self.place = look.from;
        }
        let lines = look.text.iter().rposition(|byte| *byte == b'\n');
        let whole = lines.map_or(0, |end| end.saturating_add(1));
        for line in look
            .text
            .get(..whole)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
        {
            if !line.is_empty() && line.iter().all(u8::is_ascii_hexdigit) {
                self.add(line, now);
            }
        }
        let read = u64::try_from(whole).unwrap_or(u64::MAX);
        self.place.offset = self.place.offset.saturating_add(read);
        true
    }

    /// A tag is revoked. One that was revoked already ends what was cached since.
    pub fn add(&mut self, tag: &[u8], now: Instant) {
        if self.log.len() >= TAGS_LIMIT {
            self.forget_everything();
        }
        self.number = self.number.saturating_add(1);
        self.log.push_back((self.number, now, Box::from(tag)));
        self.numbers.insert(Box::from(tag), self.number);
    }

    fn forget_everything(&mut self) {
        self.number = self.number.saturating_add(1);
        self.forgot = self.forgot.saturating_add(1);
        self.whole_since = self.number;
        self.log.clear();
        self.numbers.clear();
    }

    /// Twice as long as is promised, so that no clock's grain matters.
    fn drop_old(&mut self, now: Instant) {
        while let Some((number, at, _)) = self.log.front() {
            if now.saturating_duration_since(*at) <= KEPT * 2 {
                return;
            }
            let number = *number;
            self.whole_since = self.whole_since.max(number);
            if let Some((_, _, tag)) = self.log.pop_front() {
                if self.numbers.get(&tag) == Some(&number) {
                    self.numbers.remove(&tag);
                }
            }
        }
    }

    /// What is over since a worker looked, and the number up to which it then knows.
    pub fn since(&self, seen: u64) -> (Ended, u64) {
        if seen < self.whole_since {
            return (Ended::Everything, self.number);
        }
        let new = self.log.iter().rev().take_while(|entry| entry.0 > seen);
        (
            Ended::Tags(new.map(|entry| entry.2.clone()).collect()),
            self.number,
        )
    }

    /// Where we are now.
    pub fn mark(&self, now: Instant) -> Mark {
        Mark {
            number: self.number,
            forgot: self.forgot,
            at: now,
        }
    }

    /// Whether a decision may be cached that was asked for at a mark, and has these tags.
    pub fn may_cache(&self, asked: Mark, tags: &[&[u8]], now: Instant) -> bool {
        asked.forgot == self.forgot
            && asked.number >= self.whole_since
            && now.saturating_duration_since(asked.at) < KEPT
            && !tags.iter().any(|tag| self.numbers.contains_key(*tag))
    }
}

fn path_of(path: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(path))
}

fn book() -> MutexGuard<'static, Option<Book>> {
    // A panic while it was held left nothing half done that could let anything through: numbers
    // only rise, and what is missing in the log is older than `whole_since`.
    BOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since this process first asked; at least 1.
fn now_ms() -> u64 {
    static START: Mutex<Option<Instant>> = Mutex::new(None);
    thread_local! {
        static KNOWN: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
    }
    let start = KNOWN.with(|known| match known.get() {
        Some(start) => start,
        None => {
            let mut first = START.lock().unwrap_or_else(PoisonError::into_inner);
            let start = *first.get_or_insert_with(Instant::now);
            known.set(Some(start));
            start
        }
    });
    u64::try_from(start.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

/// Begins with the file at this path; the same one is gone on with.
pub fn configure(path: &[u8]) {
    let mut book = book();
    if book.as_ref().map(|book| &*book.path) != Some(path) {
        *book = Some(Book::new(path));
        // No worker knows this book: a number that none of them has seen makes all of them begin anew.
        if let Some(book) = book.as_mut() {
            book.number = NUMBER.load(Ordering::Acquire).saturating_add(1);
            book.whole_since = book.number;
        }
        READ_AT_MS.store(0, Ordering::Release);
    }
    drop(book);
    refresh();
}

/// Reads the file, unless another thread is at it.
pub fn refresh() {
    let _reading = match READING.try_lock() {
        Ok(reading) => reading,
        Err(TryLockError::Poisoned(reading)) => reading.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    let (path, place) = match book().as_ref() {
        Some(book) => (book.path.clone(), book.place.clone()),
        None => return,
    };
    let look = look_at(&path, &place);
    if let Some(book) = book().as_mut().filter(|book| book.path == path) {
        let is_read = book.take(look, Instant::now());
        NUMBER.store(book.number, Ordering::Release);
        READ_AT_MS.store(if is_read { now_ms() } else { 0 }, Ordering::Release);
    }
}

/// Whether what is cached counts at all just now.
pub fn are_known() -> bool {
    let is_fresh = || {
        let read_at = READ_AT_MS.load(Ordering::Acquire);
        read_at != 0 && now_ms().saturating_sub(read_at) <= FRESH_MS
    };
    if is_fresh() {
        return true;
    }
    refresh(); // the thread that does it is late
    is_fresh()
}

/// The number of the newest revocation: one load.
pub fn number() -> u64 {
    NUMBER.load(Ordering::Acquire)
}

/// See `Book::since`.
pub fn since(seen: u64) -> (Ended, u64) {
    book()
        .as_ref()
        .map_or((Ended::Everything, seen), |book| book.since(seen))
}

/// See `Book::mark`.
pub fn mark() -> Option<Mark> {
    book().as_ref().map(|book| book.mark(Instant::now()))
}

/// See `Book::may_cache`.
pub fn may_cache(asked: Mark, tags: &[&[u8]]) -> bool {
    book()
        .as_ref()
        .map_or(false, |book| book.may_cache(asked, tags, Instant::now()))
}

/// A check response says that these are over.
pub fn revoke_now(tags: &[&[u8]]) {
    if tags.is_empty() {
        return;
    }
    if let Some(book) = book().as_mut() {
        let now = Instant::now();
        for tag in tags {
            book.add(tag, now);
        }
        NUMBER.store(book.number, Ordering::Release);
    }
}
