"""python -m scopegate_demo.idp: the demo identity provider on a port, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from scopegate_demo.idp.ledger import Lifetimes
from scopegate_demo.idp.realm import LOOPBACK_REDIRECT_URIS, STORY_PASSWORD, story_realm
from scopegate_demo.idp.server import DemoIdp
from scopegate_demo.serving import serve


def _issuer(value: str | None) -> str | None:
    if value is None:
        return None
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise typer.BadParameter(
            "expected a URL like http://localhost:8080/realms/kong, without query and fragment"
        )
    return value


def run(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    issuer: Annotated[
        str | None,
        typer.Option(
            help="The issuer, when browsers and gateways know it by another name.",
            callback=_issuer,
        ),
    ] = None,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option(
            help="Where browsers may be sent back to, with * at its end for all that begins so. "
            "May be given several times. Without it: any port of this machine."
        ),
    ] = None,
    access_token_s: Annotated[
        int, typer.Option(min=1, help="Seconds that an access token is good for.")
    ] = Lifetimes().access_token_s,
    misbehave: Annotated[
        bool, typer.Option(help="Let anybody tell it to misbehave, at /misbehave. For tests.")
    ] = False,
) -> None:
    """A demo OpenID provider with the users Blog_with_scope and Blog_without_scope.

    It is shaped like Keycloak and forgets everything when it ends. Not for production.
    """
    idp = DemoIdp(
        host=host,
        port=port,
        issuer=issuer,
        realm=story_realm(tuple(redirect_uri or LOOPBACK_REDIRECT_URIS)),
        lifetimes=Lifetimes(access_token_s=access_token_s),
        misbehave=misbehave,
    )

    def greeting() -> str:
        users = " and ".join(user.username for user in idp.realm.users)
        return (
            f"demo identity provider: {idp.issuer}\n"
            f"users: {users}, password {STORY_PASSWORD}; Ctrl-C ends it"
        )

    serve(idp, greeting)


if __name__ == "__main__":
    typer.run(run)
