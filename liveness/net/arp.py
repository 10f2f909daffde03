"""ARP (RFC 826): requests, and the senders of the packets that an interface receives."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from liveness.net.sockets import bind_packet_socket, open_packet_socket
from liveness.net.tpacket import ETH_P_ARP, ETH_P_IP

HARDWARE_ETHERNET: Final = 1
REQUEST: Final = 1
REPLY: Final = 2
ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
ETHERNET: Final = struct.Struct("!6s6sH")
BROADCAST: Final = b"\xff" * 6
MOST_FRAMES: Final = 256
"""Most packets that one call of `heard` reads."""
FRAME_BYTES: Final = 2048


def listening(interface: str) -> socket.socket:
    """Return a socket that receives the ARP packets of an interface, and sends frames there."""
    handle = open_packet_socket()
    try:
        bind_packet_socket(handle, interface, ETH_P_ARP)
    except BaseException:
        handle.close()
        raise
    return handle


def arp_request(mac: bytes, source: int, address: int, to: bytes = BROADCAST) -> bytes:
    """Return an Ethernet frame with an ARP request for `address` (RFC 826), as broadcast or to one MAC address."""
    body = ARP.pack(
        HARDWARE_ETHERNET,
        ETH_P_IP,
        6,
        4,
        REQUEST,
        mac,
        source.to_bytes(4, "big"),
        bytes(6),
        address.to_bytes(4, "big"),
    )
    return ETHERNET.pack(to, mac, ETH_P_ARP) + body


@dataclass(frozen=True, slots=True)
class ArpSender:
    """Sender of an ARP packet: its addresses, and the destination if the packet is a unicast answer."""

    address: bytes
    mac: bytes
    to: bytes | None
    """MAC address that the answer was sent to; None for requests and announcements."""


def arp_sender(frame: bytes) -> ArpSender | None:
    """Return the sender of an ARP packet, or None for other packets and for ARP probes (RFC 5227)."""
    operation, mac, sender = _fields(frame)
    if operation not in (REQUEST, REPLY) or not any(sender) or not any(mac) or mac[0] & 1:
        return None
    to = bytes(frame[:6])
    return ArpSender(sender, mac, to if operation == REPLY and not to[0] & 1 else None)


def heard(handle: socket.socket) -> Iterator[ArpSender]:
    """Yield the senders of the packets that have arrived at a socket that does not wait, MOST_FRAMES at most."""
    for _ in range(MOST_FRAMES):
        try:
            frame = handle.recv(FRAME_BYTES)
        except BlockingIOError:
            return
        except OSError:  # the interface is down, which the check of the link reports
            continue
        sender = arp_sender(frame)
        if sender is not None:
            yield sender


def arp_reply_mac(frame: bytes, address: int) -> bytes | None:
    """Return the MAC address in `frame` if it is an ARP reply from `address`, otherwise None."""
    operation, mac, sender = _fields(frame)
    return mac if operation == REPLY and sender == address.to_bytes(4, "big") else None


def _fields(frame: bytes) -> tuple[int, bytes, bytes]:
    """Return the operation of an ARP packet for IPv4 on Ethernet, and the addresses of its sender; 0 for others."""
    if len(frame) < ETHERNET.size + ARP.size:
        return 0, b"", b""
    *kind, operation, mac, sender, _, _ = ARP.unpack_from(frame, ETHERNET.size)
    if kind != [HARDWARE_ETHERNET, ETH_P_IP, 6, 4]:
        return 0, b"", b""
    return operation, mac, sender
