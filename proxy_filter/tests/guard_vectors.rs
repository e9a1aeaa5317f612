//! The guard and the stripping of headers against their specifications, which are regular
//! expressions: `tests/support/guard_vectors.py` makes the examples in `tests/vectors/`.
//!
//! With `SCOPEGATE_VECTORS=<folder>` it reads those there, such as a million random ones.

use std::path::PathBuf;

use scopegate_filter::arrival::is_stripped;
use scopegate_filter::guard::{classify, Refused};
use scopegate_filter::reasons::{
    Reason, HOST_MALFORMED, PATH_AMBIGUOUS, PATH_ESCAPED_SLASH, PATH_PARAMETERS,
};

const CHOICES: [bool; 2] = [false, true];

/// Lines of what the specification says, a space, and a text.
fn each_line(file: &str, mut look: impl FnMut(&[u8], &[u8])) {
    let folder = std::env::var_os("SCOPEGATE_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")),
        PathBuf::from,
    );
    let content = std::fs::read(folder.join(file)).expect("the file of vectors");
    let mut count = 0;
    for line in content
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let space = line.iter().position(|byte| *byte == b' ').expect("a space");
        look(&line[..space], &line[space + 1..]);
        count += 1;
    }
    assert!(count > 500, "{} has {} lines only", file, count);
}

fn expected(flags: &[u8], refused: Refused) -> Option<Reason> {
    let has = |flag: u8| flags.contains(&flag);
    if has(b'a') || (has(b'd') && refused.trailing_dots) {
        Some(PATH_AMBIGUOUS)
    } else if has(b's') && refused.escaped_slashes {
        Some(PATH_ESCAPED_SLASH)
    } else if has(b'p') && refused.path_parameters {
        Some(PATH_PARAMETERS)
    } else {
        None
    }
}

#[test]
fn paths_are_refused_as_specified() {
    each_line("guard/paths.txt", |flags, path| {
        for trailing_dots in CHOICES {
            for escaped_slashes in CHOICES {
                for path_parameters in CHOICES {
                    let refused = Refused {
                        trailing_dots,
                        escaped_slashes,
                        path_parameters,
                    };
                    assert_eq!(
                        classify(b"a.example", path, refused),
                        expected(flags, refused),
                        "{} with {:?}",
                        String::from_utf8_lossy(path),
                        refused
                    );
                }
            }
        }
    });
}

#[test]
fn hosts_are_refused_as_specified() {
    each_line("guard/hosts.txt", |flag, host| {
        let found = classify(host, b"/", Refused::default());
        let expected = if flag == b"+" {
            None
        } else {
            Some(HOST_MALFORMED)
        };
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(host));
    });
}

#[test]
fn headers_are_stripped_as_specified() {
    each_line("arrival/names.txt", |flag, name| {
        assert_eq!(
            is_stripped(name),
            flag == b"+",
            "{}",
            String::from_utf8_lossy(name)
        );
    });
}
