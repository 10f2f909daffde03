"""Neighbours: targets on the scanner's own link, which are resolved by ARP before the first packet."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from liveness.errors import UsageError
from liveness.net.lan import Neighbours, find_neighbours
from liveness.net.links import find_link
from liveness.net.path.path import Path, brief
from liveness.probes.hops import Hops, hops_of, with_neighbours
from liveness.scan.plan import Plan
from liveness.space.intervals import Intervals

MOST_NEIGHBOURS: Final = 1 << 16
"""A /16. Each request is a broadcast that every host on the link receives, and is sent up to three times."""
REPORTED_FROM_S: Final = 10.0
"""Duration in seconds from which a search is announced."""
TRIES: Final = 3


def meet_neighbours(plan: Plan, path: Path, notice: Callable[[str], None]) -> Path:
    """Return the path with the MAC addresses of the targets on the link; `notice` gets lines about the search.

    Raises UsageError if there are more such targets than MOST_NEIGHBOURS, and the errors of `find_neighbours`.
    """
    if not len(path.near):
        return path
    wanted = plan.order.probed_in(path.near)
    if wanted.count > MOST_NEIGHBOURS:
        raise UsageError(
            f"{wanted.count:,} targets ({brief(wanted)}) are on the link of {path.interface}: at most"
            f" {MOST_NEIGHBOURS:,} are asked for by ARP: take a part of them (-n, targets.block), or set"
            " network.gateway_mac to a router's MAC address"
        )
    rate_pps = plan.config.network.arp_rate.pps or 1.0
    at_most_s = TRIES * (wanted.count / rate_pps + 1)
    if at_most_s > REPORTED_FROM_S:
        notice(f"looking for {wanted.count:,} neighbours on {path.interface} by ARP: {at_most_s:,.0f} s at most")
    found = find_neighbours(find_link(path.interface), wanted, path.arp_source, rate_pps)
    there = f"{len(found):,} of {wanted.count:,} targets answer ARP"
    notice(f"neighbours on {path.interface}: {there} and are probed directly, nothing is sent to the others")
    return replace(path, neighbours=found)


def hops_on(path: Path) -> Hops:
    """Return the next hop of every target on a path."""
    return hops_with([(hop.mac, hop.targets) for hop in path.hops], path.neighbours, path.near, path.mac)


def hops_with(parts: Sequence[tuple[bytes, Intervals]], neighbours: Neighbours, near: Intervals, own: bytes) -> Hops:
    """Return the next hops of `parts` (see `hops_of`), and of the neighbours that `near` contains."""
    hops = hops_of(parts, own)
    here = near.contains(neighbours.addresses)
    if not here.any():
        return hops
    return with_neighbours(hops, neighbours.addresses[here], neighbours.macs[here])
