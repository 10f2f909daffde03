"""Capture of replies: by packet sockets, or by an XDP program in the driver."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

from liveness.errors import UnsupportedError
from liveness.net.links import Link, carrier_awaited
from liveness.net.rx_packet import PacketRxRing
from liveness.net.rx_xdp import XdpRxRing, open_xdp_rings
from liveness.net.xdp_capture import NOT_ATTACHED, REMEDY, refused
from liveness.net.xdp_program import program_attached
from liveness.system.bpf import Program

AUTO, PACKET, XDP = "auto", "packet", "xdp"


@dataclass(frozen=True, slots=True)
class Receiving:
    """Open receive rings, one for each receiver."""

    rings: Sequence[PacketRxRing | XdpRxRing]
    name: str
    """How packets are captured: PACKET or XDP."""


def open_receiving(
    interface: str,
    program: Program,
    receivers: int,
    ring_mib: int,
    capture: str,
    *,
    ethernet: bool = True,
) -> Receiving:
    """Open rings for what the filter `program` accepts on an interface; AUTO is PACKET.

    A link that loses its carrier when the program is attached is awaited. Raises UnsupportedError if the interface or
    this machine has no such capture.
    """
    if capture != XDP:
        return Receiving(_packet_rings(interface, program, receivers, ring_mib, ethernet=ethernet), PACKET)
    if not ethernet:
        raise _without_ethernet(interface)
    with carrier_awaited(interface):
        rings = open_xdp_rings(interface, program, ring_mib, receivers)
    return Receiving(rings, XDP)


def check_capture(link: Link, capture: str) -> None:
    """Raise UnsupportedError if a capture is not possible on an interface, as far as that shows without privileges."""
    if capture != XDP:
        return
    if not link.ethernet:
        raise _without_ethernet(link.name)
    if program_attached(link.index):
        raise refused(link.name, OSError(errno.EBUSY, os.strerror(errno.EBUSY)), NOT_ATTACHED)


def _without_ethernet(interface: str) -> UnsupportedError:
    return UnsupportedError(
        f"capture by XDP on {interface}: its packets have no Ethernet header, which the program needs: {REMEDY}"
    )


def _packet_rings(
    interface: str, program: Program, receivers: int, ring_mib: int, *, ethernet: bool
) -> list[PacketRxRing]:
    rings: list[PacketRxRing] = []
    try:
        for _ in range(receivers):
            first = rings[0] if rings else None
            rings.append(PacketRxRing(interface, program, ring_mib, shared_with=first, ethernet=ethernet))
    except BaseException:
        for ring in rings:
            ring.close()
        raise
    return rings
