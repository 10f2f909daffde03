"""Watch over the path to the targets: link, addresses, routes and next hops, checked while a scan runs.

It needs no privilege after it was opened, and never waits. It only reports; the supervisor of the scan decides.
"""

import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from liveness.errors import UsageError
from liveness.net.neighbours import addresses_of
from liveness.net.path.gateways import Gateways, Moved
from liveness.net.path.neighbourhood import Neighbourhood, NeighbourMoved
from liveness.net.path.netlink import (
    ADDRESS_HEADER,
    LINK_HEADER,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    Events,
    Message,
    Netlink,
    attribute,
    attributes,
)
from liveness.net.path.path import LeftOut, Path, brief
from liveness.net.path.routing import Decision, RouteType, decide, decide_for
from liveness.net.path.sources import check_alike, check_sources
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals, union

IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
IFLA_ADDRESS, IFLA_EXT_MASK, IFLA_CARRIER_DOWN_COUNT = 1, 29, 48
SKIP_STATISTICS: Final = (8).to_bytes(4, sys.byteorder)
CHECK_EVERY_NS: Final = 1_000_000_000
SETTLE_NS: Final = 200_000_000
"""Time without changes after which routes are read, because routing daemons replace many at once."""
PEEKED: Final = 64
"""Number of targets per next hop that are checked while reading all routes must wait."""
ROUTES_SHARE: Final = 20
"""Reading the routes may take at most this fraction (1/20) of the time: with a full Internet table it takes seconds."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Result of one check. Times are ns of the monotonic clock."""

    at_ns: int
    problem: str | None = None
    """Why some or all targets cannot be reached now; this may be temporary."""
    what: str = "link"
    """Part that has the problem: ``link``, ``address``, ``neighbour`` or ``route``."""
    since_ns: int = 0
    """When that part was last seen to work."""
    gone: str | None = None
    """Why the scan cannot continue, even after waiting."""
    moved: tuple[Moved, ...] = ()
    """Next hops with a new MAC address."""
    neighbours: tuple[NeighbourMoved, ...] = ()
    """Targets on the link itself with a new MAC address."""
    rerouted: tuple[str, ...] = ()
    """Changes of routes, one line each, with which the targets are still reached."""
    changed_ns: int = 0
    """When the routes were last seen unchanged."""
    redirect: bool = False
    """Whether `PathWatch.hops` has changed since the previous check."""
    null: tuple[LeftOut, ...] = ()
    """Targets that must not be probed any more: null routes, and new addresses of this host."""


