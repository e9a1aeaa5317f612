//! Uses of cached decisions are counted and reported once. All in one test: counters are those of
//! the process.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;

use scopegate_filter::hits::{counter, report};

/// Takes reports, each with this answer, and gives back the lines of each, sorted.
fn service(path: &Path, answers: Vec<&'static str>) -> JoinHandle<Vec<Vec<String>>> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).expect("a socket");
    std::thread::spawn(move || {
        let mut reports = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a report");
            let mut text = Vec::new();
            let mut piece = [0; 65_536];
            let (head, body) = loop {
                let size = stream.read(&mut piece).expect("more of it");
                text.extend_from_slice(&piece[..size]);
                let all = String::from_utf8(text.clone()).expect("text");
                if let Some((head, body)) = all.split_once("\r\n\r\n") {
                    if head.contains(&format!("content-length: {}\r\n", body.len())) {
                        break (head.to_owned(), body.to_owned());
                    }
                }
                assert!(size > 0, "cut off: {}", all);
            };
            assert!(
                head.starts_with("POST /hits HTTP/1.1\r\nhost: "),
                "{}",
                head
            );
            let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
            lines.sort();
            reports.push(lines);
            let _ = stream.write_all(answer.as_bytes());
        }
        reports
    })
}

#[test]
fn uses_are_reported_once() {
    let path = std::env::temp_dir().join(format!("scopegate-hits-{}", std::process::id()));
    let socket = path.as_os_str().as_bytes();
    let (one, two) = (counter(b"plugin-1 allowed"), counter(b"plugin-2 allowed"));
    let (one, two) = (one.expect("a counter"), two.expect("a counter"));
    report(socket); // nothing to say, and nobody there

    one.count();
    counter(b"plugin-1 allowed").expect("the same").count();
    two.count();
    report(socket); // nobody there: kept

    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let server = service(&path, vec!["HTTP/1.1 503 No\r\n\r\n", "", ok, ok]);
    report(socket); // refused: kept
    report(socket); // cut off: kept
    report(socket);
    report(socket); // nothing more, so that nobody is asked
    two.count();
    report(socket);
    let all = vec![
        "1 plugin-2 allowed".to_owned(),
        "2 plugin-1 allowed".to_owned(),
    ];
    let last = vec!["1 plugin-2 allowed".to_owned()];
    assert_eq!(
        server.join().expect("reports"),
        [all.clone(), all.clone(), all, last]
    );

    let many: Vec<_> = (0..2_500)
        .map(|number| counter(format!("p-{number} allowed").as_bytes()))
        .collect();
    many.iter().flatten().for_each(|counter| counter.count());
    let server = service(&path, vec![ok, ok, ok]);
    report(socket);
    let reports = server.join().expect("reports");
    assert_eq!(reports.iter().map(Vec::len).sum::<usize>(), 2_500);
    let _ = std::fs::remove_file(&path);
}
