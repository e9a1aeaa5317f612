from __future__ import annotations

import pytest

from scopegate.entities.regexes import LENGTH_LIMIT, regex_fault

TOO_LARGE = "too large once its repeats are spelled out"


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/users/[0-9]+",
        r"/(?<version>\d+)/users/(?<user>\S+)$",
        r"/(?P<id>[^/]+)/x",
        r"/a\.b\/c\-d",
        "/(?:a|b)*?c??d+?",
        "/(?i)a(?i:b)(?s-m:c)",
        "/[[:alpha:]_]+",
        r"/[^\]\[a-z\d]",
        "/[]a]",
        "/[^]a]",
        r"/\p{Nd}\pL[\p{Lu}\P{^Zs}]",
        r"/\x41\x{7E}[\x41]",
        r"/a{3}b{3,}c{3,5}?",
        "/((a{10}){10}b){10}",
        "/a{1000}b{1000}",
        "/(a{0}){1000}",
        r"/\x{FF}\x{00007e}",
        r"\Aa\bb\Bc\z",
        "/é+",
        "/a|",
        "/}",
        "(?:" * 50 + "a" + ")" * 50,
        "(?i)" * 60 + "(a)" * 60,
    ],
)
def test_what_both_engines_take_is_taken(pattern: str) -> None:
    assert regex_fault(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)", "look-ahead is not supported"),
        ("(?!a)", "look-ahead is not supported"),
        ("(?<=a)", "look-behind is not supported"),
        ("(?<!a)", "look-behind is not supported"),
        ("(?>a)", "atomic groups are not supported"),
        ("(a)?(?(1)b|c)", "conditionals are not supported"),
        ("(?#a)", "comments are not supported"),
        ("(?P<a>x)(?P=a)", "back references are not supported"),
        ("(?R)", "recursion is not supported"),
        ("(?|a)", "branch reset is not supported"),
        ("(?x)a b", "unrecognized group"),
        (r"(a)\1", "back references and octal escapes are not supported"),
        (r"\0", "back references and octal escapes are not supported"),
        (r"(?<a>x)\k<a>", r"unrecognized escape sequence '\k'"),
        (r"\Z", r"unrecognized escape sequence '\Z'"),
        (r"\h", r"unrecognized escape sequence '\h'"),
        (r"\Qa\E", r"unrecognized escape sequence '\Q'"),
        (r"[\b]", r"unrecognized escape sequence '\b'"),
        ("a++", "possessive quantifiers are not supported"),
        ("a*+", "possessive quantifiers are not supported"),
        ("a{2}+", "possessive quantifiers are not supported"),
        ("a**", "multiple repeat"),
        ("*a", "nothing to repeat"),
        ("a{1001}", "repeats more than 1000 times"),
        ("a{1,1001}", "repeats more than 1000 times"),
        ("(?:a{100}){11}", "nested repeats come to more than 1000 times"),
        ("(?:((?i)(x|a{2,40})?b){2,5}c){6,}", "nested repeats come to more than 1000 times"),
        ("a(?i)*", "nothing to repeat"),
        ("(?i){2}", "nothing to repeat"),
        ("[a-[:alpha:]]", r"bad character range a-\w"),
        (r"(?:(?:\w{50}){20}[^/]{0,999})(\d{5,}){200}", TOO_LARGE),
        ("/é{1000}" * 4, TOO_LARGE),
        (r"/\x{100}", r"'\x{100}' is not supported beyond FF: write the character itself"),
        (r"/[\x{1F600}]", r"'\x{1F600}' is not supported beyond FF: write the character itself"),
        ("a{,3}", r"a literal '{' must be written '\{'"),
        ("/{id}", r"a literal '{' must be written '\{'"),
        ("[a", "unterminated character set"),
        ("[a[b]]", r"a literal '[' in a character set must be written '\['"),
        ("[a&&b]", "operators in a character set are not supported"),
        ("[a--b]", "operators in a character set are not supported"),
        ("[z-a]", "bad character range z-a"),
        ("(a", "missing ), unterminated subpattern"),
        ("a)", "unbalanced parenthesis"),
        ("a\\", "ends in a backslash"),
        ("(?<a>x)(?<a>y)", "redefinition of group name 'a' as group 2; was group 1"),
        ("a" * (LENGTH_LIMIT + 1), f"longer than {LENGTH_LIMIT} characters"),
    ],
)
def test_what_one_engine_would_refuse_is_refused_with_a_reason(pattern: str, why: str) -> None:
    assert regex_fault(pattern) == why


@pytest.mark.parametrize("text", [r"\p{Greek}", r"\p{letter}", r"\p{Lx}", r"\pX", r"\P{^Foo}"])
def test_of_unicodes_properties_only_the_general_categories_are_taken(text: str) -> None:
    why = "is not supported; of Unicode's properties the general categories are (L, Lu, N …)"
    assert regex_fault(f"/{text}+") == regex_fault(f"/[a{text}]") == f"'{text}' {why}"


@pytest.mark.parametrize("pattern", ["(" * 1000 + ")" * 1000, "(?:" * 51 + "a" + ")" * 51])
def test_a_pattern_nested_too_deeply_is_refused(pattern: str) -> None:
    assert regex_fault(pattern) == "nested too deeply"
