"""Routing decisions: how the kernel routes each of a set of targets, found with few requests.

For a given source, mark and interface, the kernel decides by the destination alone. One request for each cell of the
address space (see `cells.py`) therefore gives an exact result for any rules.
"""

import errno
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from liveness.errors import LivenessError, UsageError
from liveness.net.path.cells import RTA_DST, address_number, cell_bounds
from liveness.net.path.netlink import ROUTE_HEADER, RTM_GETROUTE, Answer, Netlink
from liveness.net.rtnetlink import attribute, attributes
from liveness.space.intervals import ADDRESS_SPACE, Intervals

MOST_QUESTIONS: Final = 400_000
"""Largest number of cells: the requests take some seconds."""

RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_MULTIPATH, RTA_VIA = 2, 4, 5, 7, 9, 18
RTM_F_FIB_MATCH: Final = 0x2000
"""Flag: answer with the matching entry of the table, including all its next hops (since Linux 4.13)."""
RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST = 1, 2, 3, 5
_NATIVE: Final = sys.byteorder
_HOP_BYTES: Final = 8
_HOP_UNUSABLE: Final = 0x11  # RTNH_F_DEAD, RTNH_F_LINKDOWN


class RouteType(StrEnum):
    """Handling of packets to a destination by the kernel."""

    ROUTED = "routed"
    LOCAL = "an address of this host"
    BROADCAST = "a broadcast address of a link"
    MULTICAST = "a multicast group"
    BLACKHOLE = "a blackhole route"
    UNREACHABLE = "an unreachable route"
    PROHIBITED = "a prohibit route"
    NONE = "no route"


@dataclass(frozen=True, slots=True)
class Decision:
    """Route of packets to a destination. Fields are None or 0 if there is none."""

    kind: RouteType
    index: int = 0
    """Index of the interface."""
    gateway: bytes | None = None
    """Next hop: 4 bytes of IPv4 or 16 of IPv6 (RFC 5549); None if the destination is on the link itself."""
    source: int | None = None
    """Source address that the kernel prefers."""
    spread: int = 1
    """Number of next hops of a multipath route. `gateway` is the first usable one."""


NO_ROUTE: Final = Decision(RouteType.NONE)


def decide(netlink: Netlink, targets: Intervals, source: int | None, index: int | None) -> dict[Decision, Intervals]:
    """Return all decisions of the kernel about `targets`, with the targets of each.

    `source` is the source address of packets, or None for the kernel's choice. `index` is the interface they must leave
    by, or None for any. Addresses of this host and null routes are reported as such for any interface. Raises
    UsageError if the tables are too large, LivenessError if the kernel does not answer.
    """
    bounds = cell_bounds(netlink)
    before = targets.rank(np.append(bounds, np.uint64(ADDRESS_SPACE)))
    used = np.flatnonzero(before[1:] > before[:-1])
    if len(used) > MOST_QUESTIONS:
        raise UsageError(
            f"the routing tables cut these targets into {len(used):,} parts, {MOST_QUESTIONS:,} at most can be asked:"
            " name the way by network.interface and network.gateway_mac, or scan from a host with fewer routes"
        )
    examples = targets.address_at(before[used]).tolist()
    decisions = _request_decisions(netlink, examples, source, index)
    ends = np.append(bounds[1:], np.uint64(ADDRESS_SPACE)) - np.uint64(1)
    cells: dict[Decision, list[int]] = {}
    for cell, decision in zip(used.tolist(), decisions, strict=True):
        cells.setdefault(decision, []).append(cell)
    return {
        decision: targets.intersection(Intervals.from_bounds(bounds[chosen], ends[chosen]))
        for decision, chosen in cells.items()
    }


def decide_for(netlink: Netlink, addresses: Sequence[int], source: int | None, index: int | None) -> list[Decision]:
    """Return the decision about each of some addresses, in their order."""
    return _request_decisions(netlink, addresses, source, index)


def _request_decisions(
    netlink: Netlink, addresses: Sequence[int], source: int | None, index: int | None
) -> list[Decision]:
    """Return the decision about each address: local addresses and null routes first, then with the interface."""
    free = _Requests(netlink, source, None).decisions(addresses)
    if index is None:
        return free
    bound = _Requests(netlink, source, index).decisions(addresses)
    return [
        without if without.kind not in (RouteType.ROUTED, RouteType.NONE) else within
        for without, within in zip(free, bound, strict=True)
    ]


