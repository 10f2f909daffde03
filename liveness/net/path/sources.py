"""Source addresses of a scan: whether this host has them, and whether the kernel routes all of them alike."""

from collections.abc import Sequence

from liveness.errors import UsageError
from liveness.net.path.cells import source_classes
from liveness.net.path.netlink import Netlink
from liveness.net.path.path import brief
from liveness.net.path.routing import Decision, RouteType, decide_for
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals, union

ADDRESSES_SHOWN = 4


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


def _addresses(addresses: Sequence[int]) -> str:
    shown = ", ".join(format_address(address) for address in addresses[:ADDRESSES_SHOWN])
    return shown if len(addresses) <= ADDRESSES_SHOWN else f"{shown} and {len(addresses) - ADDRESSES_SHOWN:,} more"
