//! Profiles: cache keys, requests that are asked about each time, aliases.

mod support;

use scopegate_filter::profile::Profile;
use scopegate_filter::stream::List;
use support::Dice;

const LINE: &[u8] = b"key=access-token,authorization,cookie strip=x-group,x-user \
arguments=access_token methods=OPTIONS media=urlencoded suffixes=/logout";

fn profile(line: &[u8]) -> Profile {
    Profile::parse(line).expect("a profile")
}

fn is_asked(profile: &Profile, method: &str, target: &str, kind: Option<&str>) -> bool {
    profile.is_asked_each_time(
        method.as_bytes(),
        target.as_bytes(),
        kind.map(str::as_bytes),
    )
}

type Headers<'a> = [(&'a [u8], &'a [u8])];

/// None: the request must be asked about.
fn key(profile: &Profile, headers: &Headers<'_>) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    profile
        .append_key(&mut key, &List(headers.to_vec()))
        .then_some(key)
}

#[test]
fn usual_requests_need_not_be_asked_about() {
    let profile = profile(LINE);
    for (method, target, kind) in [
        ("GET", "/", None),
        ("DELETE", "/a?b=1&access-tok=2", None),
        ("POST", "/logout/x", Some("application/json")),
        ("PUT", "/a?b=access_token", Some("")),
        ("PATCH", "/a?", None),
        ("HEAD", "/a?x=%61ccess_token", None),
    ] {
        assert!(
            !is_asked(&profile, method, target, kind),
            "{} {}",
            method,
            target
        );
    }
}

#[test]
fn odd_requests_are_asked_about() {
    let profile = profile(LINE);
    for (method, target, kind) in [
        ("OPTIONS", "/", None),
        ("get", "/", None),
        ("TRACE", "/", None),
        ("PROPFIND", "/", None),
        ("", "/", None),
        ("GET", "/x/logout", None),
        ("GET", "/x/logout?a", None),
        ("GET", "/?access_token=x", None),
        ("GET", "/?a=1;Access.Token[]=x", None),
        ("GET", "/?ACCESS-TOKEN", None),
        ("GET", "/?%61ccess_token=x", None),
        ("GET", "/?a+b=x", None),
        ("GET", "/a b", None),
        ("GET", "/\u{e9}", None),
        ("GET", "/\x7f", None),
        ("GET", "/?\t", None),
        (
            "POST",
            "/",
            Some("application/x-www-form-URLENCODED; charset=x"),
        ),
    ] {
        assert!(
            is_asked(&profile, method, target, kind),
            "{} {}",
            method,
            target
        );
    }
    let long = format!("/?{}", "a&".repeat(2049));
    assert!(is_asked(&profile, "GET", &long, None));
}

#[test]
fn empty_parts_look_for_nothing() {
    let profile = profile(b"key=authorization,cookie strip= arguments= methods= media= suffixes=");
    assert!(!is_asked(
        &profile,
        "OPTIONS",
        "/?%61=1",
        Some("application/x-www-form-urlencoded")
    ));
    assert!(!profile.drops(b"x-user"));
}

#[test]
fn key_has_the_values_of_all_key_headers() {
    let profile =
        profile(b"key=:scheme,authorization,cookie strip= arguments= methods= media= suffixes=");
    let all: [(&[u8], &[u8]); 3] = [
        (b":scheme", b"https"),
        (b"cookie", b"a=1"),
        (b"x-other", b"1"),
    ];
    assert_eq!(key(&profile, &all).as_deref(), Some(&b"https\n\na=1\n"[..]));
    assert_eq!(key(&profile, &[]).as_deref(), Some(&b"\n\n\n"[..]));
}

#[test]
fn odd_credentials_are_asked_about() {
    let profile = profile(LINE);
    let bad: [&Headers<'_>; 6] = [
        &[(b"authorization", b"a"), (b"authorization", b"a")],
        &[(b"authorization", b"a,b")],
        &[(b"authorization", b"")],
        &[(b"cookie", b"a"), (b"cookie", b"b")],
        &[(b"access-token", b"")],
        &[(b"access-token", b"a\nb")],
    ];
    for headers in bad {
        assert_eq!(key(&profile, headers), None, "{:?}", headers);
    }
    assert!(key(&profile, &[(b"cookie", b"a,b")]).is_some());
}