@dataclass(slots=True)
class PathWatch:
    """Watch over the path to `targets`. `bound` says that the interface was named by the user, not found by routes."""

    path: Path
    targets: Intervals
    sources: Sequence[int]
    bound: bool = False
    mac: bytes = field(init=False)
    """MAC address of the interface."""
    shares: dict[bytes, Intervals] = field(init=False)
    """Targets of each next hop; empty if the MAC address was given."""
    near: Intervals = field(init=False)
    """Targets that are on the link itself according to the current routes."""
    _netlink: Netlink = field(init=False)
    _events: Events = field(init=False)
    _gateways: Gateways | None = field(default=None, init=False)
    _neighbourhood: Neighbourhood | None = field(default=None, init=False)
    _whole_ns: int = field(init=False)
    _link_up_ns: int = field(default=0, init=False)
    _flaps: int | None = field(default=None, init=False)
    _local: list[int] = field(init=False)
    _addresses_ns: int = field(default=0, init=False)
    _missing: str | None = field(default=None, init=False)
    _present_ns: int = field(init=False)
    _routes_at_ns: int = field(default=0, init=False)
    """When routes must be read again; 0 if nothing has changed."""
    _routed_ns: int = field(init=False)
    _peeked_ns: int = field(default=0, init=False)
    _routes_took_ns: int = field(default=0, init=False)
    _unrouted: str = field(default="", init=False)
    _null: Intervals = field(init=False)

    def __post_init__(self) -> None:
        """Open all sockets. Changes from now on are noticed."""
        now_ns = time.monotonic_ns()
        self.mac = self.path.mac
        self._events = Events()
        self._netlink = Netlink()
        self._null = union(part.targets for part in self.path.left_out)
        self._whole_ns = self._present_ns = self._routed_ns = now_ns
        sources = list(self.sources) or [self.path.source]
        decisions = decide_for(self._netlink, sources, None, None)
        self._local = [
            source for source, decision in zip(sources, decisions, strict=True) if decision.kind is RouteType.LOCAL
        ]
        self.shares = {}
        self.near = self.path.near
        if self.path.given_mac or len(self.path.mac) == 0:
            return
        own = addresses_of(self._netlink, self.path.ifindex)
        arp_source = self.path.source if self.path.source in own or not own else own[0]
        self._gateways = Gateways(self.path.interface, self.path.ifindex, self.path.mac, arp_source)
        if len(self.path.neighbours):
            self._neighbourhood = Neighbourhood(
                self.path.interface, self.path.mac, arp_source, self.path.neighbours, now_ns
            )
        for hop in self.path.hops:
            if hop.gateway is not None:
                self.shares[hop.gateway] = hop.targets
                self._gateways.add(hop.gateway, hop.mac, now_ns)

    @property
    def hops(self) -> list[tuple[bytes, Intervals]]:
        """MAC address and targets of each next hop, in descending order of targets."""
        if self._gateways is None:
            return [(hop.mac, hop.targets) for hop in self.path.hops]
        if not self.shares:  # all targets are on the link itself
            return [(hop.mac, hop.targets) for hop in self.path.hops]
        parts = sorted(self.shares.items(), key=lambda item: -item[1].count)
        return [(self._gateways.all[gateway].mac, part) for gateway, part in parts]

    def look(self) -> Observation:
        """Check everything that may have changed. Raises LivenessError only if the kernel does not answer any more."""
        now_ns = time.monotonic_ns()
        flapped = self._take_events(now_ns)
        mac = self.mac
        problem = self._link_problem()
        if problem is None:
            return Observation(now_ns, gone=f"interface {self.path.interface} was removed")
        if problem or flapped:
            self._link_up_ns = now_ns
            if self._gateways is not None:
                self._gateways.restart(now_ns)
            problem = problem or f"interface {self.path.interface} was down for a moment"
            # replies to frames with the old source address are lost, although every frame was sent
            what = "address" if mac != self.mac else "link"
            return Observation(now_ns, problem=problem, what=what, since_ns=self._whole_ns, redirect=mac != self.mac)
        return self._look_further(now_ns)

    def _look_further(self, now_ns: int) -> Observation:
        """Check everything else when the link is up."""
        moved = tuple(self._gateways.look(self._netlink, now_ns)) if self._gateways is not None else ()
        observation = self._look_at_routes(now_ns)
        if moved:
            observation = replace(observation, moved=moved, redirect=True)
        if self._neighbourhood is not None:
            for move in moved:
                self._neighbourhood.station_moved(move.before, move.gateway.mac)
            neighbours = tuple(self._neighbourhood.look(now_ns, self.mac))
            if neighbours:
                observation = replace(observation, neighbours=neighbours, redirect=True)
        if observation.gone is not None:
            return observation
        if self._gateways is not None:
            if self._link_up_ns and not self._gateways.confirmed_since(self._link_up_ns):
                problem = f"interface {self.path.interface} is up again, its gateway has not answered yet"
                return replace(observation, problem=problem, since_ns=self._whole_ns)
            silent = [gateway for gateway in self._gateways.all.values() if gateway.silent(now_ns)]
            if silent:
                names = ", ".join(gateway.name for gateway in silent)
                since_ns = min(gateway.worked_ns for gateway in silent)
                return replace(
                    observation, problem=f"gateway {names} does not answer", what="neighbour", since_ns=since_ns
                )
        self._look_at_addresses(now_ns)
        if self._missing is not None:
            return replace(observation, problem=self._missing, what="address", since_ns=self._present_ns)
        self._link_up_ns = 0
        self._whole_ns = now_ns
        return observation

    def _take_events(self, now_ns: int) -> bool:
        """Read the events of the kernel; return whether the link was down at some time."""
        messages, lost = self._events.read()
        if lost:
            self._routes_at_ns = self._routes_at_ns or now_ns + SETTLE_NS
            self._addresses_ns = 0
        return any([self._take(message, now_ns) for message in messages])  # noqa: C419 - each message must be taken

    def _take(self, message: Message, now_ns: int) -> bool:
        kind, body = message
        if kind in (RTM_NEWLINK, RTM_DELLINK):
            _, _, index, flags, _ = LINK_HEADER.unpack_from(body)
            return index == self.path.ifindex and not (flags & IFF_UP and flags & IFF_LOWER_UP)
        if kind in (RTM_NEWADDR, RTM_DELADDR):
            if ADDRESS_HEADER.unpack_from(body)[0] == socket.AF_INET:
                self._addresses_ns = 0
        elif kind not in (RTM_NEWNEIGH, RTM_DELNEIGH) and body[0] in (socket.AF_INET, socket.AF_UNSPEC):
            pause_ns = max(SETTLE_NS, ROUTES_SHARE * self._routes_took_ns)
            self._routes_at_ns = self._routes_at_ns or now_ns + pause_ns
        return False

    def _link_problem(self) -> str | None:
        """Return the problem of the interface, "" if there is none, or None if the interface was removed."""
        header = LINK_HEADER.pack(socket.AF_UNSPEC, 0, self.path.ifindex, 0, 0)
        answer = self._netlink.request(RTM_GETLINK, header + attribute(IFLA_EXT_MASK, SKIP_STATISTICS))
        if answer.message is None:
            return None
        _, _, _, flags, _ = LINK_HEADER.unpack_from(answer.message.body)
        found = attributes(answer.message.body, LINK_HEADER.size)
        mac = found.get(IFLA_ADDRESS, self.mac) if self.path.ethernet else self.mac
        changed, self.mac = mac != self.mac, mac
        if self._gateways is not None:
            self._gateways.mac = mac
        raw = found.get(IFLA_CARRIER_DOWN_COUNT)
        before, self._flaps = self._flaps, None if raw is None else int.from_bytes(raw, sys.byteorder)
        if not flags & IFF_UP:
            return f"interface {self.path.interface} is down"
        if not flags & IFF_LOWER_UP:
            return f"interface {self.path.interface} has no carrier"
        if before is not None and self._flaps != before:
            return f"interface {self.path.interface} was down for a moment"
        if changed:  # the following ARP request for the gateway announces the new address to it
            return f"interface {self.path.interface} has another MAC address: {mac.hex(':')}"
        return ""

    def _look_at_addresses(self, now_ns: int) -> None:
        if now_ns < self._addresses_ns + CHECK_EVERY_NS or not self._local:
            if self._missing is None:
                self._present_ns = now_ns if self._addresses_ns else self._present_ns
            return
        self._addresses_ns = now_ns
        decisions = decide_for(self._netlink, self._local, None, None)
        lost = [
            source
            for source, decision in zip(self._local, decisions, strict=True)
            if decision.kind is not RouteType.LOCAL
        ]
        self._missing = None
        if lost:
            names = ", ".join(format_address(source) for source in lost[:4])
            self._missing = f"source address {names} is not this host's any more"
        else:
            self._present_ns = now_ns

    def _look_at_routes(self, now_ns: int) -> Observation:
        """Read the routes again if they have changed, and return the consequences."""
        if not self._routes_at_ns:
            self._routed_ns = now_ns
            return Observation(now_ns)
        if now_ns < self._routes_at_ns and not self._plainly_changed(now_ns):
            return Observation(now_ns)
        self._routes_at_ns = 0
        own = check_sources(self._netlink, self._local, foreign_sources=True)
        index = self.path.ifindex if self.bound else None
        ways = [decide(self._netlink, self.targets, source, index) for source in own]
        self._routes_took_ns = time.monotonic_ns() - now_ns
        changed_ns, self._routed_ns = self._routed_ns, now_ns
        try:
            check_alike(ways, own)
        except UsageError as error:
            return Observation(now_ns, gone=str(error), changed_ns=changed_ns)
        return replace(self._judge(ways[0], now_ns), changed_ns=changed_ns)

    def _plainly_changed(self, now_ns: int) -> bool:
        """Return whether sampled targets have another route. Used while reading all routes has to wait."""
        if now_ns < self._peeked_ns + SETTLE_NS or self._routes_took_ns < SETTLE_NS:
            return False
        self._peeked_ns = now_ns
        index = self.path.ifindex if self.bound else None
        for gateway, part in self.shares.items():
            some = part.address_at(np.linspace(0, part.count - 1, min(PEEKED, part.count)).astype(np.int64))
            for decision in decide_for(self._netlink, some.tolist(), self._local[0] if self._local else None, index):
                if (decision.index, decision.gateway) != (self.path.ifindex, gateway):
                    return True
        return False

    def _judge(self, way: dict[Decision, Intervals], now_ns: int) -> Observation:
        """Return the consequences of new decisions for the targets."""
        rerouted, null = [], []
        shares: dict[bytes, Intervals] = {}
        unrouted = near = Intervals.empty()
        for decision, part in way.items():
            if decision.kind is RouteType.NONE:
                unrouted = unrouted.union(part)
            elif decision.kind is not RouteType.ROUTED:
                new = part.difference(self._null)
                if len(new):
                    null.append(LeftOut(str(decision.kind), new))
            elif decision.index != self.path.ifindex:
                return Observation(
                    now_ns, gone=f"{part.count:,} targets ({brief(part)}) are routed by another interface now"
                )
            elif decision.gateway is not None:
                shares[decision.gateway] = shares[decision.gateway].union(part) if decision.gateway in shares else part
            elif not self.path.given_mac and self._gateways is not None:
                new = part.difference(self.path.near)
                if len(new):
                    return Observation(
                        now_ns, gone=f"{new.count:,} targets ({brief(new)}) are on the link now, not behind it"
                    )
                near = near.union(part)
        self.near = near
        self._null = self._null.union(union(part.targets for part in null))
        text = f"{unrouted.count:,} targets ({brief(unrouted)}) have no route any more" if len(unrouted) else ""
        if text and text != self._unrouted:
            rerouted.append(f"{text}: they keep the gateway that they had")
        self._unrouted = text
        redirect = self._gateways is not None and self._share_out(shares, unrouted, rerouted, now_ns)
        return Observation(now_ns, rerouted=tuple(rerouted), redirect=redirect, null=tuple(null))

    def _share_out(self, shares: dict[bytes, Intervals], unrouted: Intervals, rerouted: list[str], now_ns: int) -> bool:
        """Assign each target the next hop of the current routes; return whether any changes."""
        gateways = self._gateways
        if gateways is None:
            return False
        for gateway, part in self.shares.items():
            kept = part.intersection(unrouted)
            if len(kept):
                shares[gateway] = shares[gateway].union(kept) if gateway in shares else kept
        if shares == self.shares or not shares:
            return False
        for gateway, part in shares.items():
            new = part.difference(self.shares.get(gateway, Intervals.empty()))
            if len(new):
                known = gateway in gateways.all
                gateways.add(gateway, b"", now_ns)
                name = gateways.all[gateway].name
                rerouted.append(
                    f"{new.count:,} targets ({brief(new)}) go by {'' if known else 'the new '}gateway {name}"
                )
        for gateway in set(gateways.all) - set(shares):
            del gateways.all[gateway]
        self.shares = shares
        return True

    def close(self) -> None:
        """Close all sockets."""
        self._events.close()
        self._netlink.close()
        if self._gateways is not None:
            self._gateways.close()
        if self._neighbourhood is not None:
            self._neighbourhood.close()
