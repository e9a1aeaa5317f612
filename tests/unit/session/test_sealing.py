import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.session import sealing
from scopegate.session.sealing import (
    SEALED_LIMIT_CHARS,
    KeyRing,
    Purpose,
    RingKey,
    TooLargeToSeal,
    associated,
    decode_base64url,
    encode_base64url,
    mark_of,
    root_from_cluster_secret,
    root_from_secret,
)
from unit.session.examples import NOW_S, OTHER_ROOT, ROOT, random_source, ring

DATA = associated("session", "default")


def seal(plaintext: bytes = b"the plaintext", seed: int = 1, keys: KeyRing | None = None) -> str:
    return (keys or ring()).seal(plaintext, Purpose.SESSION, DATA, random_bytes=random_source(seed))


def unseal(sealed: str, keys: KeyRing | None = None, now_s: int = NOW_S) -> bytes | None:
    return (keys or ring()).unseal(sealed, Purpose.SESSION, DATA, now_s=now_s)


@given(st.binary(max_size=2000))
def test_what_was_sealed_opens_and_needs_no_escaping_in_a_cookie(plaintext: bytes) -> None:
    sealed = seal(plaintext)
    assert unseal(sealed) == plaintext
    assert sealed.replace("-", "").replace("_", "").isalnum()


@given(st.binary(max_size=50), st.binary(min_size=32, max_size=32), st.integers(0, 99))
def test_a_sealed_text_begins_with_its_keys_mark(plaintext: bytes, root: bytes, seed: int) -> None:
    sealed = seal(plaintext, seed, KeyRing([RingKey(root)]))
    assert sealed.startswith(mark_of(root))
    assert mark_of(root) != mark_of(OTHER_ROOT)


def test_the_text_holds_nothing_of_the_plaintext_and_differs_each_time() -> None:
    first, second = seal(b"secret" * 10, 1), seal(b"secret" * 10, 2)
    assert first != second
    assert b"secret" not in (decode_base64url(first) or b"")
    assert (decode_base64url(first) or b"")[21:] != (decode_base64url(second) or b"")[21:]


def test_every_flipped_bit_of_the_message_keeps_it_shut() -> None:
    message = decode_base64url(seal())
    assert message is not None
    for position in range(len(message)):
        for bit in range(8):
            changed = bytearray(message)
            changed[position] ^= 1 << bit
            assert unseal(encode_base64url(bytes(changed))) is None, (position, bit)


def test_every_other_character_at_every_place_keeps_it_shut() -> None:
    # Base64 has several spellings of the same bytes at its end: only one may open.
    sealed = seal()
    for position in range(len(sealed)):
        for character in "ABab01-_=+/ \n":
            changed = sealed[:position] + character + sealed[position + 1 :]
            if changed != sealed:
                assert unseal(changed) is None, (position, character)


@given(st.text(max_size=200))
def test_any_text_at_all_is_answered_with_none(text: str) -> None:
    assert unseal(text) is None


@given(st.binary(min_size=0, max_size=200))
def test_any_bytes_at_all_are_answered_with_none(data: bytes) -> None:
    assert unseal(encode_base64url(b"\x01" + data)) is None


def test_a_cut_or_lengthened_text_stays_shut() -> None:
    sealed = seal()
    assert all(unseal(sealed[:length]) is None for length in range(len(sealed)))
    assert unseal(sealed + "A") is None
    assert unseal(sealed + "AAAA") is None


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.SESSION])
def test_a_text_of_one_purpose_does_not_open_for_another(purpose: Purpose) -> None:
    assert ring().unseal(seal(), purpose, DATA, now_s=NOW_S) is None


def test_other_associated_data_keeps_it_shut() -> None:
    assert (
        ring().unseal(seal(), Purpose.SESSION, associated("session", "other"), now_s=NOW_S) is None
    )


def test_parts_of_associated_data_cannot_run_into_each_other() -> None:
    assert associated("ab", "c") != associated("a", "bc")
    assert associated("a", "") != associated("a")
    assert associated("\ud800") != associated("\udc80")


def test_another_root_keeps_it_shut() -> None:
    assert unseal(seal(), ring(OTHER_ROOT)) is None


def test_a_former_key_opens_until_its_time_is_over_and_never_seals() -> None:
    sealed_before = seal()
    rotated = ring(OTHER_ROOT, RingKey(ROOT, not_after_s=NOW_S + 10))
    assert unseal(sealed_before, rotated, NOW_S + 9) == b"the plaintext"
    assert unseal(sealed_before, rotated, NOW_S + 10) is None
    sealed_after = seal(keys=rotated)
    assert unseal(sealed_after, rotated) == b"the plaintext"
    assert unseal(sealed_after, ring(ROOT)) is None
    assert not rotated.is_current(sealed_before)
    assert rotated.is_current(sealed_after)


def test_a_key_that_comes_back_opens_for_good() -> None:
    keys = ring(ROOT, RingKey(OTHER_ROOT, NOW_S + 10), RingKey(ROOT, NOW_S - 5))
    assert unseal(seal(), keys, NOW_S + 1000) == b"the plaintext"


def test_the_size_is_bounded_both_ways() -> None:
    largest = SEALED_LIMIT_CHARS * 3 // 4 - 37
    sealed = seal(bytes(largest))
    assert len(sealed) == SEALED_LIMIT_CHARS
    assert unseal(sealed) == bytes(largest)
    with pytest.raises(TooLargeToSeal):
        seal(bytes(largest + 1))


def test_a_text_over_the_limit_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal()
    monkeypatch.setattr(sealing, "SEALED_LIMIT_CHARS", len(sealed) - 1)
    assert unseal(sealed) is None


def test_a_configured_secret_of_32_bytes_is_the_root_and_others_are_hashed() -> None:
    assert root_from_secret("x" * 32) == b"x" * 32
    assert root_from_secret("ü" * 16) == "ü".encode() * 16
    for secret in ("x", "x" * 31, "x" * 33, "ü" * 32):
        assert root_from_secret(secret) == hashlib.sha256(secret.encode()).digest()
    with pytest.raises(ValueError, match="session_secret"):
        root_from_secret("")


def test_the_cluster_secret_is_hex_of_32_bytes_or_more() -> None:
    assert root_from_cluster_secret("ab" * 32) == b"\xab" * 32
    for bad in ("", "ab" * 31, "not hex"):
        with pytest.raises(ValueError):
            root_from_cluster_secret(bad)


def test_a_ring_that_could_not_seal_or_would_open_for_ever_is_refused() -> None:
    with pytest.raises(ValueError, match="current"):
        KeyRing([])
    with pytest.raises(ValueError, match="current"):
        KeyRing([RingKey(ROOT, not_after_s=NOW_S)])
    with pytest.raises(ValueError, match="not_after_s"):
        KeyRing([RingKey(ROOT), RingKey(OTHER_ROOT)])
    with pytest.raises(ValueError, match="at least 32"):
        RingKey(b"short")


def test_no_root_shows_in_a_repr() -> None:
    assert repr(RingKey(b"r" * 32)) == "RingKey(not_after_s=None)"
