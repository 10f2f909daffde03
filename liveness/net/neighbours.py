"""Owns finding a neighbour's MAC address: the kernel's table first, an ARP request (RFC 826) where it knows nothing."""

import socket
import struct
import time
from ipaddress import IPv4Address

from pyroute2 import IPRoute

from liveness.errors import LivenessError
from liveness.net.links import Link
from liveness.net.sockets import bind_packet_socket, lost_interface, open_packet_socket
from liveness.net.tpacket import ETH_P_ARP, ETH_P_IP

TRIES = 3
TRY_S = 1.0

NUD_CONFIRMED = 0x02 | 0x08 | 0x10 | 0x80
"""REACHABLE, DELAY, PROBE, PERMANENT. A STALE entry may be of a router long replaced: it is asked again."""

HARDWARE_ETHERNET = 1
REQUEST = 1
REPLY = 2
ARP = struct.Struct("!HHBBH6s4s6s4s")
ETHERNET = struct.Struct("!6s6sH")
BROADCAST = b"\xff" * 6


def find_mac(link: Link, address: int, source: int) -> bytes:
    """Return the MAC address of `address` (host order) on `link`; LivenessError if nobody answers.

    An ARP request names `source`, an address of this host, as the one to answer to.
    """
    return known_mac(link, address) or ask_mac(link, address, source)


def known_mac(link: Link, address: int) -> bytes | None:
    """Return the MAC address that the kernel's table holds as confirmed, or None."""
    wanted = str(IPv4Address(address))
    with IPRoute() as netlink:
        for entry in netlink.get_neighbours(socket.AF_INET):
            mac = entry.get_attr("NDA_LLADDR")
            here = entry["ifindex"] == link.index and entry.get_attr("NDA_DST") == wanted
            if here and mac and entry["state"] & NUD_CONFIRMED:
                return bytes.fromhex(mac.replace(":", ""))
    return None


def ask_mac(link: Link, address: int, source: int) -> bytes:
    """Send ARP requests, 3 tries of 1 s, and return the MAC address that answers; LivenessError if none does."""
    with open_packet_socket() as handle:
        bind_packet_socket(handle, link.name, ETH_P_ARP)
        for _ in range(TRIES):
            try:
                handle.send(arp_request(link.mac, source, address))
                mac = _answer(handle, address)
            except OSError as error:
                raise lost_interface(link.name, error) from error
            if mac is not None:
                return mac
    raise LivenessError(
        f"gateway {IPv4Address(address)} answers no ARP request on {link.name}: is it there? or set network.gateway_mac"
    )


def arp_request(mac: bytes, source: int, address: int) -> bytes:
    """Return the Ethernet frame that asks who has `address` (RFC 826)."""
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
    return ETHERNET.pack(BROADCAST, mac, ETH_P_ARP) + body


def arp_reply_mac(frame: bytes, address: int) -> bytes | None:
    """Return the MAC address in `frame` if it is an ARP reply from `address`."""
    if len(frame) < ETHERNET.size + ARP.size:
        return None
    *kind, operation, mac, sender, _, _ = ARP.unpack_from(frame, ETHERNET.size)
    if kind != [HARDWARE_ETHERNET, ETH_P_IP, 6, 4] or operation != REPLY or sender != address.to_bytes(4, "big"):
        return None
    return bytes(mac)


def _answer(handle: socket.socket, address: int) -> bytes | None:
    deadline = time.monotonic() + TRY_S
    while (left_s := deadline - time.monotonic()) > 0:
        handle.settimeout(left_s)
        try:
            frame = handle.recv(2048)
        except TimeoutError:
            return None
        mac = arp_reply_mac(frame, address)
        if mac is not None:
            return mac
    return None
