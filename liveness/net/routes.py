"""Path to the targets: the interface, source addresses and next hops that follow from the kernel's routes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from liveness.errors import UsageError
from liveness.net.lan import Neighbours
from liveness.net.links import Link, find_link, link_of_index, usable
from liveness.net.neighbours import find_mac, find_mac_of_ipv6, first_address
from liveness.net.path.netlink import Netlink
from liveness.net.path.routing import Decision, RouteType, decide, decide_for, source_classes
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals

AUTO = "auto"

MAC_TEXT = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
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


def find_path(
    interface: str,
    targets: Intervals,
    sources: Sequence[int],
    gateway_mac: str,
    *,
    foreign_sources: bool = False,
) -> Path:
    """Return the path to `targets`, as the kernel would route packets from `sources`.

    `interface` is a name, or 'auto' for that of the routes; without `sources`, the source is that of the routes.
    `gateway_mac` is a MAC address, or 'auto' for those of the routes' gateways: if the kernel has no confirmed entry,
    ARP requests are sent, for up to 3 s per gateway. Targets that the kernel does not route, and addresses of this
    host, are left out. Raises UsageError for an interface, routes or sources that are unusable: several interfaces,
    and, unless `foreign_sources`, a source that this host does not have. Raises LivenessError if a gateway does not
    answer.
    """
    given = parse_mac(gateway_mac) if gateway_mac != AUTO else None
    link = usable(find_link(interface)) if interface != AUTO else None
    netlink = Netlink()
    try:
        own = check_sources(netlink, sources, foreign_sources=foreign_sources)
        index = None if link is None else link.index
        ways = [decide(netlink, targets, source, index) for source in own]
        return _path(netlink, ways, targets, sources, own, given, link)
    finally:
        netlink.close()


def _path(
    netlink: Netlink,
    ways: Sequence[dict[Decision, Intervals]],
    targets: Intervals,
    sources: Sequence[int],
    own: Sequence[int | None],
    given: bytes | None,
    link: Link | None,
) -> Path:
    """Return the path that follows from the routing decisions of each source, with resolved next hops."""
    check_alike(ways, own)
    if given is None and link is not None and not link.ethernet:
        given = NO_MAC  # an explicitly named tunnel takes every packet, whatever the routes are
    routed, left_out = _sort(ways[0], link, given=given is not None and link is not None)
    if not routed:
        raise _nothing_routed(targets, left_out)
    link = usable(link_of_index(_one_interface(routed))) if link is None else link
    address = first_address(netlink, link.index)
    source = sources[0] if sources else _one_source(routed, link, address)
    if not link.ethernet:
        given = NO_MAC
    near = Intervals.empty()
    if given is None:
        gateways = _by_gateway(routed)
        near = gateways.pop(None, near)
        hops = [
            Hop(gateway, _mac(netlink, link, gateway, address or source), part) for gateway, part in gateways.items()
        ]
        hops = hops or [Hop(None, NO_MAC, near)]
    else:
        gateways = _by_gateway(routed)
        all_targets = union(gateways.values())
        hops = [Hop(next(iter(gateways)) if len(gateways) == 1 else None, given, all_targets)]
    return Path(
        interface=link.name,
        ifindex=link.index,
        mtu=link.mtu,
        mac=link.mac,
        source=source,
        hops=tuple(sorted(hops, key=lambda hop: -hop.targets.count)),
        given_mac=given is not None,
        near=near,
        arp_source=address or source,
        ethernet=link.ethernet,
        left_out=tuple(left_out),
        notes=tuple(_notes(routed, sources, own)),
    )


def parse_mac(text: str) -> bytes:
    """Return the 6 bytes of a MAC address like 02:00:00:00:00:01. Raises UsageError for any other text."""
    if not MAC_TEXT.fullmatch(text):
        raise UsageError(f"network.gateway_mac: {text!r} is not a MAC address like 02:00:00:00:00:01")
    return bytes.fromhex(text.replace(":", ""))


def brief(targets: Intervals) -> str:
    """Return the first prefixes of a set as text."""
    prefixes = Intervals(targets.first[:PREFIXES_SHOWN], targets.last[:PREFIXES_SHOWN]).prefixes()
    more = ", …" if len(targets) > PREFIXES_SHOWN or len(prefixes) > PREFIXES_SHOWN else ""
    return ", ".join(prefixes[:PREFIXES_SHOWN]) + more


def union(parts: Iterable[Intervals]) -> Intervals:
    """Return the union of all parts."""
    whole = Intervals.empty()
    for part in parts:
        whole = whole.union(part)
    return whole


def check_sources(netlink: Netlink, sources: Sequence[int], *, foreign_sources: bool) -> list[int | None]:
    """Return one source per class of sources that routing rules treat alike; None for the kernel's choice.

    Raises UsageError for addresses that this host does not have, unless `foreign_sources`. The kernel has no routes
    for these, so that its own choice of a source is used instead.
    """
    if not sources:
        return [None]
    decisions = decide_for(netlink, sources, None, None)
    foreign = [
        source for source, decision in zip(sources, decisions, strict=True) if decision.kind is not RouteType.LOCAL
    ]
    if foreign and not foreign_sources:
        raise UsageError(
            f"network.source_addresses: {_addresses(foreign)}: not an address of this host, so that replies may never"
            f" come here: add it (ip addr add {format_address(foreign[0])}/32 dev INTERFACE), or, where this network"
            " is known to send its replies here, set network.foreign_sources: true"
        )
    local = [source for source in sources if source not in set(foreign)]
    classes: list[int | None] = [*source_classes(netlink, local)] if local else []
    return classes + [None] * bool(foreign)


def _addresses(addresses: Sequence[int]) -> str:
    shown = ", ".join(format_address(address) for address in addresses[:PREFIXES_SHOWN])
    return shown if len(addresses) <= PREFIXES_SHOWN else f"{shown} and {len(addresses) - PREFIXES_SHOWN:,} more"


def check_alike(ways: Sequence[dict[Decision, Intervals]], sources: Sequence[int | None]) -> None:
    """Raise UsageError if the kernel would route packets from some sources differently."""

    def shape(way: dict[Decision, Intervals]) -> dict[tuple[RouteType, int, bytes | None], Intervals]:
        shapes: dict[tuple[RouteType, int, bytes | None], Intervals] = {}
        for decision, part in way.items():
            key = (decision.kind, decision.index, decision.gateway)
            shapes[key] = shapes[key].union(part) if key in shapes else part
        return shapes

    first = shape(ways[0])
    for way, source in zip(ways[1:], sources[1:], strict=True):
        other = shape(way)
        differing = union(part.difference(first.get(key, Intervals.empty())) for key, part in other.items())
        if len(differing):
            names = [
                "addresses of others" if address is None else format_address(address)
                for address in (sources[0], source)
            ]
            raise UsageError(
                f"network.source_addresses: {differing.count:,} targets ({brief(differing)}) are routed differently"
                f" from {names[0]} than from {names[1]} (ip rule): scan from each of them in a run of its own"
            )


def _sort(
    way: dict[Decision, Intervals], link: Link | None, *, given: bool
) -> tuple[dict[Decision, Intervals], list[LeftOut]]:
    """Return the decisions that are routed, and the parts left out; with a `given` path no route is needed."""
    routed, left_out = {}, []
    for decision, part in way.items():
        if decision.kind is RouteType.ROUTED or (decision.kind is RouteType.NONE and given):
            routed[decision] = part
            continue
        over = f" over {link.name}" if decision.kind is RouteType.NONE and link is not None else ""
        left_out.append(LeftOut(f"{decision.kind}{over}", part))
    return routed, sorted(left_out, key=lambda left: -left.targets.count)


def _nothing_routed(targets: Intervals, left_out: Sequence[LeftOut]) -> UsageError:
    target = format_address(int(targets.first[0]))
    most = left_out[0]
    if len(left_out) == 1 and most.reason == RouteType.LOCAL:
        return UsageError(f"target {target} is an address of this machine: targets must lie behind a router")
    if most.reason.startswith(RouteType.NONE):
        return UsageError(
            f"no route to {target}: no target has one: add one (ip route add default via GATEWAY), or set"
            " network.interface and network.gateway_mac"
        )
    reasons = "; ".join(f"{left.reason}: {brief(left.targets)}" for left in left_out)
    return UsageError(f"no route to {target}: no target has one ({reasons}): see ip route get {target}")


def _one_interface(routed: dict[Decision, Intervals]) -> int:
    """Return the only interface by which targets are routed. Raises UsageError that lists them if there are several."""
    parts: dict[int, Intervals] = {}
    for decision, part in routed.items():
        parts[decision.index] = parts[decision.index].union(part) if decision.index in parts else part
    if len(parts) > 1:
        ordered = sorted(parts.items(), key=lambda item: -item[1].count)
        shown = "; ".join(f"{part.count:,} by {link_of_index(index).name} ({brief(part)})" for index, part in ordered)
        raise UsageError(
            f"the targets leave by several interfaces: {shown}: scan them in a run for each, with the others in"
            " targets.block, or send all by one with network.interface"
        )
    return next(iter(parts))


def _one_source(routed: dict[Decision, Intervals], link: Link, address: int | None) -> int:
    """Return the source that the kernel prefers for all targets. Raises UsageError if there is none or several."""
    parts: dict[int | None, Intervals] = {}
    for decision, part in routed.items():
        if decision.kind is RouteType.ROUTED:
            parts[decision.source] = parts[decision.source].union(part) if decision.source in parts else part
    known = {source: part for source, part in parts.items() if source is not None}
    if len(known) > 1:
        shown = "; ".join(
            f"{part.count:,} from {format_address(source)} ({brief(part)})" for source, part in known.items()
        )
        raise UsageError(
            f"the kernel would send to the targets from several addresses: {shown}: name those to use by"
            " network.source_addresses, or scan the parts in a run each"
        )
    source = next(iter(known), address)
    if source is None:
        raise UsageError(f"interface {link.name} has no IPv4 address: set network.source_addresses")
    return source


def _by_gateway(routed: dict[Decision, Intervals]) -> dict[bytes | None, Intervals]:
    parts: dict[bytes | None, Intervals] = {}
    for decision, part in routed.items():
        parts[decision.gateway] = parts[decision.gateway].union(part) if decision.gateway in parts else part
    return parts


def _mac(netlink: Netlink, link: Link, gateway: bytes | None, source: int) -> bytes:
    if gateway is None:
        raise UsageError(f"interface {link.name}: no gateway: set network.gateway_mac")
    if len(gateway) != IPV4_BYTES:
        return find_mac_of_ipv6(netlink, link, gateway)
    return find_mac(link, int.from_bytes(gateway, "big"), source)


def _notes(routed: dict[Decision, Intervals], sources: Sequence[int], own: Sequence[int | None]) -> list[str]:
    notes = []
    spread = [(decision, part) for decision, part in routed.items() if decision.spread > 1]
    if spread:
        count = sum(part.count for _, part in spread)
        notes.append(f"{count:,} targets have routes with several next hops: all go to the first of each")
    if sources and None in own:
        notes.append("a source address is not this host's: replies come here only where this network sends them here")
    return notes
