//! Revocations: the file of the policy workers, and what a worker has to end.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use scopegate_filter::revocations::{Book, Ended, KEPT};
use support::Dice;

const EPOCH: &str = "0123456789abcdef\n";
const OTHER_EPOCH: &str = "fedcba9876543210\n";

/// A book with its file, and a worker that looks into it, at a time that the test sets.
struct Scene {
    path: PathBuf,
    book: Book,
    seen: u64,
    now: Instant,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let path = std::env::temp_dir().join(format!("scopegate-{}-{}", std::process::id(), name));
        fs::write(&path, EPOCH).expect("a file");
        let mut scene = Scene {
            book: Book::new(path.as_os_str().as_bytes()),
            path,
            seen: 0,
            now: Instant::now(),
        };
        assert!(scene.reads());
        assert_eq!(scene.ended(), None, "a worker begins anew");
        scene
    }

    fn write(&self, content: &str) {
        fs::write(&self.path, content).expect("a file");
    }

    fn reads(&mut self) -> bool {
        self.book.read(self.now)
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Tags that the worker has to end; None: all that it has.
    fn ended(&mut self) -> Option<Vec<String>> {
        let (ended, seen) = self.book.since(self.seen);
        self.seen = seen;
        match ended {
            Ended::Everything => None,
            Ended::Tags(tags) => {
                let mut tags: Vec<String> = tags
                    .iter()
                    .map(|tag| String::from_utf8_lossy(tag).into_owned())
                    .collect();
                tags.sort();
                Some(tags)
            }
        }
    }

    fn ended_are(&mut self, tags: &[&str]) {
        assert_eq!(
            self.ended(),
            Some(tags.iter().map(|tag| (*tag).to_owned()).collect())
        );
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.path);
    }
}

#[test]
fn new_lines_are_read_once() {
    let mut scene = Scene::new("lines");
    scene.write(&format!("{EPOCH}00ab\n"));
    assert!(scene.reads());
    scene.ended_are(&["00ab"]);
    scene.write(&format!("{EPOCH}00ab\n00cd\n00EF\n"));
    assert!(scene.reads());
    assert!(scene.reads());
    scene.ended_are(&["00EF", "00cd"]);
    scene.ended_are(&[]);
}

#[test]
fn line_without_end_is_read_when_it_has_one() {
    let mut scene = Scene::new("unfinished");
    scene.write(&format!("{EPOCH}no tag\n\n00a"));
    assert!(scene.reads());
    scene.ended_are(&[]);
    scene.write(&format!("{EPOCH}no tag\n\n00a\n00ef\n"));
    assert!(scene.reads());
    scene.ended_are(&["00a", "00ef"]);
}

#[test]
fn file_that_is_begun_anew_ends_everything() {
    let mut scene = Scene::new("anew");
    scene.write(&format!("{EPOCH}00ab\n"));
    assert!(scene.reads());
    scene.ended_are(&["00ab"]);
    scene.write(&format!("{OTHER_EPOCH}00cd\n00ef\n"));
    assert!(scene.reads());
    assert_eq!(scene.ended(), None);
    scene.write(&format!("{OTHER_EPOCH}00cd\n00ef\n0012\n"));
    assert!(scene.reads());
    scene.ended_are(&["0012"]);
}

#[test]
fn file_that_was_cut_off_ends_everything_and_is_read_on() {
    let mut scene = Scene::new("cut");
    scene.write(&format!("{EPOCH}00ab\n00cd\n"));
    assert!(scene.reads());
    scene.ended_are(&["00ab", "00cd"]);
    scene.write(EPOCH);
    assert!(scene.reads());
    assert_eq!(scene.ended(), None);
    scene.write(&format!("{EPOCH}00ef\n"));
    assert!(scene.reads());
    scene.ended_are(&["00ef"]);
}

#[test]
fn another_file_in_its_place_ends_everything() {
    let mut scene = Scene::new("replaced");
    scene.write(&format!("{EPOCH}00ab\n"));
    assert!(scene.reads());
    scene.ended_are(&["00ab"]);
    let other = scene.path.with_extension("other");
    fs::write(&other, format!("{EPOCH}00cd\n00ef\n")).expect("a file");
    fs::rename(&other, &scene.path).expect("another file");
    assert!(scene.reads());
    assert_eq!(scene.ended(), None);
}

#[test]
fn without_a_whole_first_line_nothing_counts() {
    for content in ["", "short", "0123456789abcdef", "0123456789abcdefg\n00ab\n"] {
        let mut scene = Scene::new("epoch");
        scene.write(content);
        assert!(!scene.reads(), "{}", content);
        assert_eq!(scene.ended(), None);
        assert!(!scene.reads(), "{}", content);
        scene.write(EPOCH);
        assert!(scene.reads());
        assert_eq!(scene.ended(), None);
    }
}

