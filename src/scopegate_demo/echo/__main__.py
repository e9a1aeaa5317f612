"""python -m scopegate_demo.echo: the echo upstream on a port, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from scopegate_demo.echo.server import EchoUpstream
from scopegate_demo.serving import serve


def run(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = 8081,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """An upstream that answers with what it was asked: try /anything."""
    echo = EchoUpstream(host=host, port=port)
    serve(echo, lambda: f"echo upstream: {echo.url}/anything; Ctrl-C ends it")


if __name__ == "__main__":
    typer.run(run)
