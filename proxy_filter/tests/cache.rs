//! The decision cache of one worker.

mod support;

use std::collections::HashMap;
use std::rc::Rc;

use scopegate_filter::cache::{Cache, Entry};
use scopegate_filter::decision::Changes;
use support::Dice;

const NOW_S: u64 = 1_800_000_000;
const LINE: &[u8] = b"key=authorization,cookie strip= arguments= methods= media= suffixes=";
const OTHER_LINE: &[u8] = b"key=authorization,cookie,x strip= arguments= methods= media= suffixes=";

fn changes(value: &[u8]) -> Changes {
    Changes {
        remove: Box::new([]),
        set: Box::new([(Box::from(&b"x-user"[..]), Box::from(value))]),
    }
}

fn entry(value: &[u8], until_s: u64, tags: &[&[u8]]) -> Entry {
    Entry::new(changes(value), None, until_s, tags)
}

fn has(cache: &mut Cache, key: &[u8]) -> bool {
    cache.get(key, NOW_S).is_some()
}

#[test]
fn decision_comes_back_for_its_key_alone() {
    let mut cache = Cache::new(10, 100_000);
    cache.put(b"key", entry(b"ada", NOW_S + 5, &[]));
    assert_eq!(
        cache
            .get(b"key", NOW_S)
            .map(|found| found.changes == changes(b"ada")),
        Some(true)
    );
    for key in [&b"kez"[..], b"ke", b"key ", b""] {
        assert!(!has(&mut cache, key));
    }
}

#[test]
fn decision_ends_in_its_second() {
    let mut cache = Cache::new(10, 100_000);
    cache.put(b"key", entry(b"", NOW_S + 5, &[]));
    assert!(cache.get(b"key", NOW_S + 4).is_some());
    assert!(cache.get(b"key", NOW_S + 5).is_none());
}

#[test]
fn newer_decision_takes_the_place_of_the_former() {
    let mut cache = Cache::new(10, 100_000);
    cache.put(b"key", entry(b"old", NOW_S + 5, &[b"aa"]));
    cache.put(b"key", entry(b"new", NOW_S + 5, &[b"bb"]));
    cache.end_tag(b"aa");
    assert_eq!(
        cache
            .get(b"key", NOW_S)
            .map(|found| found.changes == changes(b"new")),
        Some(true)
    );
    cache.end_tag(b"bb");
    assert!(!has(&mut cache, b"key"));
}

#[test]
fn revoked_tag_ends_what_has_it_in_both_generations() {
    let mut cache = Cache::new(2, 100_000);
    cache.put(b"old", entry(b"", NOW_S + 5, &[b"aa", b"bb"]));
    cache.put(b"other", entry(b"", NOW_S + 5, &[b"cc"]));
    cache.put(b"young", entry(b"", NOW_S + 5, &[b"aa"]));
    cache.end_tag(b"aa");
    assert!(!has(&mut cache, b"old"));
    assert!(!has(&mut cache, b"young"));
    assert!(has(&mut cache, b"other"));
}

#[test]
fn revoked_tag_ends_what_moved_to_the_young_generation() {
    let mut cache = Cache::new(2, 100_000);
    cache.put(b"used", entry(b"", NOW_S + 5, &[b"aa"]));
    for number in 0..20_u8 {
        cache.put(&[number], entry(b"", NOW_S + 5, &[]));
        assert!(has(&mut cache, b"used"), "{}", number);
    }
    cache.end_tag(b"aa");
    assert!(!has(&mut cache, b"used"));
}

#[test]
fn what_is_used_stays_and_the_rest_goes() {
    let mut cache = Cache::new(10, 100_000);
    cache.put(b"used", entry(b"", NOW_S + 5, &[]));
    for number in 0..100_u8 {
        cache.put(&[number], entry(b"", NOW_S + 5, &[]));
        assert!(has(&mut cache, b"used"));
    }
    assert!(!has(&mut cache, &[0]));
    assert!(has(&mut cache, &[99]));
}

