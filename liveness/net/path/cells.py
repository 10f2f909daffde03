"""Cells of the address space: parts within which the kernel's routing tables and rules lead every packet the same way.

The prefixes in all tables and rules divide the address space into cells. A prefix with the same route as the prefix
around it does not divide a cell: a table with all prefixes of the Internet and one uplink has few cells.
"""

import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.net.path.netlink import ROUTE_HEADER, RTM_GETROUTE, RTM_GETRULE, Message, Netlink
from liveness.net.rtnetlink import attributes
from liveness.space.intervals import ADDRESS_SPACE

ADDRESS_BITS: Final = 32
RTA_DST, RTA_TABLE = 1, 15
FRA_DST, FRA_SRC, FRA_SUPPRESS_PREFIXLEN = 1, 2, 14
_NATIVE: Final = sys.byteorder
_NO_LIMIT: Final = b"\xff" * 4
_TABLE_FIRST: Final = struct.pack("=HH", 8, RTA_TABLE)
_THEN_DESTINATION: Final = struct.pack("=HH", 8, RTA_DST)


def source_classes(netlink: Netlink, sources: Sequence[int]) -> list[int]:
    """Return one source per class of sources that all rules treat alike."""
    cuts = {0}
    for message in netlink.dump(RTM_GETRULE, ROUTE_HEADER.pack(socket.AF_INET, *[0] * 8)):
        length = message.body[2]
        if length:
            base = address_number(attributes(message.body, ROUTE_HEADER.size).get(FRA_SRC, b""))
            cuts |= {base, base + (1 << (32 - length))}
    edges = np.array(sorted(cuts), np.int64)
    classes = np.searchsorted(edges, np.array(sources, np.int64), side="right")
    return [sources[at] for at in sorted(np.unique(classes, return_index=True)[1].tolist())]


def cell_bounds(netlink: Netlink) -> NDArray[np.uint64]:
    """Return the first address of each cell, ascending, beginning with 0."""
    cuts, limits = {0}, set()
    for message in netlink.dump(RTM_GETRULE, ROUTE_HEADER.pack(socket.AF_INET, *[0] * 8)):
        rule = attributes(message.body, ROUTE_HEADER.size)
        length = message.body[1]
        if length:
            base = address_number(rule.get(FRA_DST, b""))
            cuts |= {base, base + (1 << (32 - length))}
        limit = int.from_bytes(rule.get(FRA_SUPPRESS_PREFIXLEN, _NO_LIMIT), _NATIVE)
        if limit <= ADDRESS_BITS:
            limits.add(limit)
    routes = netlink.dump(RTM_GETROUTE, ROUTE_HEADER.pack(socket.AF_INET, *[0] * 8))
    for entries in _tables(routes, sorted(limits)).values():
        cuts |= changes(entries)
    cuts.discard(ADDRESS_SPACE)
    return np.array(sorted(cuts), np.uint64)


def _tables(routes: Iterable[Message], limits: Sequence[int]) -> dict[bytes, dict[tuple[int, int], object]]:
    """Return the entries of each table: what a prefix (base, length) leads to, as comparable objects.

    `limits` are prefix lengths up to which a rule ignores entries (suppress_prefixlength).
    """
    tables: dict[bytes, dict[tuple[int, int], object]] = {}
    for message in routes:
        body = message.body
        length = body[1]
        if body[12:16] == _TABLE_FIRST and body[20:24] == _THEN_DESTINATION:  # fast path: the kernel's usual layout
            number, base = body[16:20], int.from_bytes(body[24:28], "big")
            rest: object = body[28:]
        elif body[12:16] == _TABLE_FIRST and length == 0:  # a default route has no destination
            number, base, rest = body[16:20], 0, body[20:]
        else:
            entry = attributes(body, ROUTE_HEADER.size)
            base = address_number(entry.pop(RTA_DST, bytes(4)))
            number = entry.pop(RTA_TABLE, body[4].to_bytes(4, _NATIVE))
            rest = tuple(sorted(entry.items()))
        entries = tables.setdefault(number, {})
        # entries of one prefix are combined, because their order and suppression decide which one is used
        leads: object = (body[3], body[7], rest)
        if limits:
            leads = leads, tuple(length <= limit for limit in limits)
        before = entries.get((base, length))
        entries[base, length] = leads if before is None else (before, leads)
    return tables


def changes(entries: Mapping[tuple[int, int], object]) -> set[int]:
    """Return the addresses at which the longest matching prefix changes what it leads to, in ascending address space.

    `entries` are what prefixes (base, length) lead to. Addresses without a matching prefix lead nowhere.
    """
    turns: list[tuple[int, object]] = [(0, None)]  # possible changes: address and new route; later items override
    around: list[tuple[int, object]] = [(ADDRESS_SPACE, None)]  # stack of enclosing prefixes: end and route

    def leave(until: int) -> None:
        while around[-1][0] <= until and len(around) > 1:
            end, _ = around.pop()
            turns.append((end, around[-1][1]))

    for base, length in sorted(entries):
        leave(base)
        leads = entries[base, length]
        turns.append((base, leads))
        around.append((base + (1 << (32 - length)), leads))
    leave(ADDRESS_SPACE)
    final = dict(turns)
    found, current = set(), None
    for at, leads in final.items():  # ascending: a dict keeps the order of first insertion
        if leads != current and at < ADDRESS_SPACE:
            found.add(at)
        current = leads
    return found


def address_number(address: bytes) -> int:
    """Return the address of a netlink attribute as a number; the first four bytes count."""
    return int.from_bytes(address[:4], "big")
