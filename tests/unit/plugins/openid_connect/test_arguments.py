import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.plugins.access import Body, Request
from scopegate.plugins.openid_connect.arguments import Arguments, BodyWanted, query_without
from support.cost import growth
from support.plugin_requests import plugin_request

FORM = "application/x-www-form-urlencoded"
JSON = "application/json; charset=utf-8"


def request(
    query: str = "",
    body: bytes = b"",
    content_type: str | None = None,
    state: Body = Body.WHOLE,
    method: str = "POST",
) -> Request:
    headers = (("content-type", content_type),) if content_type else ()
    return plugin_request(method=method, query=query, headers=headers, body=body, body_state=state)


def cut(body: bytes, cuts: tuple[tuple[int, int], ...]) -> bytes:
    for start, end in reversed(cuts):
        body = body[:start] + body[end:]
    return body


def test_query_values_are_decoded_and_all_of_one_name_are_found() -> None:
    arguments = Arguments(request("a=1&b=x%20y+z&a=2&c"))
    assert arguments.query("a") == ["1", "2"]
    assert arguments.query("b") == ["x y z"]
    assert arguments.query("c") == [""]
    assert arguments.query("d") == []


def test_what_stays_in_the_query_stays_as_the_client_wrote_it() -> None:
    query = "q=%7e+1&access%5Ftoken=t&x=%2F"
    assert query_without(query, {"access_token"}) == "q=%7e+1&x=%2F"
    assert query_without(query, {"access"}) == query


@pytest.mark.parametrize(
    "twin",
    [
        "ACCESS_TOKEN",
        "Access-Token",
        "access.token",
        "access%20token",
        "access+token",
        "access[token",
        "access%5btoken",
        "access_token[]",
        "access_token%5B0%5D%5Bx%5D",
        "+access_token",
        "access_token+",
        "access_token%00x",
        "%41ccess%5ftoken",
    ],
)
def test_what_some_server_takes_for_the_argument_goes_and_is_not_read_as_one(twin: str) -> None:
    query = f"a=1&{twin}=t%20u&b=2"
    assert query_without(query, {"access_token", "other"}) == "a=1&b=2"
    form = Arguments(request(query, query.encode(), FORM))
    assert cut(query.encode(), form.body_cuts({"access_token"})) == b"a=1&b=2"
    assert (form.query("access_token"), form.body("access_token")) == ([], [])
    assert (form.query_twins("access_token"), form.form_twins("access_token")) == (
        ["t u"],
        ["t u"],
    )


@pytest.mark.parametrize(
    "other",
    ["accesstoken", "access__token", "access_tokens", "my_access_token", "x[access_token]", "%5Bx"],
)
def test_another_argument_is_no_twin(other: str) -> None:
    query = f"a=1&{other}=t"
    assert query_without(query, {"access_token"}) == query
    assert Arguments(request(query)).query_twins("access_token") == []


def test_the_argument_itself_is_no_twin_and_json_has_none() -> None:
    both = Arguments(request("access_token=t&access.token=u", b"access_token=t", FORM))
    assert (both.query("access_token"), both.query_twins("access_token")) == (["t"], ["u"])
    assert both.form_twins("access_token") == []
    json_body = Arguments(request(body=b'{"access.token": "t"}', content_type=JSON))
    assert json_body.form_twins("access_token") == []
    with pytest.raises(BodyWanted):
        Arguments(request(content_type=FORM, state=Body.NOT_READ)).form_twins("a")


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("a=1;access_token=t;b=2", "a=1;b=2"),
        ("a=1&b=2;access_token=t", "a=1&b=2"),
        ("access_token=t;a=1&access_token=u&b=2", "a=1&b=2"),
        ("access_token=t&access_token=u", ""),
        ("access_token=t;access_token=u", ""),
    ],
)
def test_what_an_older_server_takes_for_a_separator_is_one(query: str, left: str) -> None:
    assert "t" in Arguments(request(query)).query("access_token")
    assert query_without(query, {"access_token"}) == left
    form = Arguments(request(body=query.encode(), content_type=FORM))
    assert cut(query.encode(), form.body_cuts({"access_token"})) == left.encode()


def test_a_form_is_read_whatever_the_method() -> None:
    """RFC 6750 §2.2 forbids a token there with GET; servers that read it do not ask."""
    get = request(content_type=FORM, body=b"access_token=t", method="GET")
    assert Arguments(get).body("access_token") == ["t"]


def test_a_body_that_was_not_read_is_asked_for_only_when_it_can_hold_arguments() -> None:
    with pytest.raises(BodyWanted):
        Arguments(request(content_type=FORM, state=Body.NOT_READ)).body("a")
    with pytest.raises(BodyWanted):
        Arguments(request(content_type=JSON, state=Body.NOT_READ)).body("a")
    assert Arguments(request(content_type="image/png", state=Body.NOT_READ)).body("a") == []
    assert Arguments(request(state=Body.NOT_READ)).body("a") == []


