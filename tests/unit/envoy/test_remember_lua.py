"""remember.lua by itself: what it remembers, gives again, and forgets. In Envoy: e2e/envoy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.ir.replay import GRANT, GRANTED, grant_text, text_id
from support.lua_script import LuaScript, Ran
from support.replay_key import KEY

ANSWERS, MINE = "envoy.filters.http.ext_authz", "scopegate.remember"
NOW_S = 1_800_000_000
POLICY = "p" * 32
EPOCHS = ("0123456789abcdef\n", "fedcba9876543210\n")
Headers = list[tuple[str, str]]
TOKEN: Headers = [("authorization", "Bearer t")]


class Memory:
    """A worker's script with its file of revocations, at a time that the test sets."""

    def __init__(self, file: Path, *, entries: int = 50, limit_bytes: int = 100_000) -> None:
        self.file = file
        file.write_text(EPOCHS[0])
        before = (
            f'local REVOCATIONS = "{file}"\n'
            f"local ENTRIES_LIMIT, BYTES_LIMIT = {entries}, {limit_bytes}\n"
        )
        self.script = LuaScript("remember.lua", before)
        self.now_s = NOW_S
        self.at(NOW_S)

    def at(self, now_s: int) -> None:
        self.now_s = now_s
        self.script.set_clock(now_s)

    def ask(self, headers: Headers, *, method: str = "GET", path: str = "/", policy: str = POLICY):
        text = KEY.text(policy)
        head = [(":method", method), (":path", path), *headers]
        return self.script.request(head, {"id": text_id(text), "replay": text})

    def answer(self, asked: Ran, text: str, *, decided: str = "1") -> Ran:
        """The policy service said yes, with this grant."""
        as_bytes = text.encode().decode("latin-1")
        said = {**asked.noted, ANSWERS: {"x-scopegate-decided": decided, GRANT: as_bytes}}
        return self.script.response([(GRANTED, "1"), ("x-app", "1")], said)

    def give(
        self, headers: Headers, *, for_s: int = 100, tags=(), removed=(), up=(), **more
    ) -> Ran:
        """Ask, and let it be remembered."""
        asked = self.ask(headers, **more)
        assert not was_given(asked)
        answered = self.answer(asked, grant_text(self.now_s + for_s, tags, removed, up))
        assert answered.logged == []
        return asked


def was_given(ran: Ran) -> bool:
    assert ran.logged == []
    return ran.all("x-scopegate-decided") == ["1"]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "revoked")


def test_a_yes_is_given_again_with_its_changes(memory: Memory) -> None:
    memory.give(TOKEN, removed=("authorization",), up=[("x-user", "größe"), ("x-id", "a b 3 .")])
    again = memory.ask([*TOKEN, ("x-user", "eve"), ("x-group", "admin"), ("x-other", "1")])
    assert was_given(again)
    assert again.all("authorization") == again.all("x-group") == []
    assert [each.encode("latin-1").decode() for each in again.all("x-user")] == ["größe"]
    assert (again.all("x-id"), again.all("x-other")) == (["a b 3 ."], ["1"])


def test_the_mark_goes_no_further_and_nothing_else_of_the_answer_changes(memory: Memory) -> None:
    answered = memory.answer(memory.ask(TOKEN), grant_text(NOW_S + 9, (), (), ()))
    assert answered.headers == [("x-app", "1")]


def test_it_ends_in_its_second(memory: Memory) -> None:
    memory.give(TOKEN, for_s=5)
    memory.at(NOW_S + 4)
    assert was_given(memory.ask(TOKEN))
    memory.at(NOW_S + 5)
    assert not was_given(memory.ask(TOKEN))


def test_a_revocation_counts_in_the_next_second(memory: Memory) -> None:
    memory.give(TOKEN, tags=("00ab",))
    memory.give([("cookie", "a=1")], tags=("00cd",))
    memory.file.write_text(EPOCHS[0] + "00ab\n")
    memory.at(NOW_S + 1)
    assert not was_given(memory.ask(TOKEN))
    assert was_given(memory.ask([("cookie", "a=1")]))


def test_a_decision_that_began_before_a_revocation_is_not_remembered(memory: Memory) -> None:
    asked = memory.ask(TOKEN)
    memory.file.write_text(EPOCHS[0] + "00ab\n")
    memory.at(NOW_S + 1)
    memory.ask([("cookie", "another")])
    memory.answer(asked, grant_text(NOW_S + 100, ("00ab",), (), ()))
    assert not was_given(memory.ask(TOKEN))


