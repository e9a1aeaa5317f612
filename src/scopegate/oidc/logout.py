"""Sending the browser to the identity provider to end its session there.

Source: OpenID Connect RP-Initiated Logout 1.0 §2; contract openid-connect.md §13.
"""

from __future__ import annotations

from scopegate.oidc.endpoint_url import Parameter, with_parameters

_RESERVED = frozenset({"id_token_hint", "client_id", "post_logout_redirect_uri", "state"})


def end_session_url(
    endpoint: str,
    *,
    client_id: str | None,
    id_token_hint: str | None = None,
    post_logout_redirect_uri: str | None = None,
    state: str | None = None,
) -> str:
    """The URL to send the browser to. It may hold an ID token: not for logs.

    client_id goes along always, so that the identity provider can check the redirect URI without a
    hint, too. `state` comes back to post_logout_redirect_uri, and is left out without one.
    """
    parameters: list[Parameter] = []
    if id_token_hint is not None:
        parameters.append(("id_token_hint", id_token_hint))
    if client_id is not None:
        parameters.append(("client_id", client_id))
    if post_logout_redirect_uri is not None:
        parameters.append(("post_logout_redirect_uri", post_logout_redirect_uri))
        if state is not None:
            parameters.append(("state", state))
    return with_parameters(endpoint, parameters, reserved=_RESERVED)
