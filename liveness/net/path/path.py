"""The path to the targets: interface, source address and next hops, and the targets that it leaves out."""

from dataclasses import dataclass, field
from ipaddress import ip_address

from liveness.net.lan import Neighbours
from liveness.space.intervals import Intervals

PREFIXES_SHOWN = 4
IPV4_BYTES = 4
NO_MAC = bytes(6)
"""MAC address of the remote end of an interface without Ethernet headers, which has none."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Next hop, with the targets that are sent to it."""

    gateway: bytes | None
    """Address of the next hop, 4 bytes of IPv4 or 16 of IPv6; None if only its MAC address is known."""
    mac: bytes
    targets: Intervals

    @property
    def name(self) -> str:
        """Address of the next hop as text."""
        if self.gateway is not None:
            return str(ip_address(self.gateway))
        return "the link itself" if self.mac == NO_MAC else "gateway_mac"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Targets that are not probed because of the kernel's routes or addresses."""

    reason: str
    """Reason as a noun, for example "a blackhole route"."""
    targets: Intervals

    def __str__(self) -> str:
        return f"{self.targets.count:,} targets left out, {self.reason}: {brief(self.targets)}"


@dataclass(frozen=True, slots=True)
class Path:
    """Interface, source address and next hops of frames to the targets. Addresses are host-order numbers."""

    interface: str
    ifindex: int
    mtu: int
    mac: bytes
    source: int
    """Source address that the kernel prefers, or the first one in the config."""
    hops: tuple[Hop, ...]
    """Next hops, at least one, in descending order of their targets."""
    given_mac: bool = False
    """Whether the MAC address of the next hop is given, so that no ARP request is sent."""
    near: Intervals = field(default_factory=Intervals.empty)
    """Targets on the interface's own link, whose frames are sent to their own MAC addresses."""
    arp_source: int = 0
    """Address of this host that ARP requests name as their sender."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    """Targets in `near` that exist and that do not, after the search for them."""
    ethernet: bool = True
    """Whether frames have an Ethernet header. If not, MAC addresses are zeros and no ARP request is sent."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """Notes for the user on how the path was chosen, one line each."""

    @property
    def gateway(self) -> int | None:
        """IPv4 address of the first next hop, or None if it has none."""
        gateway = self.hops[0].gateway
        return int.from_bytes(gateway, "big") if gateway is not None and len(gateway) == IPV4_BYTES else None

    @property
    def gateway_mac(self) -> bytes:
        """MAC address of the first next hop."""
        return self.hops[0].mac


def brief(targets: Intervals) -> str:
    """Return the first prefixes of a set as text."""
    prefixes = Intervals(targets.first[:PREFIXES_SHOWN], targets.last[:PREFIXES_SHOWN]).prefixes()
    more = ", …" if len(targets) > PREFIXES_SHOWN or len(prefixes) > PREFIXES_SHOWN else ""
    return ", ".join(prefixes[:PREFIXES_SHOWN]) + more
