"""ID tokens, and that a refreshed one speaks of the same person."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scopegate.oidc.claim_checks import IdTokenRules
from scopegate.oidc.errors import TokenRefused
from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import (
    check_same_issuer,
    check_same_subject,
    read_id_token,
    verify_id_token,
)
from unit.oidc import vectors
from unit.oidc.forged_tokens import (
    ATTACKER,
    ID_RULES,
)
from unit.oidc.forging import (
    CLIENT_ID,
    KEYS,
    NOW_S,
    OTHER_ISSUER,
    id_claims,
    signed,
)


class TestIdToken:
    """OpenID Connect Core §3.1.3.7."""

    def refusal(self, token: str, rules: IdTokenRules = ID_RULES) -> TokenRefused:
        with pytest.raises(TokenRefused) as caught:
            verify_id_token(token, rules, KEYS, NOW_S)
        with pytest.raises(TokenRefused) as read:
            read_id_token(token, rules, NOW_S)
        # Without the signature the same is refused for the same reason.
        assert read.value.reason == caught.value.reason
        return caught.value

    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"aud": [CLIENT_ID]},
            {"azp": CLIENT_ID},
            {"aud": [CLIENT_ID, "api"], "azp": CLIENT_ID},
            {"typ": "ID"},
            {"token_use": "id"},
        ],
    )
    def test_a_good_one_is_accepted(self, claims: dict[str, Any]) -> None:
        token = signed(id_claims(**claims))
        assert verify_id_token(token, ID_RULES, KEYS, NOW_S).claims["sub"] == "user-1"
        assert read_id_token(token, ID_RULES, NOW_S).jwk is None

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"iss": OTHER_ISSUER}, Reason.ISSUER_NOT_ALLOWED),
            ({"sub": ...}, Reason.SUB_INVALID),
            ({"sub": ""}, Reason.SUB_INVALID),
            ({"sub": 1}, Reason.SUB_INVALID),
            ({"exp": ...}, Reason.EXP_MISSING),
            ({"exp": int(NOW_S)}, Reason.TOKEN_EXPIRED),
            ({"iat": ...}, Reason.IAT_MISSING),
            ({"iat": "x"}, Reason.IAT_INVALID),
            ({"aud": ...}, Reason.AUDIENCE_MISMATCH),
            ({"aud": "other"}, Reason.AUDIENCE_MISMATCH),
            ({"aud": []}, Reason.AUDIENCE_MISMATCH),
            ({"aud": {}}, Reason.AUD_INVALID),
            ({"aud": [CLIENT_ID, "other"]}, Reason.AZP_MISSING),
            ({"azp": "other"}, Reason.AZP_MISMATCH),
            ({"azp": None}, Reason.AZP_MISMATCH),
            ({"azp": [CLIENT_ID]}, Reason.AZP_MISMATCH),
            ({"nonce": ...}, Reason.NONCE_MISSING),
            ({"nonce": None}, Reason.NONCE_MISSING),
            ({"nonce": "other"}, Reason.NONCE_MISMATCH),
            ({"nonce": ["n-0S6_WzA2Mj"]}, Reason.NONCE_MISMATCH),
            ({"nonce": "ü"}, Reason.NONCE_MISMATCH),
            ({"typ": "Bearer"}, Reason.ACCESS_TOKEN_PRESENTED),
            ({"typ": "Refresh"}, Reason.REFRESH_TOKEN_PRESENTED),
            ({"token_use": "access"}, Reason.ACCESS_TOKEN_PRESENTED),
            ({"events": {}}, Reason.LOGOUT_TOKEN_PRESENTED),
        ],
    )
    def test_a_bad_one_is_refused_for_its_own_reason(
        self, claims: dict[str, Any], reason: Reason
    ) -> None:
        error = self.refusal(signed(id_claims(**claims)))
        assert error.reason == reason
        assert "n-0S6_WzA2Mj" not in error.detail

    @pytest.mark.parametrize(
        ("typ", "reason"),
        [
            ("at+jwt", Reason.ACCESS_TOKEN_PRESENTED),
            ("logout+jwt", Reason.LOGOUT_TOKEN_PRESENTED),
            ("token-introspection+jwt", Reason.INTROSPECTION_ANSWER_PRESENTED),
            ("id+jwt", Reason.TYPE_UNKNOWN),
        ],
    )
    def test_another_type_is_refused(self, typ: str, reason: Reason) -> None:
        assert self.refusal(signed(id_claims(), typ=typ)).reason == reason

    def test_no_nonce_was_sent_so_none_is_needed(self) -> None:
        rules = dataclasses.replace(ID_RULES, nonce=None)
        assert verify_id_token(signed(id_claims(nonce=...)), rules, KEYS, NOW_S).jwk

    def test_at_hash_binds_the_access_token(self) -> None:
        rules = dataclasses.replace(ID_RULES, access_token=vectors.AT_HASH_ACCESS_TOKEN)
        good = signed(id_claims(at_hash=vectors.AT_HASH))
        assert verify_id_token(good, rules, KEYS, NOW_S).jwk
        other = dataclasses.replace(rules, access_token="another")
        assert self.refusal(good, other).reason == Reason.AT_HASH_MISMATCH
        for at_hash in (None, "", 1, vectors.AT_HASH + "="):
            bad = signed(id_claims(at_hash=at_hash))
            assert self.refusal(bad, rules).reason == Reason.AT_HASH_MISMATCH
        assert verify_id_token(signed(id_claims()), rules, KEYS, NOW_S).jwk

    def test_max_age_wants_auth_time(self) -> None:
        rules = dataclasses.replace(ID_RULES, max_age_s=60)
        assert self.refusal(signed(id_claims()), rules).reason == Reason.AUTH_TIME_MISSING
        old = signed(id_claims(auth_time=int(NOW_S) - 61))
        assert self.refusal(old, rules).reason == Reason.LOGIN_TOO_OLD

    def test_hd_must_be_an_allowed_domain(self) -> None:
        rules = dataclasses.replace(ID_RULES, domains=("example.com",))
        assert verify_id_token(signed(id_claims(hd="example.com")), rules, KEYS, NOW_S).jwk
        for hd in ("example.org", ..., ["example.com"]):
            token = signed(id_claims(hd=hd))
            assert self.refusal(token, rules).reason == Reason.DOMAIN_NOT_ALLOWED

    def test_without_claims_nonce_and_at_hash_are_checked_all_the_same(self) -> None:
        rules = dataclasses.replace(ID_RULES, check_claims=False, access_token="t")
        assert verify_id_token(signed(id_claims(exp=1, aud="x")), rules, KEYS, NOW_S).jwk
        assert self.refusal(signed(id_claims(nonce="x")), rules).reason == Reason.NONCE_MISMATCH
        bad = signed(id_claims(at_hash="x"))
        assert self.refusal(bad, rules).reason == Reason.AT_HASH_MISMATCH

    def test_a_forged_signature_is_refused_unless_the_token_came_by_the_back_channel(self) -> None:
        forged = signed(id_claims(), ATTACKER)
        with pytest.raises(TokenRefused) as caught:
            verify_id_token(forged, ID_RULES, KEYS, NOW_S)
        assert caught.value.reason == Reason.SIGNATURE_INVALID
        assert read_id_token(forged, ID_RULES, NOW_S).claims == id_claims()


class TestSubject:
    """OpenID Connect Core §5.3.2 and §12.2."""

    def test_the_same_user_of_the_same_issuer_passes(self) -> None:
        check_same_issuer(id_claims()["iss"], id_claims(nonce=..., iat=1), "id token")
        check_same_subject("user-1", {"sub": "user-1"})

    @pytest.mark.parametrize("sub", ["user-2", "User-1", "", None, 1, ["user-1"]])
    def test_another_user_is_refused(self, sub: Any) -> None:
        with pytest.raises(TokenRefused) as caught:
            check_same_subject(id_claims()["sub"], id_claims(sub=sub))
        assert caught.value.reason == Reason.SUBJECT_CHANGED

    @pytest.mark.parametrize("sub", ["", None, 1])
    def test_nobody_is_never_the_same_as_nobody(self, sub: Any) -> None:
        with pytest.raises(TokenRefused) as caught:
            check_same_subject(sub, {"sub": sub})
        assert caught.value.reason == Reason.SUBJECT_CHANGED

    def test_another_issuer_is_refused(self) -> None:
        with pytest.raises(TokenRefused) as caught:
            check_same_issuer(id_claims()["iss"], id_claims(iss=OTHER_ISSUER), "id token")
        assert caught.value.reason == Reason.ISSUER_CHANGED
