"""Free TCP ports on loopback."""

from __future__ import annotations

import random
import socket

# Below the range from which the kernel takes ports of outgoing connections: a port that is
# free now is not given to somebody's client before the server that asked for it has bound it.
RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago, all different, and others than a neighbour gets."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
