"""Whether the source ports of a scan are its own: sockets of programs, and ports that the kernel may choose."""

import socket
from pathlib import Path

import pytest

from liveness.net import ephemeral
from liveness.net.port_users import bound_ports, shared_ports
from tests.net.support import in_private_network

pytestmark = pytest.mark.lab

LOCAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
RESERVED = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
        (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
        (socket.AF_INET6, socket.SOCK_DGRAM, "::"),
        (socket.AF_INET6, socket.SOCK_STREAM, "::"),
    ],
)
@in_private_network
def test_a_port_that_a_program_uses_is_shared(
    family: socket.AddressFamily, kind: socket.SocketKind, address: str
) -> None:
    LOCAL_RANGE.write_text("1024 2047")
    assert shared_ports(40000, 41000) is None
    with socket.socket(family, kind) as handle:
        handle.bind((address, 40007))
        if kind == socket.SOCK_STREAM:
            handle.listen()
        assert bound_ports() == {40007}
        assert shared_ports(40000, 41000) == "a program has a socket on port 40007"
        assert shared_ports(40008, 41000) is None
    assert shared_ports(40000, 41000) is None


@in_private_network
def test_ports_that_the_kernel_may_choose_are_shared_unless_they_are_reserved() -> None:
    first, last = ephemeral.DEFAULT_PORTS
    reason = shared_ports(first, last)
    assert reason == f"ports {first}-{last} are also those of this host's own connections"
    RESERVED.write_text(f"{first}-{last}")
    assert shared_ports(first, last) is None
