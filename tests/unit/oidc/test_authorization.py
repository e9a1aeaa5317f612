"""The authorization request and the response to it; logging out uses the same URL rules."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.oidc.authorization import (
    AuthorizationRequest,
    accept_authorization_response,
    authorization_url,
    code_challenge,
    read_authorization_response,
)
from scopegate.oidc.endpoint_url import with_parameters
from scopegate.oidc.errors import IdpRefused, IdpUnavailable, OidcError
from scopegate.oidc.logout import end_session_url
from scopegate.oidc.reasons import Reason
from unit.oidc.forging import ISSUER, OTHER_ISSUER
from unit.oidc.vectors import CODE_CHALLENGE, CODE_VERIFIER

ENDPOINT = "https://idp.example/auth"
REQUEST = AuthorizationRequest(
    client_id="blog_post",
    redirect_uri="http://localhost:8000/oidc a?x=1&y=ü",
    scopes=("openid", "email"),
    state="st",
    nonce="no",
    code_verifier=CODE_VERIFIER,
)
OURS = {
    "response_type": "code",
    "client_id": "blog_post",
    "redirect_uri": "http://localhost:8000/oidc a?x=1&y=ü",
    "scope": "openid email",
    "state": "st",
    "nonce": "no",
    "code_challenge": CODE_CHALLENGE,
    "code_challenge_method": "S256",
}


def query(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs)), "a parameter is sent twice"
    return dict(pairs)


class TestRequest:
    def test_it_asks_for_a_code_with_state_nonce_and_pkce(self) -> None:
        url = authorization_url(ENDPOINT, REQUEST)
        assert url.startswith(ENDPOINT + "?")
        assert query(url) == OURS
        assert CODE_VERIFIER not in url

    def test_what_is_not_wanted_is_not_sent(self) -> None:
        bare = AuthorizationRequest("c", "http://x/", (), "s", None, None)
        assert set(query(authorization_url(ENDPOINT, bare))) == {
            "response_type",
            "client_id",
            "redirect_uri",
            "state",
        }

    def test_everything_that_is_wanted_is_sent(self) -> None:
        full = AuthorizationRequest(
            "c", "http://x/", ("a",), "s", "n", None, "form_post", ("api", "b"), 0
        )
        sent = query(authorization_url(ENDPOINT, full))
        assert sent["response_mode"] == "form_post"
        assert sent["audience"] == "api b"
        assert sent["max_age"] == "0"

    def test_the_endpoints_own_query_stays_as_it_is_written(self) -> None:
        url = authorization_url(f"{ENDPOINT}?p=B2C_1%20a+b&flag", REQUEST)
        assert urlsplit(url).query.startswith("p=B2C_1%20a+b&flag&response_type=code")

    def test_nothing_overrides_ours(self) -> None:
        mean = "&".join(f"{name}=evil" for name in OURS)
        extra = [(name, "evil") for name in OURS]
        url = authorization_url(f"{ENDPOINT}?{mean}&%73tate=evil#fragment", REQUEST, extra)
        assert query(url) == OURS
        assert urlsplit(url).fragment == ""

    def test_extra_parameters_are_added_once_and_never_replace_the_endpoints(self) -> None:
        extra = [("login_hint", "a&b=c"), ("login_hint", "second"), ("p", "other")]
        url = authorization_url(f"{ENDPOINT}?p=own", REQUEST, extra)
        assert query(url) == {"p": "own", **OURS, "login_hint": "a&b=c"}

    @pytest.mark.parametrize(
        "name",
        ["request", "request_uri", "nonce", "code_challenge", "response_mode", "redirect_uri"],
    )
    def test_an_extra_parameter_cannot_be_one_of_ours_even_if_we_send_none(self, name: str) -> None:
        bare = AuthorizationRequest("c", "http://x/", (), "s", None, None)
        url = authorization_url(ENDPOINT, bare, [(name, "evil")])
        assert "evil" not in url

    def test_no_secret_is_in_its_repr(self) -> None:
        shown = repr(AuthorizationRequest("c", "u", (), "st4te", "n0nce", CODE_VERIFIER))
        assert "st4te" not in shown
        assert "n0nce" not in shown
        assert CODE_VERIFIER not in shown

    @given(
        st.lists(
            st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
        ),
        st.lists(
            st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
        ),
    )
    def test_whatever_is_added_ours_arrive(
        self, ours: list[tuple[str, str]], extra: list[tuple[str, str]]
    ) -> None:
        url = with_parameters("https://idp.example/x?a=1", ours, extra)
        assert url.isascii()
        found = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        for name, value in dict(ours).items():
            assert found[name] == value


class TestPkce:
    def test_the_challenge_of_rfc_7636_appendix_b(self) -> None:
        assert code_challenge(CODE_VERIFIER) == CODE_CHALLENGE

    @pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 42 + "+", "a" * 43 + "\n"])
    def test_a_weak_or_odd_verifier_is_refused(self, verifier: str) -> None:
        with pytest.raises(ValueError):
            code_challenge(verifier)


def refusal(*parameters: tuple[str, str]) -> OidcError:
    with pytest.raises(OidcError) as caught:
        read_authorization_response(parameters)
    return caught.value


class TestResponse:
    def test_a_code_is_read_whatever_else_comes_along(self) -> None:
        response = read_authorization_response(
            [("x", "1"), ("state", "s"), ("code", "c"), ("x", "2"), ("session_state", "y")]
        )
        assert (response.state, response.code, response.iss) == ("s", "c", None)
        assert accept_authorization_response(response, issuers=[ISSUER], iss_promised=False) == "c"

    @pytest.mark.parametrize("name", ["state", "code", "iss", "error", "error_description"])
    def test_a_repeated_parameter_is_refused(self, name: str) -> None:
        error = refusal(("state", "s"), ("code", "c"), (name, "v1"), (name, "v1"))
        assert isinstance(error, IdpRefused)
        assert error.reason == Reason.CALLBACK_PARAMETER_REPEATED
        assert "v1" not in error.detail

    @pytest.mark.parametrize(
        "parameters",
        [
            [],
            [("code", "c")],
            [("state", ""), ("code", "c")],
            [("state", "s")],
            [("state", "s"), ("code", "c"), ("error", "e")],
            [("state", "s"), ("code", "")],
            [("state", "s"), ("code", "a\x00b")],
            [("state", "s"), ("code", "ü")],
            [("state", "s"), ("code", "c\n")],
        ],
    )
    def test_what_is_no_response_is_refused(self, parameters: list[tuple[str, str]]) -> None:
        assert refusal(*parameters).reason == Reason.CALLBACK_INVALID

    @pytest.mark.parametrize("name", ["state", "code", "iss"])
    def test_a_parameter_without_bound_is_refused(self, name: str) -> None:
        parameters = {"state": "s", "code": "c", name: "x" * 8193}
        assert refusal(*parameters.items()).reason == Reason.CALLBACK_PARAMETER_TOO_LARGE

    def accept(self, *, promised: bool, **parameters: str) -> str:
        response = read_authorization_response([("state", "s"), *parameters.items()])
        return accept_authorization_response(response, issuers=[ISSUER], iss_promised=promised)

    @pytest.mark.parametrize("promised", [True, False])
    def test_the_right_issuer_passes(self, promised: bool) -> None:
        assert self.accept(promised=promised, code="c", iss=ISSUER) == "c"

    @pytest.mark.parametrize("promised", [True, False])
    @pytest.mark.parametrize("iss", [OTHER_ISSUER, ISSUER + "/", ""])
    def test_another_issuer_is_refused_promised_or_not(self, promised: bool, iss: str) -> None:
        with pytest.raises(IdpRefused) as caught:
            self.accept(promised=promised, code="c", iss=iss)
        assert caught.value.reason == Reason.CALLBACK_ISS_MISMATCH

    def test_a_promised_issuer_must_be_there(self) -> None:
        with pytest.raises(IdpRefused) as caught:
            self.accept(promised=True, code="c")
        assert caught.value.reason == Reason.CALLBACK_ISS_MISSING

    def test_an_error_of_another_issuer_is_refused_for_its_issuer(self) -> None:
        with pytest.raises(IdpRefused) as caught:
            self.accept(promised=False, error="access_denied", iss=OTHER_ISSUER)
        assert caught.value.reason == Reason.CALLBACK_ISS_MISMATCH

    @pytest.mark.parametrize(
        ("error", "kind", "reason"),
        [
            ("access_denied", IdpRefused, Reason.ACCESS_DENIED),
            ("login_required", IdpRefused, Reason.LOGIN_REFUSED),
            ("made up\nby somebody", IdpRefused, Reason.LOGIN_REFUSED),
            ("", IdpRefused, Reason.LOGIN_REFUSED),
            ("server_error", IdpUnavailable, Reason.LOGIN_REFUSED),
            ("temporarily_unavailable", IdpUnavailable, Reason.LOGIN_REFUSED),
        ],
    )
    def test_an_error_is_a_refusal_and_a_failure_is_unavailability(
        self, error: str, kind: type[OidcError], reason: Reason
    ) -> None:
        with pytest.raises(kind) as caught:
            self.accept(promised=False, error=error, error_description="why\nnot")
        assert caught.value.reason == reason
        assert caught.value.detail.isprintable()
        assert "why\ufffdnot" in caught.value.detail

    def test_nothing_secret_is_in_its_repr(self) -> None:
        shown = repr(read_authorization_response([("state", "st4te"), ("code", "c0de")]))
        assert "st4te" not in shown
        assert "c0de" not in shown

    @given(
        st.lists(
            st.tuples(st.sampled_from(["state", "code", "iss", "error", "x"]), st.text(max_size=5))
        )
    )
    def test_any_parameters_give_a_code_or_a_reason(self, parameters: Any) -> None:
        try:
            response = read_authorization_response(parameters)
            code = accept_authorization_response(response, issuers=[ISSUER], iss_promised=False)
        except OidcError as error:
            assert error.reason
        else:
            assert ("code", code) in parameters


class TestEndSession:
    def test_everything_is_sent(self) -> None:
        url = end_session_url(
            "https://idp.example/logout?x=1",
            client_id="c",
            id_token_hint="h.i.nt",
            post_logout_redirect_uri="https://app.example/bye?a=b",
            state="s",
        )
        assert query(url) == {
            "x": "1",
            "id_token_hint": "h.i.nt",
            "client_id": "c",
            "post_logout_redirect_uri": "https://app.example/bye?a=b",
            "state": "s",
        }

    def test_without_a_session_the_client_id_is_enough(self) -> None:
        assert query(end_session_url("https://idp.example/logout", client_id="c")) == {
            "client_id": "c"
        }

    def test_state_needs_somewhere_to_come_back_to(self) -> None:
        url = end_session_url("https://idp.example/logout", client_id="c", state="s")
        assert "state" not in query(url)
