"""Finding the path to the targets: what follows from the kernel's routes, with resolved next hops."""

import re
from collections.abc import Sequence

from liveness.errors import UsageError
from liveness.net.links import Link, find_link, link_of_index, usable
from liveness.net.neighbours import find_mac, find_mac_of_ipv6, first_address
from liveness.net.path.netlink import Netlink
from liveness.net.path.path import IPV4_BYTES, NO_MAC, Hop, LeftOut, Path, brief
from liveness.net.path.routing import Decision, RouteType, decide
from liveness.net.path.sources import check_alike, check_sources
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals, union

AUTO = "auto"

MAC_TEXT = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


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
