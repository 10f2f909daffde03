"""The network whose border is watched: local hosts, services with outages, and the addresses outside."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from liveness.lab.traffic.conversation import TCP, UDP, Answer

LOCAL_FIRST: Final = 0xC6336400
"""The local network: the /22 of 198.51.100.0, a part of it TEST-NET-2 (RFC 5737)."""
LOCAL_PREFIX: Final = "198.51.100.0/22"
LOCAL_ADDRESSES: Final = 1024
OWN_PROBER: Final = 0x50000009
"""80.0.0.9, from which our own censuses probe."""
REMOTE_FIRST: Final = 20 << 24
REMOTE_LAST: Final = (80 << 24) - 1
"""Addresses outside come from 20.0.0.0 to 79.255.255.255, where nothing is special-purpose."""
EPHEMERAL: Final = (49_152, 65_536)
"""Ports that no service is learned on (RFC 6335), for everything local that is no service."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch of time in which a service fails its clients, all or a share of them."""

    first_ms: int
    end_ms: int
    answer: Answer
    """NONE: nothing comes back; RESET, ERROR: the host is up, the service is not."""
    share: float = 1.0
    """Part of the clients that it concerns, always the same ones: a filter on the way to them."""


@dataclass(frozen=True, slots=True)
class Service:
    """A local service."""

    address: int
    port: int
    protocol: int
    clients: int
    """Distinct clients over the whole time."""
    visits: float
    """Conversations of each client an hour."""
    retries: int
    """Attempts in the minutes after one that failed, one a minute, as mail servers make them."""
    outages: tuple[Outage, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Network:
    """What the actors draw from. Times are ms since the epoch."""

    start_ms: int
    duration_ms: int
    hosts: NDArray[np.uint32]
    """Local addresses in use, services first."""
    grey: NDArray[np.uint32]
    """Local addresses that never send."""
    services: tuple[Service, ...]

    @property
    def end_ms(self) -> int:
        """Return the time after the last conversation began."""
        return self.start_ms + self.duration_ms


def make_network(rng: Generator, start_ms: int, duration_ms: int, scale: float) -> Network:
    """Draw a network of 300 hosts in a /22, seven services on five of them, and outages in the middle of the time."""
    order = rng.permutation(np.arange(1, LOCAL_ADDRESSES - 1, dtype=np.uint32)) + np.uint32(LOCAL_FIRST)
    hosts, grey = order[:300], np.sort(order[300:])
    middle = start_ms + duration_ms // 2
    minutes = 60_000
    router = (middle, middle + 20 * minutes)

    def service(
        host: int, port: int, protocol: int, clients: int, visits: float, retries: int, *outages: Outage
    ) -> Service:
        return Service(int(hosts[host]), port, protocol, max(4, round(clients * scale)), visits, retries, outages)

    services = (
        service(0, 443, TCP, 400, 3.0, 0, Outage(*router, Answer.NONE)),
        service(0, 80, TCP, 200, 2.0, 0, Outage(*router, Answer.NONE)),
        service(1, 25, TCP, 150, 1.0, 5, Outage(*router, Answer.NONE)),
        service(2, 53, UDP, 300, 6.0, 1, Outage(middle - 40 * minutes, middle - 30 * minutes, Answer.ERROR)),
        service(3, 22, TCP, 30, 1.0, 0),
        service(3, 993, TCP, 120, 2.0, 1, Outage(middle + 40 * minutes, middle + 50 * minutes, Answer.RESET)),
        service(4, 123, UDP, 250, 4.0, 0, Outage(start_ms, start_ms + duration_ms, Answer.NONE, share=0.13)),
    )
    return Network(start_ms, duration_ms, hosts, grey, services)


def remotes(rng: Generator, count: int) -> NDArray[np.uint32]:
    """Draw distinct addresses outside."""
    drawn = np.unique(rng.integers(REMOTE_FIRST, REMOTE_LAST, count + count // 8 + 16, np.uint32))
    return rng.permutation(drawn)[:count]


def ephemeral(rng: Generator, count: int) -> NDArray[np.uint16]:
    """Draw ports that no service is learned on."""
    return rng.integers(*EPHEMERAL, count).astype(np.uint16)


def times(rng: Generator, network: Network, count: int) -> NDArray[np.int64]:
    """Draw times, uniformly over the whole time."""
    return rng.integers(network.start_ms, network.end_ms, count)
