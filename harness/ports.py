"""Ports of this machine."""

from __future__ import annotations

import random
import socket
from itertools import islice

# Below the ports that Linux, macOS and Windows give to outgoing connections: one of these could take a port
# between the search and its use, or while a server restarts.
_OFFERED = range(20_000, 32_768)


def explain_taken(port: int) -> str | None:
    """Return why this process can't serve anything on a port, or ``None`` if it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def find_free_port() -> int:
    """Return a port that is free now, and that no outgoing connection takes."""
    return find_free_ports(1)[0]


def find_free_ports(count: int) -> list[int]:
    """Return different ports that are free now, and that no outgoing connection takes.

    Raises:
        OSError: There are not that many.
    """
    shuffled = random.sample(_OFFERED, len(_OFFERED))
    found = list(islice((port for port in shuffled if explain_taken(port) is None), count))
    if len(found) < count:
        raise OSError(f"fewer than {count} ports from {_OFFERED.start} to {_OFFERED.stop - 1} are free")
    return found
