"""What an address of a population answers to a probe, packed into one number, and who sends its routers' errors."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64

PROBES: Final = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp", "tcp/control")
"""The probes a population knows answers to; a probe's number is its place here. Any other TCP port is the control."""

ICMP: Final = 0
DNS: Final = 6
NTP: Final = 7
CONTROL_TCP: Final = 8

SILENT: Final = 0
ANSWERED: Final = 1  # echo reply, SYN-ACK, valid DNS or NTP answer
RESET: Final = 2  # TCP RST
PAYLOAD: Final = 3  # a UDP payload that is no valid answer
ERROR: Final = 4  # ICMP error
BOTH: Final = 5  # SYN-ACK and then RST, to the same SYN

WHAT_MASK: Final = 0xF
TYPE_SHIFT: Final = 8
CODE_SHIFT: Final = 16
BYTE_MASK: Final = 0xFF
FROM_ROUTER: Final = 1 << 24


@kernel
def _mixed(word: int) -> int:
    """Return a uint64 that depends on every bit of `word`, a uint64 (the finaliser of splitmix64)."""
    word = (word ^ (word >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> uint64(27))) * uint64(0x94D049BB133111EB)
    return word ^ (word >> uint64(31))


@kernel
def router_of(population: NDArray[np.uint64], address: int) -> int:
    """Return the router that sends the errors about `address`; both in host order."""
    return (int64(address) & 0xFFFFFF00) | 1


@kernel
def answer_of(population: NDArray[np.uint64], address: int, probe: int) -> int:
    """Return what `address` (host order) answers to probe number `probe`, packed as the constants above say."""
    draw = int64(_mixed(population[0] ^ uint64(address)) >> uint64(56))
    if draw < 160:
        return SILENT
    if draw < 170:
        return ERROR | 3 << TYPE_SHIFT | 13 << CODE_SHIFT | FROM_ROUTER
    if draw < 200:
        return SILENT if probe >= DNS else RESET if probe > ICMP else ANSWERED
    if draw < 220:
        return ERROR | 3 << TYPE_SHIFT | 3 << CODE_SHIFT if probe == DNS or probe == NTP else ANSWERED
    return PAYLOAD if probe == DNS else BOTH if probe == 3 else ANSWERED
