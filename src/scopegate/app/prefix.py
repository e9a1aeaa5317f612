"""The state folder: what lies where, and the lock that keeps it to one Scopegate."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scopegate.app.cannot_start import CannotStart

_MEMORY = Path("/dev/shm")  # noqa: S108 (tmpfs; the file is made anew, its owner's alone)
SOCKET_PATH_LIMIT_BYTES = 107
"""The longest path of a Unix socket: unix(7), `sun_path` is 108 bytes with its final zero."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Paths under the prefix."""

    root: Path

    @property
    def run(self) -> Path:
        """Sockets, lock and what else ends with the processes. Its owner's alone (0700)."""
        return self.root / "run"

    @property
    def policies(self) -> Path:
        """Compiled policies, a file each, for the policy workers. Its owner's alone (0700)."""
        return self.root / "policies"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def ssl(self) -> Path:
        """The made-up certificate and its key. Its owner's alone (0700)."""
        return self.root / "ssl"

    @property
    def shared_state(self) -> Path:
        """What the policy workers of this node remember together (SQLite)."""
        return self.root / "state.db"

    @property
    def revocations(self) -> Path:
        """What is over, for the proxy, which reads it often: in memory where it can be."""
        if not os.access(_MEMORY, os.W_OK | os.X_OK):
            return self.run / "revoked"
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return _MEMORY / f"scopegate-{os.getuid()}-{name}"

    @property
    def last_good(self) -> Path:
        """The last configuration that the proxy took, there while it refuses a newer one."""
        return self.root / "last-good.xds"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor while it lives; holds its pid."""
        return self.run / "lock"

    @property
    def draining(self) -> Path:
        """There from the moment the supervisor begins to end until the next start."""
        return self.run / "draining"

    @property
    def metrics(self) -> Path:
        """The numbers of all processes of this run."""
        return self.run / "metrics"

    @property
    def envoy_bootstrap(self) -> Path:
        return self.run / "envoy.json"

    @property
    def policy_socket(self) -> Path:
        """Envoy asks here; opened by the supervisor, shared by the policy workers."""
        return self.run / "policy.sock"

    @property
    def control_socket(self) -> Path:
        """Policy workers ask control here; opened by the supervisor."""
        return self.run / "control.sock"

    @property
    def xds_socket(self) -> Path:
        """Envoy gets its configuration here; opened by control."""
        return self.run / "xds.sock"

    @property
    def envoy_admin_socket(self) -> Path:
        """Envoy's own admin interface; opened by Envoy."""
        return self.run / "envoy-admin.sock"

    def prepare(self) -> None:
        """Make the folders. Raises CannotStart when that is not possible."""
        self.check_socket_paths()
        for folder in (self.root, self.run, self.metrics, self.policies, self.logs, self.ssl):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if folder not in (self.root, self.logs):
                    folder.chmod(0o700)
            except OSError as error:
                raise self._unusable(folder, error) from None
        for folder in (self.root, self.run):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise self._unusable(folder, PermissionError(0, "permission denied"))

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lock. Raises CannotStart when another Scopegate has it.

        The kernel takes the lock back when the process ends, however it ends. Yields whether the
        one before us was killed: its children may be about to end just now.
        """
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.read(handle, 20).decode("ascii", "replace").strip()
                raise CannotStart(
                    f"prefix: Scopegate already runs on {self.root} (process {pid or 'unknown'});"
                    " end it first, or set another prefix"
                ) from None
            was_killed = bool(os.read(handle, 1))
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            try:
                yield was_killed
            finally:
                os.ftruncate(handle, 0)
        finally:
            os.close(handle)

    def check_socket_paths(self) -> None:
        """Raises CannotStart when the prefix is too long for Unix sockets."""
        longest = max(
            len(os.fsencode(path))
            for path in (
                *(self.policy_socket, self.control_socket),
                *(self.xds_socket, self.envoy_admin_socket),
            )
        )
        if longest > SOCKET_PATH_LIMIT_BYTES:
            raise CannotStart(
                f"prefix: the path {self.root} is {longest - SOCKET_PATH_LIMIT_BYTES} bytes too"
                " long for the sockets in it; set a shorter prefix, such as /tmp/scopegate"
            )

    def _unusable(self, folder: Path, error: OSError) -> CannotStart:
        reason = (error.strerror or "it cannot be used").lower()
        if isinstance(error, FileExistsError):
            return CannotStart(f"prefix: {folder} is no folder; set another prefix")
        return CannotStart(
            f"prefix: {folder}: {reason}; make {self.root} writable for this user, or set another"
            " prefix"
        )
