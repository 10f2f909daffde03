"""Watch over the path to the targets: link, addresses, routes and next hops, checked while a scan runs.

It needs no privilege after it was opened, and never waits. It only reports; the supervisor of the scan decides.
"""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from liveness.net.neighbours import addresses_of
from liveness.net.path.gateways import Gateways
from liveness.net.path.link_state import LinkState
from liveness.net.path.neighbourhood import Neighbourhood
from liveness.net.path.netlink import (
    ADDRESS_HEADER,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    Events,
    Message,
    Netlink,
)
from liveness.net.path.observation import Observation
from liveness.net.path.path import Path
from liveness.net.path.route_watch import RouteWatch
from liveness.net.path.source_watch import SourceWatch
from liveness.space.intervals import Intervals


@dataclass(slots=True)
class PathWatch:
    """Watch over the path to `targets`. `bound` says that the interface was named by the user, not found by routes."""

    path: Path
    targets: Intervals
    sources: Sequence[int]
    bound: bool = False
    link: LinkState = field(init=False)
    routes: RouteWatch = field(init=False)
    _netlink: Netlink = field(init=False)
    _events: Events = field(init=False)
    _addresses: SourceWatch = field(init=False)
    _gateways: Gateways | None = field(default=None, init=False)
    _neighbourhood: Neighbourhood | None = field(default=None, init=False)
    _whole_ns: int = field(init=False)
    """When everything was last seen to work."""
    _link_up_ns: int = field(default=0, init=False)
    """Since when the link is up again, until the gateways are confirmed; 0 otherwise."""

    def __post_init__(self) -> None:
        """Open all sockets. Changes from now on are noticed."""
        now_ns = self._whole_ns = time.monotonic_ns()
        self._events = Events()
        self._netlink = Netlink()
        self.link = LinkState(self.path, self._netlink)
        self._addresses = SourceWatch(self._netlink, list(self.sources) or [self.path.source], now_ns)
        if not self.path.given_mac and len(self.path.mac):
            self._watch_neighbours(now_ns)
        self.routes = RouteWatch(
            self.path, self.targets, self._netlink, self._addresses.local, self._gateways, self.bound
        )

    def _watch_neighbours(self, now_ns: int) -> None:
        """Open the watches over next hops, and over targets on the link itself."""
        own = addresses_of(self._netlink, self.path.ifindex)
        arp_source = self.path.source if self.path.source in own or not own else own[0]
        self._gateways = Gateways(self.path.interface, self.path.ifindex, self.path.mac, arp_source)
        if len(self.path.neighbours):
            self._neighbourhood = Neighbourhood(
                self.path.interface, self.path.mac, arp_source, self.path.neighbours, now_ns
            )
        for hop in self.path.hops:
            if hop.gateway is not None:
                self._gateways.add(hop.gateway, hop.mac, now_ns)

    @property
    def mac(self) -> bytes:
        """MAC address of the interface."""
        return self.link.mac

    @property
    def shares(self) -> dict[bytes, Intervals]:
        """Targets of each next hop; empty if the MAC address was given."""
        return self.routes.shares

    @property
    def near(self) -> Intervals:
        """Targets that are on the link itself according to the current routes."""
        return self.routes.near

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
        problem = self.link.problem()
        if self._gateways is not None:
            self._gateways.mac = self.mac
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

    def forget_link(self) -> None:
        """Forget that the link was down for a moment until now: opening rings and XDP programs resets some cards.

        To be called before the first look. Changes of routes and addresses are kept.
        """
        self._take_events(time.monotonic_ns())

    def _look_further(self, now_ns: int) -> Observation:
        """Check everything else when the link is up."""
        moved = tuple(self._gateways.look(self._netlink, now_ns)) if self._gateways is not None else ()
        observation = self.routes.look(now_ns)
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
        self._addresses.look(now_ns)
        if self._addresses.missing is not None:
            return replace(
                observation, problem=self._addresses.missing, what="address", since_ns=self._addresses.present_ns
            )
        self._link_up_ns = 0
        self._whole_ns = now_ns
        return observation

    def _take_events(self, now_ns: int) -> bool:
        """Read the events of the kernel; return whether the link was down at some time."""
        messages, lost = self._events.read()
        if lost:
            self.routes.lost_reports(now_ns)
            self._addresses.changed()
        return any([self._take(message, now_ns) for message in messages])  # noqa: C419 - each message must be taken

    def _take(self, message: Message, now_ns: int) -> bool:
        kind, body = message
        if kind in (RTM_NEWLINK, RTM_DELLINK):
            return self.link.went_down(body)
        if kind in (RTM_NEWADDR, RTM_DELADDR):
            if ADDRESS_HEADER.unpack_from(body)[0] == socket.AF_INET:
                self._addresses.changed()
        elif kind not in (RTM_NEWNEIGH, RTM_DELNEIGH) and body[0] in (socket.AF_INET, socket.AF_UNSPEC):
            self.routes.changed(now_ns)
        return False

    def close(self) -> None:
        """Close all sockets."""
        self._events.close()
        self._netlink.close()
        if self._gateways is not None:
            self._gateways.close()
        if self._neighbourhood is not None:
            self._neighbourhood.close()
