"""The lab's links: the routers before each network, and the addresses of the links between them."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from liveness.errors import UsageError
from liveness.lab.hosts.document import (
    WIRING,
    Host,
    Internet,
    Loop,
    Network,
    NoHost,
    Prohibit,
    Silent,
    Throw,
    Unreachable,
)

CORE = WIRING[1]
"""The core router's address on the scanner's link: the scanner's gateway."""

SCANNER = WIRING[2]
"""The scanner's address."""

SCANNER_PREFIX_LENGTH = 30

MOST_SCANNERS = 16
"""Vantage points of a lab: each has a link of its own to the core router."""

SCANNER_INTERFACE = "scan0"

MARKER = "liveness-lab"
"""The name of a link that marks a network namespace as that of a lab."""

FIRST_LINK = 256
LINKS = (WIRING.num_addresses - FIRST_LINK) // 2

PATHS: tuple[tuple[str, int] | None, ...] = (
    ("icmp", 0),
    ("tcp", 22),
    ("tcp", 23),
    ("tcp", 80),
    ("tcp", 443),
    ("tcp", 7547),
    ("udp", 53),
    ("udp", 123),
    None,
)
"""Classes of packets (protocol, destination port; None: all others), each of which has its own throttled router.

For unreachable, prohibit and throw routes the kernel sends one sender 5 errors at once, and one a second afterwards
(ip_error() in net/ipv4/route.c; the limit belongs to the initial namespace). With a router for each class, every probe
of the paper and the control probe stay below this limit at up to 5 attempts, at any rate.
"""


@dataclass(frozen=True, slots=True)
class Link:
    """A link with two addresses (RFC 3021); `near` is the end towards the scanner."""

    near: IPv4Address
    far: IPv4Address


@dataclass(frozen=True, slots=True)
class Site:
    """A network and its links, whose number and ends depend on the kind of network.

    Host: core to host, or core to firewall to host. NoHost: core to router. Loop: core to first, first to second.
    Throttled kinds: core to a router, for each prefix and each of PATHS. Silent: none.
    """

    network: Network
    links: tuple[Link, ...]

    def throttled_links(self, prefix: int) -> tuple[Link, ...]:
        """Return the links of the prefix at this index, one for each of PATHS; for throttled kinds."""
        return self.links[prefix * len(PATHS) : (prefix + 1) * len(PATHS)]


def scanner_link(number: int) -> Link:
    """Return the link between the core router and a scanner by its number; the first one is CORE and SCANNER."""
    step = 1 << (32 - SCANNER_PREFIX_LENGTH)
    return Link(CORE + number * step, SCANNER + number * step)


def path_of(protocol: str, port: int) -> int:
    """Return the index in PATHS of a packet (`port` 0 for ICMP)."""
    try:
        return PATHS.index((protocol, port))
    except ValueError:
        return PATHS.index(None)


def wire(internet: Internet) -> list[Site]:
    """Return every network with its links. Raises UsageError if the lab needs more than the wiring prefix has."""
    sites: list[Site] = []
    used = 0
    for network in internet.networks:
        count = _links_of(network)
        if used + count > LINKS:
            raise UsageError(f"the lab {internet.name!r} needs more than {LINKS} links: take networks out")
        sites.append(Site(network, tuple(_link(used + number) for number in range(count))))
        used += count
    return sites


def _links_of(network: Network) -> int:
    match network:
        case Host(firewall=firewall):
            return 2 if firewall else 1
        case Silent():
            return 0
        case Unreachable() | Prohibit() | Throw():
            return len(PATHS) * len(network.prefixes)
        case NoHost():
            return 1
        case Loop():
            return 2
        case _:
            raise TypeError(f"no wiring for {type(network).__name__}")


def _link(number: int) -> Link:
    return Link(WIRING[FIRST_LINK + 2 * number], WIRING[FIRST_LINK + 2 * number + 1])