#[test]
fn without_a_file_nothing_counts() {
    let mut scene = Scene::new("gone");
    fs::remove_file(&scene.path).expect("gone");
    assert!(!scene.reads());
    assert_eq!(scene.ended(), None);
    fs::create_dir(&scene.path).expect("a folder in its place");
    assert!(!scene.reads());
    fs::remove_dir(&scene.path).expect("gone");
    scene.write(EPOCH);
    assert!(scene.reads());
    assert_eq!(scene.ended(), None);
}

#[test]
fn answer_is_cached_within_a_minute_of_its_question() {
    for (took_s, may) in [(0, true), (59, true), (60, false), (130, false)] {
        let mut scene = Scene::new("late");
        let asked = scene.book.mark(scene.now);
        scene.wait(took_s);
        assert!(scene.reads());
        assert_eq!(
            scene.book.may_cache(asked, &[b"00ab"], scene.now),
            may,
            "{} s",
            took_s
        );
    }
    assert_eq!(KEPT, Duration::from_secs(60));
}

#[test]
fn answer_that_was_revoked_meanwhile_is_not_cached() {
    let mut scene = Scene::new("meanwhile");
    let asked = scene.book.mark(scene.now);
    scene.write(&format!("{EPOCH}00ab\n"));
    assert!(scene.reads());
    for _ in 0..59 {
        scene.wait(1);
        assert!(scene.reads());
        assert!(!scene.book.may_cache(asked, &[b"00cd", b"00ab"], scene.now));
        assert!(scene.book.may_cache(asked, &[b"00cd"], scene.now));
    }
    scene.wait(1);
    assert!(!scene.book.may_cache(asked, &[b"00cd"], scene.now));
}

#[test]
fn answer_from_before_everything_was_forgotten_is_not_cached() {
    let mut scene = Scene::new("forgotten");
    let asked = scene.book.mark(scene.now);
    scene.write(OTHER_EPOCH);
    assert!(scene.reads());
    assert!(!scene.book.may_cache(asked, &[], scene.now));
    let asked = scene.book.mark(scene.now);
    assert!(scene.book.may_cache(asked, &[], scene.now));
    fs::remove_file(&scene.path).expect("gone");
    assert!(!scene.reads());
    assert!(!scene.book.may_cache(asked, &[], scene.now));
}

#[test]
fn tag_that_is_revoked_again_ends_what_was_cached_since() {
    let mut scene = Scene::new("again");
    scene.book.add(b"00ab", scene.now);
    scene.ended_are(&["00ab"]);
    scene.wait(100);
    scene.book.add(b"00ab", scene.now);
    scene.ended_are(&["00ab"]);
    scene.wait(60);
    assert!(scene.reads());
    let asked = scene.book.mark(scene.now);
    assert!(
        !scene.book.may_cache(asked, &[b"00ab"], scene.now),
        "the second is remembered"
    );
}

#[test]
fn worker_that_looks_late_ends_everything() {
    let mut scene = Scene::new("idle");
    scene.book.add(b"00ab", scene.now);
    scene.wait(121);
    assert!(scene.reads());
    assert_eq!(scene.ended(), None);
    scene.wait(121);
    assert!(scene.reads());
    scene.ended_are(&[]);
}

#[test]
fn flood_of_tags_is_bounded_and_ends_everything() {
    let mut scene = Scene::new("flood");
    for number in 0..70_000 {
        scene.book.add(format!("{number:x}").as_bytes(), scene.now);
    }
    assert_eq!(scene.ended(), None);
    scene.book.add(b"00ab", scene.now);
    scene.ended_are(&["00ab"]);
}

/// A worker that looks whenever it likes knows of every tag that was written, or ends everything.
#[test]
fn generated_files_lose_no_tag() {
    let mut dice = Dice::new(5);
    let mut scene = Scene::new("generated");
    let mut content = String::from(EPOCH);
    let (mut open, mut ended_all) = (Vec::new(), 0);
    for number in 0..3_000_u32 {
        match dice.below(30) {
            0 => {
                content = format!("{:016x}\n", dice.next());
            }
            1 => content.push_str("00"), // killed within a line
            _ => {
                let end = if content.ends_with('\n') { "" } else { "\n" };
                let _ = writeln!(content, "{end}{number:08x}");
                open.push(format!("{number:08x}"));
            }
        }
        scene.write(&content);
        if dice.once_in(3) {
            scene.wait(1);
            assert!(scene.reads());
            if dice.once_in(3) {
                match scene.ended() {
                    None => ended_all += 1,
                    Some(tags) => assert!(open.iter().all(|tag| tags.contains(tag))),
                }
                open.clear();
            }
        }
    }
    assert!(ended_all > 10);
}
