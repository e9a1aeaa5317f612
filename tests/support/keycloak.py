"""A real Keycloak for a whole pytest session, with the realm of the story.

    def test_something(keycloak: Keycloak) -> None:
        keycloak.issuer, keycloak.client_id, keycloak.client_secret

A conftest.py imports the fixture; however many do, there is one Keycloak. Mark such tests `slow`
and `timeout(KEYCLOAK_TIMEOUT_S)`: the first one of a session waits for it to start.

Maven brings the distribution, which is unpacked once into the user's cache folder. Its database is
in memory, so that every start is a fresh Keycloak and several may run at once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.ports import free_port

VERSION = "26.4.0"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
REALM_SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "keycloak-realm"

KEYCLOAK_TIMEOUT_S = 900
DOWNLOAD_TIMEOUT_S = 600
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 15
LOG_TAIL_LINES = 30

ADMIN = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin"}
# Enough for one realm and a few users; without a bound the JVM takes a quarter of the machine.
HEAP = "-Xms64m -Xmx384m"


class KeycloakFailed(Exception):
    """Keycloak could not be had or did not start; the text says why, with the tail of its log."""


@dataclass(frozen=True)
class Keycloak:
    """A running Keycloak with the realm `kong`, as scripts/keycloak-realm makes it."""

    url: str
    client_id: str = "blog_post"
    client_secret: str = "blog_post_secret"

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/kong"

    @property
    def discovery_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"


_RUNNING = pytest.StashKey[Keycloak]()


@pytest.fixture(scope="session")
def keycloak(pytestconfig: pytest.Config) -> Keycloak:
    """The session's Keycloak; any address may be the gateway's."""
    if _RUNNING not in pytestconfig.stash:
        stack = ExitStack()
        pytestconfig.stash[_RUNNING] = stack.enter_context(running_keycloak())
        pytestconfig.add_cleanup(stack.close)
    return pytestconfig.stash[_RUNNING]


@contextmanager
def running_keycloak() -> Iterator[Keycloak]:
    """Keycloak on a free port, and its end. Raises KeycloakFailed."""
    home = distribution()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with TemporaryDirectory(prefix="scopegate-keycloak-") as folder:
        log = Path(folder, "keycloak.log")
        # The first start rewrites files of the distribution; nobody else may start meanwhile.
        with _locked(home.with_name(f"{home.name}.lock")):
            process = _start(home, port, log)
            try:
                _wait_until_ready(process, url, log)
            except BaseException:
                _stop(process)
                raise
        try:
            make_realm(url)
            yield Keycloak(url)
        finally:
            _stop(process)


def make_realm(url: str) -> None:
    """Run scripts/keycloak-realm. Raises KeycloakFailed."""
    # Keycloak has no pattern for any port, so any address at all.
    command = [sys.executable, str(REALM_SCRIPT), url, "--redirect-uri", "*"]
    done = subprocess.run(
        command, env=os.environ | ADMIN, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise KeycloakFailed(f"scripts/keycloak-realm failed: {done.stderr or done.stdout}")


def distribution() -> Path:
    """The folder of the unpacked distribution, brought here if need be. Raises KeycloakFailed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scopegate"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"keycloak-{VERSION}"
    with _locked(home.with_name(f"{home.name}.lock")):
        if not home.exists():
            with TemporaryDirectory(dir=cache) as folder:
                _unpack(_download(Path(folder)), Path(folder))
                # Renamed when complete: half a distribution is never taken for a whole one.
                Path(folder, home.name).rename(home)
    return home


def _download(folder: Path) -> Path:
    """The archive in `folder`, from Maven's own repository where it is there already."""
    if shutil.which("mvn") is None:
        raise KeycloakFailed("Maven is missing: install Debian's package maven")
    command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={folder}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KeycloakFailed(f"Maven did not end in {DOWNLOAD_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise KeycloakFailed(f"Maven could not bring {ARTIFACT}:\n{_tail(done.stdout)}")
    return next(folder.glob("*.zip"))


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as distribution:
        distribution.extractall(folder)
    archive.unlink()
    for script in folder.glob("*/bin/*.sh"):
        script.chmod(0o755)  # zipfile forgets it


def _start(home: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    command = [
        str(home / "bin" / "kc.sh"),
        "start-dev",
        f"--http-port={port}",
        "--http-host=127.0.0.1",
        "--db=dev-mem",
    ]
    with log.open("wb") as output:
        # A session of its own, because kc.sh is a shell that starts Java: both are to end.
        return subprocess.Popen(
            command,
            env=os.environ | ADMIN | {"JAVA_OPTS_KC_HEAP": HEAP},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise KeycloakFailed(
                f"Keycloak ended with status {process.returncode}:\n{_tail(log.read_text())}"
            )
        try:
            with urllib.request.urlopen(f"{url}/realms/master", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.25)
    raise KeycloakFailed(
        f"Keycloak was not ready after {START_TIMEOUT_S} s:\n{_tail(log.read_text())}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process group that `_start` made."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_TIMEOUT_S)
            break
        except subprocess.TimeoutExpired:
            continue


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes when the process does."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