#[test]
fn limits_hold_in_entries_and_bytes() {
    for (entries, bytes, most) in [(10, 1 << 20, 20), (10_000, 40_000, 2 * 40_000 / 600)] {
        let mut cache = Cache::new(entries, bytes);
        for number in 0..500_u32 {
            cache.put(&number.to_le_bytes(), entry(&[b'x'; 600], NOW_S + 5, &[]));
        }
        let found = (0..500_u32)
            .rev()
            .filter(|number| has(&mut cache, &number.to_le_bytes()));
        assert!(
            found.count() <= most,
            "{} entries, {} bytes",
            entries,
            bytes
        );
    }
}

#[test]
fn too_large_a_decision_is_not_kept() {
    let mut cache = Cache::new(10, 16_000);
    cache.put(b"small", entry(&[b'x'; 500], NOW_S + 5, &[]));
    cache.put(b"large", entry(&[b'x'; 1_001], NOW_S + 5, &[]));
    assert!(has(&mut cache, b"small"));
    assert!(!has(&mut cache, b"large"));
    let mut none = Cache::new(0, 16_000);
    none.put(b"small", entry(b"", NOW_S + 5, &[]));
    assert!(!has(&mut none, b"small"));
}

#[test]
fn profile_is_known_by_its_policy() {
    let mut cache = Cache::new(10, 100_000);
    let (policy, other) = ([b'a'; 32], [b'b'; 32]);
    assert!(cache.profile(&policy).is_none());
    let learnt = cache.learn(policy, LINE).expect("a profile");
    let known = cache.profile(&policy).expect("the profile");
    assert!(Rc::ptr_eq(&learnt, &known));
    assert!(cache.profile(&other).is_none());
    assert!(cache.learn(policy, b"nonsense").is_err());
    assert!(cache.profile(&policy).is_some());
}

#[test]
fn another_profile_of_a_policy_clears_the_cache() {
    let mut cache = Cache::new(10, 100_000);
    cache.learn([b'a'; 32], LINE).expect("a profile");
    cache.put(b"key", entry(b"", NOW_S + 5, &[]));
    cache.learn([b'a'; 32], LINE).expect("the same");
    assert!(has(&mut cache, b"key"));
    cache.learn([b'a'; 32], OTHER_LINE).expect("another");
    assert!(!has(&mut cache, b"key"));
}

/// Whatever happens, only the newest decision for a key comes back, never one that is over.
#[test]
fn generated_uses_find_what_a_plain_map_has() {
    let mut dice = Dice::new(4);
    let mut found = 0;
    for _ in 0..200 {
        let mut cache = Cache::new(1 + dice.below(20), 2_000 + dice.below(30_000));
        let mut plain: HashMap<u8, (u64, u8, u64)> = HashMap::new();
        let mut now_s = NOW_S;
        for step in 0..500_u64 {
            let key = dice.below(40) as u8;
            let tag = dice.below(10) as u8;
            match dice.below(20) {
                0 => now_s += 1,
                1 => {
                    cache.end_tag(&[tag]);
                    plain.retain(|_, known| known.1 != tag);
                }
                2 if dice.once_in(10) => {
                    cache.clear();
                    plain.clear();
                }
                3..=9 => {
                    let until_s = now_s + dice.below(10) as u64;
                    cache.put(&[key], entry(&step.to_le_bytes(), until_s, &[&[tag]]));
                    plain.insert(key, (until_s, tag, step));
                }
                _ => {
                    let known = plain.get(&key).filter(|known| now_s < known.0);
                    if let Some(entry) = cache.get(&[key], now_s) {
                        let step = known.expect("it is over, or was never there").2;
                        assert!(entry.changes == changes(&step.to_le_bytes()));
                        found += 1;
                    }
                }
            }
        }
    }
    assert!(found > 1_000);
}