/// Two requests have one key when all that the key is made of is the same, and never else.
#[test]
fn key_is_the_same_for_the_same_values_only() {
    let profile = profile(LINE);
    let names: [&[u8]; 4] = [b"authorization", b"cookie", b"access-token", b"x-other"];
    let values: [&[u8]; 7] = [b"a", b"b", b"ab", b"a\tb", b" ", b"a, b", b"Bearer a"];
    let mut dice = Dice::new(2);
    let mut request = || -> Vec<(&[u8], &[u8])> {
        let some = names
            .iter()
            .filter(|_| dice.once_in(2))
            .copied()
            .collect::<Vec<_>>();
        some.into_iter()
            .map(|name| (name, dice.pick(&values)))
            .collect()
    };
    let mut same = 0;
    for _ in 0..20_000 {
        let (one, two) = (request(), request());
        if let (Some(first), Some(second)) = (key(&profile, &one), key(&profile, &two)) {
            let part = |headers: &Headers<'_>| -> Vec<(Vec<u8>, Vec<u8>)> {
                let counts = headers.iter().filter(|pair| pair.0 != b"x-other");
                counts
                    .map(|(name, value)| (name.to_vec(), value.to_vec()))
                    .collect()
            };
            assert_eq!(
                first == second,
                part(&one) == part(&two),
                "{:?} {:?}",
                one,
                two
            );
            same += u32::from(first == second);
        }
    }
    assert!(same > 100);
}

#[test]
fn aliases_and_stripped_headers_are_dropped() {
    let profile = profile(LINE);
    for name in [
        "x-user",
        "x_user",
        "x.user",
        "x-group",
        "x~group",
        "access_token",
        "access.token",
    ] {
        assert!(profile.drops(name.as_bytes()), "{}", name);
    }
    for name in [
        "access-token",
        "authorization",
        "cookie",
        "x-users",
        "xxuser",
        "x-use",
        "accept",
        "",
    ] {
        assert!(!profile.drops(name.as_bytes()), "{}", name);
    }
    let both = b"key=authorization,cookie,x_user strip=x-user arguments= methods= media= suffixes=";
    assert!(
        profile_of(both).drops(b"x_user"),
        "an alias of what only the gateway sets"
    );
}

fn profile_of(line: &[u8]) -> Profile {
    profile(line)
}

/// The quick look at a name passes over none that is an alias.
#[test]
fn every_alias_is_dropped() {
    let signs: &[u8] = b"!#$%&'*+-.^_`|~:";
    let letters: [&[u8]; 9] = [b"a", b"b", b"x", b"z", b"0", b"9", b"-", b"_", b"."];
    let mut dice = Dice::new(3);
    for _ in 0..5_000 {
        let mut name = dice.join(&letters, 12);
        name.push(b'u');
        let text = String::from_utf8_lossy(&name).into_owned();
        let line =
            format!("key=authorization,cookie strip={text} arguments= methods= media= suffixes=");
        let profile = profile(line.as_bytes());
        let mut alias = name.clone();
        for byte in alias
            .iter_mut()
            .filter(|byte| !byte.is_ascii_alphanumeric())
        {
            *byte = signs[dice.below(signs.len())];
        }
        assert!(
            profile.drops(&alias),
            "{} {}",
            text,
            String::from_utf8_lossy(&alias)
        );
        let place = dice.below(alias.len());
        alias[place] = if alias[place].is_ascii_alphanumeric() {
            b'q'
        } else {
            b'7'
        };
        assert!(
            !profile.drops(&alias),
            "{} {}",
            text,
            String::from_utf8_lossy(&alias)
        );
    }
}

#[test]
fn lines_that_are_no_profile_are_refused() {
    for line in [
        "",
        "key=authorization,cookie",
        " ",
        "key=authorization,cookie strip= arguments= methods= media= suffixes= ",
        "key=authorization strip= arguments= methods= media= suffixes=",
        "key=cookie strip= arguments= methods= media= suffixes=",
        "key=authorization,cookie,:path strip= arguments= methods= media= suffixes=",
        "key=authorization,cookie,a:b strip= arguments= methods= media= suffixes=",
        "key=authorization,cookie strip=:scheme arguments= methods= media= suffixes=",
        "key=authorization,cookie strip=X-User arguments= methods= media= suffixes=",
        "key=authorization,cookie strip= arguments=A methods= media= suffixes=",
        "key=authorization,cookie strip= arguments= methods= media=Form suffixes=",
        "key=authorization,cookie strip= arguments= methods=, media= suffixes=",
        "key=authorization,cookie strip= arguments= methods=\u{e9} media= suffixes=",
    ] {
        assert!(Profile::parse(line.as_bytes()).is_err(), "{:?}", line);
    }
}
