"""Owns the choice of how frames leave: AF_XDP where it can be had, PACKET_TX_RING elsewhere, and the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyroute2 import IPRoute

from liveness.errors import UnsupportedError
from liveness.net.ring import TxRing
from liveness.net.tx_datagram import DatagramTxRing
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import XdpTxRing

AF_XDP, AF_PACKET = "af_xdp", "af_packet"
REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Transport:
    """The transmit rings of a scan, one a sender, what each is, and why it is not what would be faster."""

    rings: Sequence[TxRing]
    names: Sequence[str]
    """``af_xdp (zero-copy)``, ``af_xdp (copy)`` or ``af_packet``, a ring at a time."""
    reasons: Sequence[str]
    """One line for each thing that was tried and refused."""

    @property
    def name(self) -> str:
        """What all rings are, or are together."""
        return " + ".join(dict.fromkeys(self.names))


def transmit_queues(interface: str) -> int:
    """Return how many transmit queues an interface has: as many AF_XDP sockets can send on it at once."""
    with IPRoute() as netlink:
        for message in netlink.get_links():
            if message.get_attr("IFLA_IFNAME") == interface:
                return int(message.get_attr("IFLA_NUM_TX_QUEUES") or 1)
    return 1


def open_transport(
    interface: str,
    senders: int,
    longest_frame: int,
    multiple_of: int,
    transport: str,
    zero_copy: str,
    *,
    ethernet: bool = True,
) -> Transport:
    """Open one ring a sender for frames of up to `longest_frame` bytes, its slots a multiple of `multiple_of`.

    `transport` is auto, af_xdp or af_packet, `zero_copy` auto, never or require. Under auto each ring that AF_XDP
    refuses is a PACKET_TX_RING instead; otherwise UnsupportedError. Without `ethernet` the interface takes IP packets,
    which go as messages of a packet socket; UnsupportedError then if AF_XDP is asked for.
    """
    if not ethernet:
        return _open_without_ethernet(interface, senders, longest_frame, multiple_of, transport, zero_copy)
    rings: list[TxRing] = []
    names: list[str] = []
    reasons: list[str] = []
    queues = transmit_queues(interface)
    try:
        for sender in range(senders):
            ring, name = _open_one(interface, sender, queues, longest_frame, multiple_of, transport, zero_copy, reasons)
            rings.append(ring)
            names.append(name)
    except BaseException:
        for ring in rings:
            ring.close()
        raise
    return Transport(rings, names, tuple(dict.fromkeys(reasons)))


def _open_without_ethernet(
    interface: str, senders: int, longest_frame: int, multiple_of: int, transport: str, zero_copy: str
) -> Transport:
    reason = f"interface {interface} takes IP packets without an Ethernet header: AF_XDP does not tell it what they are"
    if transport == AF_XDP or zero_copy == REQUIRE:
        raise UnsupportedError(f"{reason}: set network.transport to auto or af_packet, and network.zero_copy to auto")
    rings = [DatagramTxRing(interface, longest_frame, multiple_of) for _ in range(senders)]
    return Transport(rings, [AF_PACKET] * senders, () if transport == AF_PACKET else (reason,))


def _open_one(
    interface: str,
    sender: int,
    queues: int,
    longest_frame: int,
    multiple_of: int,
    transport: str,
    zero_copy: str,
    reasons: list[str],
) -> tuple[TxRing, str]:
    if transport == AF_PACKET:
        return PacketTxRing(interface, longest_frame, multiple_of), AF_PACKET
    refusal = UnsupportedError(
        f"interface {interface} has {queues} transmit queues, one for each AF_XDP sender: set senders to {queues},"
        " or network.transport to auto"
    )
    if sender < queues:
        try:
            ring = XdpTxRing(interface, longest_frame, multiple_of, sender, zero_copy=zero_copy == REQUIRE)
        except UnsupportedError as error:
            refusal = error
            reasons.append(str(error))
        else:
            return ring, f"{AF_XDP} ({'zero-copy' if ring.zero_copy else 'copy'})"
    else:
        reasons.append(f"interface {interface} has {queues} transmit queues, fewer than senders")
    if transport == AF_XDP or zero_copy == REQUIRE:
        raise refusal
    return PacketTxRing(interface, longest_frame, multiple_of), AF_PACKET
