"""Whether source ports are a scan's alone, so that no other program of this host can wait for a packet to them."""

from pathlib import Path
from typing import Final

from liveness.net.ephemeral import host_ports
from liveness.net.links import in_lab

TABLES: Final = tuple(Path("/proc/self/net") / name for name in ("tcp", "tcp6", "udp", "udp6"))
"""Sockets of this network namespace, one a line after the heading; the second word is the local address and port."""


def shared_ports(first: int, last: int) -> str | None:
    """Return why others may use the ports `first` to `last`, or None if they are the scan's alone.

    The kernel may choose some of them for connections of this host, or a program has a socket on one of them.
    """
    used = [port for port in bound_ports() if first <= port <= last]
    if used:
        return f"a program has a socket on port {min(used)}"
    host = None if in_lab() else host_ports()
    if host is not None and host.advice(first, last) is not None:
        return f"ports {first}-{last} are also those of this host's own connections"
    return None


def bound_ports() -> set[int]:
    """Return the local ports of all TCP and UDP sockets in this network namespace, as far as the kernel shows them."""
    ports = set()
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:  # a kernel without IPv6, or no /proc
            continue
        ports |= {int(line.split()[1].rpartition(":")[2], 16) for line in lines}
    return ports
