"""Port lists that signs look at: registered services, and ports of peer-to-peer programs. Shipped as data."""

from functools import cache
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

WELL_KNOWN: Final = 1024
PORTS: Final = 1 << 16
TCP, UDP = 0, 1


def _text(name: str) -> list[str]:
    text = (resources.files("liveness.passive") / "data" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _mark(ports: NDArray[np.bool_], word: str) -> None:
    first, _, last = word.partition("-")
    ports[int(first) : int(last or first) + 1] = True


@cache
def service_ports() -> NDArray[np.bool_]:
    """Return for TCP and UDP which ports are those of services: below 1024, or registered with IANA below 49152."""
    ports = np.zeros((2, PORTS), np.bool_)
    ports[:, :WELL_KNOWN] = True
    transport = TCP
    for line in _text("registered-ports.txt"):
        if line.endswith(":"):
            transport = (TCP, UDP)[line == "udp:"]
            continue
        for word in line.split():
            _mark(ports[transport], word)
    return ports


@cache
def p2p_ports() -> NDArray[np.bool_]:
    """Return which ports are those of peer-to-peer programs."""
    ports = np.zeros(PORTS, np.bool_)
    for line in _text("p2p-ports.txt"):
        _mark(ports, line.split()[0])
    return ports