def test_a_body_over_the_bound_holds_no_arguments() -> None:
    arguments = Arguments(request(body=b"a=1", content_type=FORM, state=Body.TOO_LARGE))
    assert arguments.body("a") == []
    assert arguments.body_cuts({"a"}) == ()
    assert arguments.is_body_too_large
    image = request(body=b"a=1", content_type="image/png", state=Body.TOO_LARGE)
    assert not Arguments(image).is_body_too_large


@pytest.mark.parametrize(
    "content_type",
    [
        "Application/X-WWW-Form-URLEncoded ;a=b",
        f"text/plain,{FORM}",
        f"{JSON}, {FORM}",
        f"{FORM} charset=utf-8",
        f"{FORM}\tx",
    ],
)
def test_a_form_is_told_by_any_content_type_that_a_server_could_read(content_type: str) -> None:
    assert Arguments(request(body=b"a=1", content_type=content_type)).body("a") == ["1"]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b"access_token=t&a=1", b"a=1"),
        (b"a=1&access_token=t", b"a=1"),
        (b"a=1&access_token=t&b=2", b"a=1&b=2"),
        (b"access_token=t", b""),
        (b"a=1&access_token=t&access_token=u", b"a=1&"),
        (b"a=%C3%A9&access_token=t", b"a=%C3%A9"),
    ],
)
def test_a_form_field_is_cut_with_its_separator(body: bytes, left: bytes) -> None:
    arguments = Arguments(request(body=body, content_type=FORM))
    assert arguments.body("access_token")
    assert cut(body, arguments.body_cuts({"access_token"})) == left


@pytest.mark.parametrize(
    ("body", "values", "left"),
    [
        (b'{"access_token": "t", "a": 1}', ["t"], b'{"access_token": "", "a": 1}'),
        (
            '{"ä": "ö", "access_token":"t"}'.encode(),
            ["t"],
            '{"ä": "ö", "access_token":""}'.encode(),
        ),
        (b'{"access_token": null}', [], b'{"access_token": null}'),
        (b'{"access_token": {"access_token": "t"}}', [], None),
        (b'["access_token", "t"]', [], None),
        (b'{"access_token": "t"', [], None),
        (b'{"access_token": "t", }', [], None),
        (b"\xff", [], None),
        (
            b'{"access_token": "t", "access_token": "u"}',
            ["t", "u"],
            b'{"access_token": "", "access_token": ""}',
        ),
        (
            rb'{"a":[{"access_token":"x"},"}"],"access\u005ftoken" :"t\"}","b":"access_token"}',
            ['t"}'],
            rb'{"a":[{"access_token":"x"},"}"],"access\u005ftoken" :"","b":"access_token"}',
        ),
    ],
)
def test_only_whole_top_level_json_strings_are_arguments(
    body: bytes, values: list[str], left: bytes | None
) -> None:
    arguments = Arguments(request(body=body, content_type=JSON))
    assert arguments.body("access_token") == values
    if left is not None:
        assert cut(body, arguments.body_cuts({"access_token"})) == left


@given(st.binary(max_size=200), st.sampled_from([FORM, JSON]))
def test_no_body_makes_it_crash(body: bytes, content_type: str) -> None:
    arguments = Arguments(request(body=body, content_type=content_type))
    arguments.body("a")
    for start, end in arguments.body_cuts({"a", ""}):
        assert 0 <= start <= end <= len(body)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", 'c"\\', "ö"]) | st.text(max_size=3),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "ö"]), inner),
            max_leaves=5,
        ),
    ),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_cutting_empties_just_these_strings(
    document: dict[str, object], ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    arguments = Arguments(request(body=body.encode("utf-8", "replace"), content_type=JSON))
    names = {"a", "ö", 'c"\\'}
    left = json.loads(cut(body.encode("utf-8", "replace"), arguments.body_cuts(names)))
    wanted = json.loads(body.encode("utf-8", "replace"))
    assert left == {
        name: "" if name in names and isinstance(value, str) else value
        for name, value in wanted.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content_type", "start", "piece", "pieces", "end"),
    [
        (JSON, "{", '"":"",', 26_000, '"ö":"ö","a":"1"}'),
        (JSON, "{", '"a":"ö",', 16_000, '"a":"1"}'),
        (FORM, "", "a&", 64_000, "a=1"),
        (FORM, "", "&", 128_000, "a=1"),
        (FORM, "", "%61&", 16_000, "a=1"),
        (FORM, "", "A%5B&", 13_000, "a=1"),
    ],
)
def test_a_body_made_of_arguments_costs_no_more_than_its_length(
    content_type: str, start: str, piece: str, pieces: int, end: str
) -> None:
    def look_up(body: bytes) -> None:
        arguments = Arguments(request(body=body, content_type=content_type))
        assert "1" in arguments.body("a")
        assert arguments.body_cuts({"a"})

    short, long = ((start + piece * count + end).encode() for count in (pieces // 4, pieces))
    assert growth(look_up, short, long) < 10
