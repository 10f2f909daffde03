"""MAC address of a neighbour: from the kernel's table, or by an ARP request (RFC 826) if the table has none."""

import contextlib
import errno
import os
import socket
import sys
import time
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from pyroute2 import IPRoute

from liveness.errors import LivenessError
from liveness.net.arp import arp_reply_mac, arp_request, listening
from liveness.net.links import Link
from liveness.net.path.netlink import ADDRESS_HEADER, NEIGHBOUR_HEADER, RTM_GETADDR, RTM_GETNEIGH, Netlink
from liveness.net.rtnetlink import attribute, attributes
from liveness.net.sockets import lost_interface

IPV4_BYTES = 4
TRIES = 3
TRY_S = 1.0

NUD_PERMANENT = 0x80
NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
"""States in which an entry has a MAC address, including STALE and NOARP."""
NDA_DST, NDA_LLADDR, NDA_CACHEINFO = 1, 2, 3
USER_HZ = os.sysconf("SC_CLK_TCK")
"""Unit in which the kernel gives the ages of entries: ticks a second."""
NS = 1_000_000_000
IFA_LOCAL = 2
DISCARD_PORT = 9
"""Discard service (RFC 863): data sent to it is thrown away."""
NAP_S = 0.05

NUD_CONFIRMED = 0x02 | 0x08 | 0x10 | 0x80
"""REACHABLE, DELAY, PROBE and PERMANENT. STALE is excluded: such an entry may be of a router that was replaced."""


def find_mac(link: Link, address: int, source: int) -> bytes:
    """Return the MAC address of `address` (host order) on `link`. Raises LivenessError if there is no answer.

    ARP requests name `source`, an address of this host, as their sender.
    """
    return known_mac(link, address) or request_mac(link, address, source)


def find_mac_of_ipv6(netlink: Netlink, link: Link, address: bytes) -> bytes:
    """Return the MAC address of an IPv6 neighbour (16 bytes), which the kernel resolves.

    Raises LivenessError if there is no answer.
    """
    deadline = time.monotonic() + TRIES * TRY_S
    while time.monotonic() < deadline:
        provoke(link.index, address)
        entry = kernel_entry(netlink, link.index, address)
        if entry is not None and entry.state & NUD_VALID and len(entry.mac) == len(link.mac):
            return entry.mac
        time.sleep(NAP_S)
    raise LivenessError(
        f"gateway {IPv6Address(address)} (an IPv6 next hop of IPv4 routes) does not answer on {link.name}: is it there,"
        " and has this interface an IPv6 address? or set network.gateway_mac"
    )


def provoke(index: int, address: bytes) -> None:
    """Make the kernel resolve an IPv6 neighbour by sending an empty datagram to its discard port."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as udp:
        udp.setblocking(False)
        udp.sendto(b"", (str(IPv6Address(address)), DISCARD_PORT, 0, index))


class KernelEntry(NamedTuple):
    """Entry for a neighbour in the kernel's table."""

    state: int
    """NUD_*."""
    mac: bytes
    age_ns: int
    """Time since the kernel last had evidence that the neighbour has this MAC address."""


NO_ENTRY = KernelEntry(0, b"", 0)


def kernel_entry(netlink: Netlink, index: int, address: bytes) -> KernelEntry | None:
    """Return the kernel's entry for a neighbour, or None if there is none."""
    family = socket.AF_INET if len(address) == IPV4_BYTES else socket.AF_INET6
    header = NEIGHBOUR_HEADER.pack(family, index, 0, 0, 0)
    answer = netlink.request(RTM_GETNEIGH, header + attribute(NDA_DST, address))
    if answer.message is not None:
        messages = [answer.message]
    elif answer.error == errno.ENOENT:
        return None
    else:  # before Linux 5.0, a single entry cannot be requested
        messages = netlink.dump(RTM_GETNEIGH, header)
    for message in messages:
        _, where, state, _, _ = NEIGHBOUR_HEADER.unpack_from(message.body)
        entry = attributes(message.body, NEIGHBOUR_HEADER.size)
        if where == index and entry.get(NDA_DST) == address:
            confirmed = entry.get(NDA_CACHEINFO, b"")[:4]  # the first of four: confirmed, used, updated, references
            age_ns = (int.from_bytes(confirmed, sys.byteorder) + 1) * NS // USER_HZ  # rounded up
            return KernelEntry(state, entry.get(NDA_LLADDR, b""), age_ns)
    return None


def addresses_of(netlink: Netlink, index: int) -> list[int]:
    """Return the IPv4 addresses of an interface (host order), in the kernel's order."""
    found = []
    for message in netlink.dump(RTM_GETADDR, ADDRESS_HEADER.pack(socket.AF_INET, 0, 0, 0, index)):
        where = ADDRESS_HEADER.unpack_from(message.body)[4]
        local = attributes(message.body, ADDRESS_HEADER.size).get(IFA_LOCAL)
        if where == index and local is not None:
            found.append(int.from_bytes(local, "big"))
    return found


def first_address(netlink: Netlink, index: int) -> int | None:
    """Return the first IPv4 address of an interface (host order), or None if it has none."""
    return next(iter(addresses_of(netlink, index)), None)


def known_mac(link: Link, address: int) -> bytes | None:
    """Return the MAC address in a confirmed entry of the kernel's table, or None."""
    wanted = str(IPv4Address(address))
    with IPRoute() as netlink:
        for entry in netlink.get_neighbours(socket.AF_INET):
            mac = entry.get_attr("NDA_LLADDR")
            here = entry["ifindex"] == link.index and entry.get_attr("NDA_DST") == wanted
            if here and mac and entry["state"] & NUD_CONFIRMED:
                return bytes.fromhex(mac.replace(":", ""))
    return None


def request_mac(link: Link, address: int, source: int) -> bytes:
    """Send up to 3 ARP requests 1 s apart and return the MAC address that answers. LivenessError if there is none."""
    with listening(link.name) as handle:
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
