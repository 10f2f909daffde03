"""Ground truth: the sets that a perfect census of a lab must find, derived from the lab file alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import pairwise
from typing import Final

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.lab.hosts.document import (
    REJECT_CODES,
    WIRING,
    Action,
    Host,
    Internet,
    Loop,
    NoHost,
    Prohibit,
    Rule,
    Service,
    Silent,
    Throw,
    Unreachable,
)
from liveness.lab.hosts.wiring import Site, path_of, wire
from liveness.lab.services.behaviours import Behaviour, talked_probes
from liveness.lab.services.scripts import outcome
from liveness.lab.twins.registry import TWINS, twin_named
from liveness.replies import Kind, ReplyKey, Role, SetKey, roles_of
from liveness.space.intervals import Intervals

PROBES: Final = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp", "tcp/control")
"""The eight probes of the paper and the control probe."""

DEPTH: Final = 4
"""The TTL with which a probe reaches the deepest host, loops excepted: core, firewall, host, and one to spare."""

TIME_EXCEEDED: Final = 11
UNREACHABLE: Final = 3
ROUTE_CODES: Final[dict[type, int]] = {Unreachable: 1, Prohibit: 13, Throw: 0, NoHost: 1}
"""Codes of ICMP type 3 that routers send for each kind of network (RFC 792, RFC 1812 5.2.7.1)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The fields of a probe that decide its reply: protocol, destination port (0 for ICMP), TTL as sent."""

    protocol: str
    port: int
    ttl: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to a probe: kind, ICMP type and code of an error, and its source address (None: the target itself)."""

    kind: Kind
    icmp_type: int | None = None
    icmp_code: int | None = None
    source: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Addresses that behave exactly alike, as inclusive bounds in host order, and their site."""

    site: Site
    first: int
    last: int

    @property
    def block(self) -> int:
        """The index of the prefix that contains the segment."""
        return next(
            index
            for index, block in enumerate(self.site.network.blocks)
            if int(block.network_address) <= self.first and self.last <= int(block.broadcast_address)
        )


def packet_of(probe: str, control_port: int | None, ttl: int) -> Packet:
    """Return the packet of a probe name. ValueError for an unknown name, or for tcp/control without its port."""
    if probe == "icmp":
        return Packet("icmp", 0, ttl)
    twin = twin_named(probe)
    if twin is not None:
        return Packet("udp", twin.port, ttl)
    protocol, _, port = probe.partition("/")
    if protocol == "tcp" and port == "control" and control_port is not None:
        return Packet("tcp", control_port, ttl)
    if protocol == "tcp" and port.isdecimal():
        return Packet("tcp", int(port), ttl)
    raise ValueError(f"no ground truth for probe {probe!r}")


def expected_sets(
    internet: Internet,
    targets: Intervals,
    probes: Sequence[str],
    control_port: int | None,
    ttl: int,
    applications: Sequence[str] = (),
) -> dict[SetKey, BitMap]:
    """Return every set that is not empty of a perfect census of `targets` with these probes and applications.

    `internet` is the lab as it was built (Tools.fit). Addresses that no network lists are silent. UsageError if the TTL
    is too short for the lab, or if targets include the lab's own links, for which there is no ground truth.
    """
    if ttl < DEPTH:
        raise UsageError(f"network.ttl: {ttl}: the lab's ground truth holds for {DEPTH} or more")
    wiring = targets.intersection(_interval(WIRING))
    if wiring.count:
        raise UsageError(f"targets: {wiring.prefixes()[0]}: this is the lab's own wiring ({WIRING}): no ground truth")
    sets: dict[SetKey, BitMap] = defaultdict(BitMap)
    talked = talked_probes(applications)
    for segment in segments(internet):
        probed = targets.intersection(Intervals.from_bounds([segment.first], [segment.last]))
        if not probed.count:
            continue
        members = BitMap()
        for first, last in zip(probed.first.tolist(), probed.last.tolist(), strict=True):
            members.add_range(first, last + 1)
        for probe in probes:
            packet = packet_of(probe, control_port, ttl)
            reply = reply_of(segment, packet)
            if reply is not None:
                _add(sets, probe, reply, members)
            if reply is not None and reply.kind is Kind.SYN_ACK and probe in talked:
                _add(sets, probe, Reply(outcome(behaviour_of(segment, packet), packet.port)), members)
    return dict(sets)


def _add(sets: dict[SetKey, BitMap], probe: str, reply: Reply, members: BitMap) -> None:
    """Add the members of a segment, all of which give this reply, to its sets of every role."""
    key = ReplyKey(probe, reply.kind, reply.icmp_type, reply.icmp_code)
    sources = members if reply.source is None else BitMap([reply.source])
    by_role = {Role.SOURCE: sources, Role.TARGET: members, Role.DIRECT: members & sources}
    for role in roles_of(reply.kind):
        if by_role[role]:
            sets[SetKey(key, role)] |= by_role[role]


def segments(internet: Internet) -> Iterator[Segment]:
    """Yield the segments of every network: its prefixes, split at the bounds of prefixes that rules name."""
    for site in wire(internet):
        network = site.network
        rules = [*network.rules, *network.firewall] if isinstance(network, Host) else []
        edges = [edge for rule in rules if rule.block is not None for edge in _edges(rule.block)]
        for block in network.blocks:
            start, end = _edges(block)
            cuts = sorted({start, end, *(edge for edge in edges if start < edge < end)})
            for first, beyond in pairwise(cuts):
                yield Segment(site, first, beyond - 1)


def reply_of(segment: Segment, packet: Packet) -> Reply | None:
    """Return the reply to this packet from any address of the segment, None for no reply."""
    site = segment.site
    match site.network:
        case Host() as host:
            return _host_reply(host, segment, packet)
        case Silent():
            return None
        case Unreachable() | Prohibit() | Throw() as network:
            link = site.throttled_links(segment.block)[path_of(packet.protocol, packet.port)]
            return Reply(Kind.ERROR, UNREACHABLE, ROUTE_CODES[type(network)], int(link.far))
        case NoHost():
            return Reply(Kind.ERROR, UNREACHABLE, ROUTE_CODES[NoHost], int(site.links[0].far))
        case Loop():
            return Reply(Kind.ERROR, TIME_EXCEEDED, 0, _end_of_loop(site, packet.ttl))
        case network:
            raise TypeError(f"no ground truth for a {type(network).__name__}")


def _end_of_loop(site: Site, ttl: int) -> int:
    """Return the router at which the TTL expires: the core receives `ttl`, the first router one less, alternating."""
    arrives_at_first = ttl - 1
    return int(site.links[0].far if arrives_at_first % 2 else site.links[1].far)


def _host_reply(host: Host, segment: Segment, packet: Packet) -> Reply | None:
    passed = _decision(host.firewall, segment, packet)
    if passed not in (None, Action.ACCEPT):
        return _refusal(passed, int(segment.site.links[0].far))
    decided = _decision(host.rules, segment, packet)
    if decided is Action.REDIRECT:
        return Reply(Kind.SYN_ACK)
    if decided not in (None, Action.ACCEPT):
        return _refusal(decided, None)
    if packet.protocol == "icmp":
        return Reply(Kind.ECHO_REPLY) if host.echo else None
    if packet.protocol == "tcp":
        return Reply(Kind.SYN_ACK if packet.port in host.open_ports else Kind.RST)
    return _service_reply(next((host.service(twin) for twin in TWINS if twin.port == packet.port), Service.CLOSED))


def behaviour_of(segment: Segment, packet: Packet) -> Behaviour:
    """Return what the open port of any address of the segment does after the handshake."""
    host = segment.site.network
    if not isinstance(host, Host) or _decision(host.rules, segment, packet) is Action.REDIRECT:
        return Behaviour.CLOSES  # the listener that stands for all ports
    return host.behaviour(packet.port)


def _service_reply(service: Service) -> Reply | None:
    match service:
        case Service.ANSWER:
            return Reply(Kind.ANSWER)
        case Service.PAYLOAD:
            return Reply(Kind.PAYLOAD)
        case Service.SILENT:
            return None
        case Service.CLOSED:
            return Reply(Kind.ERROR, UNREACHABLE, REJECT_CODES[Action.PORT_UNREACHABLE])


def _decision(rules: Sequence[Rule], segment: Segment, packet: Packet) -> Action | None:
    """Return the action of the first rule that matches, None if no rule does."""
    for rule in rules:
        if rule.block is not None:
            start, end = _edges(rule.block)
            if not start <= segment.first < end:
                continue
        if rule.protocol in (None, packet.protocol) and rule.port in (None, packet.port):
            return rule.do
    return None


def _refusal(action: Action | None, source: int | None) -> Reply | None:
    """Return the reply of a filter's action; the source of a reset is always the target's address."""
    if action is Action.TCP_RESET:
        return Reply(Kind.RST)
    if action is Action.DROP or action is None:
        return None
    return Reply(Kind.ERROR, UNREACHABLE, REJECT_CODES[action], source)


def _edges(block: IPv4Network) -> tuple[int, int]:
    """Return the first address of a prefix and the address after its last."""
    start = int(block.network_address)
    return start, start + block.num_addresses


def _interval(block: IPv4Network) -> Intervals:
    start, end = _edges(block)
    return Intervals.from_bounds([start], [end - 1])
