"""Ports that are offered to the user, and to tests."""

from __future__ import annotations

import socket

import pytest

from harness import ports


def test_offered_ports_are_free_different_and_never_given_to_a_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ports that a system gives to outgoing connections are not offered: one could take them first."""
    assert ports._OFFERED.stop <= 32_768
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.find_free_port()))
        taken.listen()
        used = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_OFFERED", range(used, used + 40))
        found = ports.find_free_ports(3)
        assert used not in found
        assert len(set(found)) == len(found) == 3
        monkeypatch.setattr(ports, "_OFFERED", range(used, used + 1))
        with pytest.raises(OSError, match="fewer than 1 ports"):
            ports.find_free_port()
