"""Watch over the routes to the targets: what changes of the kernel's tables mean for targets and next hops."""

import time
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from liveness.errors import UsageError
from liveness.net.path.gateways import Gateways
from liveness.net.path.netlink import Netlink
from liveness.net.path.observation import Observation
from liveness.net.path.path import LeftOut, Path, brief
from liveness.net.path.routing import Decision, RouteType, decide, decide_for
from liveness.net.path.sources import check_alike, check_sources
from liveness.space.intervals import Intervals, union

SETTLE_NS: Final = 200_000_000
"""Time without changes after which routes are read, because routing daemons replace many at once."""
PEEKED: Final = 64
"""Number of targets per next hop that are checked while reading all routes must wait."""
ROUTES_SHARE: Final = 20
"""Reading the routes may take at most this fraction (1/20) of the time: with a full Internet table it takes seconds."""


@dataclass(slots=True)
class RouteWatch:
    """Watch over the routes from `local`, this host's sources, to `targets`.

    `gateways` are the next hops, None if their MAC address is given. With `bound`, the user named the interface.
    """

    path: Path
    targets: Intervals
    netlink: Netlink
    local: list[int]
    gateways: Gateways | None
    bound: bool
    shares: dict[bytes, Intervals] = field(default_factory=dict, init=False)
    """Targets of each next hop; empty if the MAC address was given."""
    near: Intervals = field(init=False)
    """Targets that are on the link itself according to the current routes."""
    due_ns: int = field(default=0, init=False)
    """When routes must be read again; 0 if nothing has changed."""
    _routed_ns: int = field(init=False)
    """When the routes were last read, or known to be unchanged."""
    _peeked_ns: int = field(default=0, init=False)
    _took_ns: int = field(default=0, init=False)
    """How long the last reading of all routes took."""
    _unrouted: str = field(default="", init=False)
    """The last report about targets without a route, so that it is not repeated."""
    _null: Intervals = field(init=False)
    """Targets left out by now."""

    def __post_init__(self) -> None:
        """Begin with the next hops of the path."""
        self.near, self._routed_ns = self.path.near, time.monotonic_ns()
        self._null = union(part.targets for part in self.path.left_out)
        if self.gateways is not None:
            self.shares = {hop.gateway: hop.targets for hop in self.path.hops if hop.gateway is not None}

    def changed(self, now_ns: int) -> None:
        """Read the routes again soon, because the kernel reported a change."""
        self.due_ns = self.due_ns or now_ns + max(SETTLE_NS, ROUTES_SHARE * self._took_ns)

    def lost_reports(self, now_ns: int) -> None:
        """Read the routes again soon, because reports of changes were lost."""
        self.due_ns = self.due_ns or now_ns + SETTLE_NS

    def look(self, now_ns: int) -> Observation:
        """Read the routes again if they have changed, and return the consequences."""
        if not self.due_ns:
            self._routed_ns = now_ns
            return Observation(now_ns)
        if now_ns < self.due_ns and not self._plainly_changed(now_ns):
            return Observation(now_ns)
        self.due_ns = 0
        own = check_sources(self.netlink, self.local, foreign_sources=True)
        index = self.path.ifindex if self.bound else None
        ways = [decide(self.netlink, self.targets, source, index) for source in own]
        self._took_ns = time.monotonic_ns() - now_ns
        changed_ns, self._routed_ns = self._routed_ns, now_ns
        try:
            check_alike(ways, own)
        except UsageError as error:
            return Observation(now_ns, gone=str(error), changed_ns=changed_ns)
        return replace(self._judge(ways[0], now_ns), changed_ns=changed_ns)

    def _plainly_changed(self, now_ns: int) -> bool:
        """Return whether sampled targets have another route. Used while reading all routes has to wait."""
        if now_ns < self._peeked_ns + SETTLE_NS or self._took_ns < SETTLE_NS:
            return False
        self._peeked_ns = now_ns
        index = self.path.ifindex if self.bound else None
        for gateway, part in self.shares.items():
            some = part.address_at(np.linspace(0, part.count - 1, min(PEEKED, part.count)).astype(np.int64))
            for decision in decide_for(self.netlink, some.tolist(), self.local[0] if self.local else None, index):
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
            elif not self.path.given_mac and self.gateways is not None:
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
        redirect = self.gateways is not None and self._share_out(shares, unrouted, rerouted, now_ns)
        return Observation(now_ns, rerouted=tuple(rerouted), redirect=redirect, null=tuple(null))

    def _share_out(self, shares: dict[bytes, Intervals], unrouted: Intervals, rerouted: list[str], now_ns: int) -> bool:
        """Assign each target the next hop of the current routes; return whether any changes."""
        gateways = self.gateways
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