class _Requests:
    """Requests with one source and one interface. Each table entry is resolved once, however often it matches."""

    def __init__(self, netlink: Netlink, source: int | None, index: int | None) -> None:
        self._netlink = netlink
        self._source = b"" if source is None else attribute(RTA_SRC, source.to_bytes(4, "big"))
        self._source_bits = 0 if source is None else 32
        self._index = index
        self._known: dict[object, Decision] = {}

    def decisions(self, addresses: Sequence[int]) -> list[Decision]:
        questions = [self._question(address, RTM_F_FIB_MATCH, self._index) for address in addresses]
        answers = self._netlink.request_all(RTM_GETROUTE, questions)
        return [self._decision(address, answer) for address, answer in zip(addresses, answers, strict=True)]

    def _question(self, address: int, flags: int, index: int | None) -> bytes:
        header = ROUTE_HEADER.pack(socket.AF_INET, 32, self._source_bits, 0, 0, 0, 0, 0, flags)
        body = header + attribute(RTA_DST, address.to_bytes(4, "big")) + self._source
        return body if index is None else body + attribute(RTA_OIF, index.to_bytes(4, _NATIVE))

    def _decision(self, address: int, answer: Answer) -> Decision:
        if answer.message is None:
            return _refused(answer.error, bound=self._index is not None)
        entry = attributes(answer.message.body, ROUTE_HEADER.size)
        kind = answer.message.body[7]
        key = (kind, tuple(sorted((kind, value) for kind, value in entry.items() if kind != RTA_DST)))
        if key not in self._known:
            self._known[key] = self._resolve(address, kind, entry)
        return self._known[key]

    def _resolve(self, address: int, kind: int, entry: dict[int, bytes]) -> Decision:
        """Return the decision for a matching table entry. A second request gives the source that the kernel chooses."""
        if kind != RTN_UNICAST:
            return Decision(_KINDS.get(kind, RouteType.NONE))
        hops = _hops(entry.get(RTA_MULTIPATH, b""))
        hop = next((hop for hop in hops if self._index in (None, hop[0])), None)
        index = self._index if hop is None else hop[0]
        answer = self._netlink.request(RTM_GETROUTE, self._question(address, 0, index))
        if answer.message is None:
            return _refused(answer.error, bound=False)
        found = attributes(answer.message.body, ROUTE_HEADER.size)
        gateway = _gateway(found) if hop is None else hop[1]
        preferred = found.get(RTA_PREFSRC)
        return Decision(
            kind=_KINDS.get(answer.message.body[7], RouteType.NONE),
            index=int.from_bytes(found.get(RTA_OIF, bytes(4)), _NATIVE),
            gateway=gateway,
            source=None if preferred is None else address_number(preferred),
            spread=max(1, len(hops)),
        )


def _refused(code: int, *, bound: bool) -> Decision:
    """Return the decision for an errno. With a required interface, the kernel only reports missing routes."""
    if bound or code in (errno.ENETUNREACH, errno.EAGAIN):
        return NO_ROUTE
    kinds = {
        errno.EINVAL: RouteType.BLACKHOLE,
        errno.EHOSTUNREACH: RouteType.UNREACHABLE,
        errno.EACCES: RouteType.PROHIBITED,
    }
    if code not in kinds:
        raise LivenessError(f"the kernel does not say how it routes: {errno.errorcode.get(code, str(code))}")
    return Decision(kinds[code])


def _gateway(entry: dict[int, bytes]) -> bytes | None:
    if RTA_VIA in entry:
        return entry[RTA_VIA][2:]  # the first two bytes are the address family
    return entry.get(RTA_GATEWAY)


def _hops(multipath: bytes) -> list[tuple[int, bytes | None]]:
    """Return (interface, gateway) of the usable next hops of a multipath route, or of all if none is usable."""
    hops: list[tuple[int, bytes | None]] = []
    unusable: list[tuple[int, bytes | None]] = []
    at = 0
    while at + _HOP_BYTES <= len(multipath):
        length = int.from_bytes(multipath[at : at + 2], _NATIVE)
        if length < _HOP_BYTES:
            break
        index = int.from_bytes(multipath[at + 4 : at + 8], _NATIVE)
        hop = (index, _gateway(attributes(multipath[at : at + length], _HOP_BYTES)))
        (unusable if multipath[at + 2] & _HOP_UNUSABLE else hops).append(hop)
        at += (length + 3) & ~3
    return hops or unusable


_KINDS: Final = {
    RTN_UNICAST: RouteType.ROUTED,
    RTN_LOCAL: RouteType.LOCAL,
    RTN_BROADCAST: RouteType.BROADCAST,
    RTN_MULTICAST: RouteType.MULTICAST,
}