def test_a_file_that_was_cut_off_ends_everything_and_is_read_on(memory: Memory) -> None:
    memory.file.write_text(EPOCHS[0] + "00ab\n00cd\n")
    memory.at(NOW_S + 1)
    memory.give(TOKEN, tags=("00ef",))
    asked = memory.ask([("cookie", "a=1")])
    memory.file.write_text(EPOCHS[0])
    memory.at(NOW_S + 2)
    assert not was_given(memory.ask(TOKEN))
    memory.answer(asked, grant_text(NOW_S + 100, ("00cd",), (), ()))
    assert not was_given(memory.ask([("cookie", "a=1")])), "it may be revoked"
    memory.give(TOKEN, tags=("00ef",))
    memory.file.write_text(EPOCHS[0] + "00ef\n")
    memory.at(NOW_S + 3)
    assert not was_given(memory.ask(TOKEN))


def test_what_is_no_line_hides_none_behind_it(memory: Memory) -> None:
    memory.give(TOKEN, tags=("00ef",))
    memory.file.write_text(EPOCHS[0] + "no tag\n\n00a")
    memory.at(NOW_S + 1)
    assert was_given(memory.ask(TOKEN))
    memory.file.write_text(EPOCHS[0] + "no tag\n\n00a\n00ef\n")
    memory.at(NOW_S + 2)
    assert not was_given(memory.ask(TOKEN))


@pytest.mark.parametrize("content", [None, "", "short", EPOCHS[1]])
def test_without_the_file_or_with_another_nothing_counts(
    memory: Memory, content: str | None
) -> None:
    memory.give(TOKEN)
    memory.file.unlink() if content is None else memory.file.write_text(content)
    memory.at(NOW_S + 1)
    assert not was_given(memory.ask(TOKEN))


@pytest.mark.parametrize("decided", ["2", "", "no"])
def test_only_a_plain_yes_is_remembered(memory: Memory, decided: str) -> None:
    memory.answer(memory.ask(TOKEN), grant_text(NOW_S + 9, (), (), ()), decided=decided)
    assert not was_given(memory.ask(TOKEN))


@pytest.mark.parametrize(
    "text", ["", "x", "99 - -", "9999999999 - - name 5 abc .", "9999999999 - -"]
)
def test_what_is_not_whole_is_not_remembered(memory: Memory, text: str) -> None:
    answered = memory.answer(memory.ask(TOKEN), text)
    assert "cannot be remembered" in answered.logged[0]
    assert not was_given(memory.ask(TOKEN))


@pytest.mark.parametrize(
    "odd",
    [
        {"headers": [*TOKEN, *TOKEN]},
        {"headers": [("authorization", "Bearer t,Bearer u")]},
        {"headers": [("authorization", "")]},
        {"headers": [*TOKEN, ("access-token", "")]},
        {"headers": TOKEN, "path": "/?access_token=x"},
        {"headers": TOKEN, "path": "/?a=1;Access.Token[]=x"},
        {"headers": TOKEN, "path": "/?%61ccess_token=x"},
        {"headers": TOKEN, "path": "/?" + "a&" * 3000},
        {"headers": TOKEN, "path": "/x/logout?a"},
        {"headers": TOKEN, "method": "OPTIONS"},
        {"headers": [*TOKEN, ("content-type", "Application/X-WWW-Form-Urlencoded")]},
    ],
)
def test_what_is_odd_is_asked_and_not_remembered(memory: Memory, odd: dict) -> None:
    asked = memory.ask(**odd)
    assert MINE not in asked.noted
    assert not was_given(asked)


_values = st.sampled_from(["a", "b", "a\tb", "ab", "a, b", "Bearer a"])
_heads = st.lists(
    st.tuples(st.sampled_from(["authorization", "cookie", "access-token", "x-other"]), _values),
    max_size=4,
    unique_by=lambda pair: pair[0],
)


@given(first=_heads, second=_heads, policies=st.tuples(*[st.sampled_from("pq")] * 2))
def test_a_yes_is_given_to_the_same_credential_under_the_same_policy_alone(
    tmp_path_factory: pytest.TempPathFactory, first: Headers, second: Headers, policies
) -> None:
    memory = Memory(tmp_path_factory.getbasetemp() / "revoked-of-keys")
    asked = memory.ask(first, policy=policies[0] * 32)
    if MINE not in asked.noted:
        return
    memory.answer(asked, grant_text(NOW_S + 9, (), (), ()))

    def credential(head: Headers) -> dict[str, str]:
        return {name: value for name, value in head if name != "x-other"}

    same = credential(first) == credential(second) and policies[0] == policies[1]
    assert was_given(memory.ask(second, policy=policies[1] * 32)) == same


