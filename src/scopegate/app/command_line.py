"""The command line: `scopegate start | demo | check | version`.

Exit codes: 0 done, or ended when asked to; 1 it cannot run; 2 wrong settings or arguments.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import scopegate
from scopegate.app.cannot_start import CannotStart, SettingsError
from scopegate.app.settings.settings import load_settings

CANNOT_RUN = 1
WRONG_SETTINGS = 2

application = typer.Typer(
    name="scopegate",
    help=(
        "An API gateway in which the identity provider decides who gets in.\n\n"
        "- See it work: `scopegate demo`\n"
        "- Run it: `scopegate start`\n"
        "- Tell it what to do: `http POST localhost:8001/services name=blog url=http://httpbin.org`"
    ),
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Conf = Annotated[
    Path | None,
    typer.Option(
        "--conf",
        "-c",
        metavar="FILE",
        help="Settings file; without it ./scopegate.conf or /etc/scopegate/scopegate.conf, if any.",
        show_default=False,
    ),
]


@application.command(
    epilog="Examples:\n"
    "- `scopegate start`\n"
    "- `scopegate start -c /etc/scopegate/scopegate.conf`\n"
    "- `SCOPEGATE_PROXY_LISTEN=0.0.0.0:80 SCOPEGATE_LOG_LEVEL=debug scopegate start`"
)
def start(conf: Conf = None) -> None:
    """Run the gateway in the foreground.

    It is ready when GET /status/ready on the status listener (127.0.0.1:8007) answers 200. It logs
    to stderr. Ctrl-C or SIGTERM ends it once requests under way are done (drain_timeout_s at
    most); a second one ends it at once.

    Every setting can stand in a file (see scopegate.conf.default) or in the environment as
    `SCOPEGATE_<NAME>`; names are Kong's.
    """
    # Imported here: `scopegate --help` need not wait for it.
    from scopegate.app.start import start as run

    raise typer.Exit(run(load_settings(conf)))


@application.command(epilog="Example: `scopegate demo --proxy-port 9000`")
def demo(
    *,
    proxy_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The proxy, plain.")
    ] = 8000,
    tls_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The proxy, TLS.")
    ] = 8443,
    admin_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The Admin API.")
    ] = 8001,
    status_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Status and metrics.")
    ] = 8007,
    idp_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The demo identity provider.")
    ] = 8080,
    echo_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The demo upstream.")
    ] = 8081,
) -> None:
    """See the story work: a gateway, an identity provider, an upstream, two users.

    Everything runs on this machine and ends with Ctrl-C. What you change through the Admin API is
    kept in .scopegate/demo until the next start puts the story's route back as it was.
    """
    from scopegate.app.demo import Ports, run_demo

    ports = Ports(
        proxy=proxy_port,
        tls=tls_port,
        admin=admin_port,
        status=status_port,
        idp=idp_port,
        echo=echo_port,
    )
    raise typer.Exit(run_demo(ports))


@application.command(epilog="Example: `scopegate check -c scopegate.conf && echo fine`")
def check(conf: Conf = None) -> None:
    """Say whether it would start: settings, ports, folders, certificate, proxy.

    Changes nothing. The exit code is 0 when all is well.
    """
    from scopegate.app.check import check as look

    console = Console(highlight=False, soft_wrap=True)
    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]![/]"}
    well = True
    for verdict in look(load_settings(conf)):
        console.print(f"{marks[verdict.ok]} {escape(verdict.what)}")
        well = well and verdict.ok is not False
    if not well:
        raise typer.Exit(CANNOT_RUN)


@application.command()
def version() -> None:
    """Say which versions are at work."""
    from scopegate.app.processes.envoy_child import envoy_version

    typer.echo(f"scopegate {scopegate.__version__}")
    typer.echo(f"envoy {envoy_version()}")
    typer.echo(f"python {platform.python_version()}")


def main() -> None:
    """Run the command; what cannot be done is said in a line, never in a traceback."""
    try:
        application()
    except CannotStart as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for line in error.lines:
            console.print(f"[bold red]scopegate:[/] {escape(line)}")
        sys.exit(WRONG_SETTINGS if isinstance(error, SettingsError) else CANNOT_RUN)
    except OSError as error:
        # A full or read-only disk, most likely.
        where = f"{error.filename}: " if error.filename else ""
        reason = (error.strerror or "it cannot be used").lower()
        typer.echo(f"scopegate: {where}{reason}", err=True)
        sys.exit(CANNOT_RUN)
    except KeyboardInterrupt:
        sys.exit(130)