def test_what_is_used_stays_and_the_rest_goes(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "revoked", entries=10)
    memory.give(TOKEN)
    for number in range(100):
        memory.give([("cookie", f"a={number}")])
        assert was_given(memory.ask(TOKEN))
    assert not was_given(memory.ask([("cookie", "a=0")]))
    assert was_given(memory.ask([("cookie", "a=99")]))


def test_a_flood_leaves_no_more_than_the_table_holds(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "revoked", entries=1000, limit_bytes=200_000)

    def used_kib() -> float:
        memory.script.lua.execute("collectgarbage() collectgarbage()")
        return float(memory.script.lua.eval('collectgarbage("count")'))

    before = used_kib()
    for number in range(3000):
        memory.give([("authorization", f"Bearer {number}-{'x' * 400}")], tags=(f"{number:08x}",))
    # Two halves of bytes, a kibibyte for each entry beside them, and what one costs to begin with.
    entries = 2 * 200_000 / 400
    assert used_kib() - before < 2 * 200_000 / 1024 + entries + 100


def test_a_fault_lets_the_request_be_asked(memory: Memory) -> None:
    ran = memory.script.request([(":method", "GET")], {"id": "x", "replay": "key=cookie"})
    assert "cannot be given again" in ran.logged[0]
    assert ran.noted == {}


@pytest.mark.parametrize(("took_s", "is_kept"), [(59, True), (60, False), (130, False)])
def test_an_answer_that_comes_late_is_not_remembered(
    memory: Memory, took_s: int, is_kept: bool
) -> None:
    asked = memory.ask(TOKEN)
    memory.at(NOW_S + took_s)
    memory.answer(asked, grant_text(NOW_S + 300, ("00ab",), (), ()))
    assert was_given(memory.ask(TOKEN)) == is_kept


def test_what_was_revoked_before_a_late_answer_stays_revoked(memory: Memory) -> None:
    asked = memory.ask(TOKEN)
    memory.file.write_text(EPOCHS[0] + "00ab\n")
    for second in range(1, 130):
        memory.at(NOW_S + second)
        memory.ask([("cookie", "another")])
    memory.answer(asked, grant_text(NOW_S + 300, ("00ab",), (), ()))
    assert not was_given(memory.ask(TOKEN))


def test_an_answer_from_another_epoch_is_not_remembered(memory: Memory) -> None:
    asked = memory.ask(TOKEN)
    memory.file.write_text(EPOCHS[0] + "00ab\n")
    memory.at(NOW_S + 1)
    memory.ask([("cookie", "another")])
    memory.file.write_text(EPOCHS[1])
    memory.at(NOW_S + 2)
    memory.ask([("cookie", "another")])
    memory.answer(asked, grant_text(NOW_S + 300, ("00ab",), (), ()))
    assert not was_given(memory.ask(TOKEN))


def test_a_key_that_is_cut_short_is_a_fault_and_means_asking(memory: Memory) -> None:
    for text in (f"policy={POLICY} key=access-token", f"policy={POLICY} key=a, cookie"):
        asked = memory.script.request(
            [(":method", "GET"), (":path", "/")], {"id": text, "replay": text}
        )
        assert len(asked.logged) == 1
        assert (asked.noted, asked.all("x-scopegate-decided")) == ({}, [])


@pytest.mark.parametrize("method", ["get", "FOO", "TRACE", "PROPFIND", "M-SEARCH"])
def test_other_methods_than_the_usual_are_asked_about(memory: Memory, method: str) -> None:
    memory.give(TOKEN)
    assert was_given(memory.ask(TOKEN, method="DELETE"))
    assert not was_given(memory.ask(TOKEN, method=method))


@pytest.mark.parametrize("path", ["/a?é=1", "/a b", "/\x7f", "/a?\t"])
def test_bytes_that_no_url_has_are_asked_about(memory: Memory, path: str) -> None:
    memory.give(TOKEN)
    assert was_given(memory.ask(TOKEN, path="/a?e=1"))
    assert not was_given(memory.ask(TOKEN, path=path))
