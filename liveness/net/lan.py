"""Neighbours among the targets: resolution of targets on the scanner's own link to MAC addresses by ARP (RFC 826).

Requests are sent through a packet socket. The kernel does not resolve the addresses, so that its neighbour table does
not fill with addresses that do not exist; its existing entries are used.
"""

import errno
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroute2 import IPRoute

from liveness.errors import LivenessError
from liveness.net.arp import FRAME_BYTES, arp_request, arp_sender, listening
from liveness.net.links import Link
from liveness.net.neighbours import NUD_CONFIRMED, TRIES, TRY_S
from liveness.net.ring import STALL_S
from liveness.net.sockets import lost_interface
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals

MAC_BYTES: Final = 6
NAP_S: Final = 0.01
"""Interval at which requests are sent: a burst has the requests of one hundredth of a second."""
LONGEST_BURST_S: Final = 0.05
"""Longest time whose requests are sent at once, for example after the machine was suspended."""
RECEIVE_BUFFER_BYTES: Final = 1 << 20
"""Buffer for the answers of a whole network at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Targets on the scanner's own link: those with a known MAC address, and those that did not answer."""

    addresses: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    """Addresses in ascending order, host-order uint32."""
    macs: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, MAC_BYTES), np.uint8))
    """MAC address of each of `addresses`, (len(addresses), 6)."""
    unresolved: Intervals = field(default_factory=Intervals.empty)

    def moved(self, before: bytes, after: bytes) -> "Neighbours":
        """Return a copy in which the station with the MAC address `before` has the MAC address `after`."""
        macs = self.macs.copy()
        macs[(macs == np.frombuffer(before, np.uint8)).all(axis=1)] = np.frombuffer(after, np.uint8)
        return replace(self, macs=macs)

    def at(self, address: int, mac: bytes) -> "Neighbours":
        """Return a copy in which one neighbour has another MAC address."""
        macs = self.macs.copy()
        macs[self.addresses == address] = np.frombuffer(mac, np.uint8)
        return replace(self, macs=macs)

    def __len__(self) -> int:
        """Return the number of neighbours with a known MAC address."""
        return len(self.addresses)


def find_neighbours(link: Link, wanted: Intervals, source: int, requests_pps: float) -> Neighbours:
    """Return the MAC addresses of those addresses in `wanted` that exist on `link`.

    For an address without a confirmed entry in the kernel's table, up to 3 requests are sent at least 1 s apart, at
    `requests_pps` requests per second at most. `source`, an address of this host, is their sender. Raises
    InterfaceDownError or InterfaceGoneError if the interface fails.
    """
    known = kernel_neighbours(link, wanted)
    silent = [address for address in wanted.address_at(np.arange(wanted.count)).tolist() if address not in known]
    if silent:
        with listening(link.name) as handle:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            handle.setblocking(False)
            try:
                for _ in range(TRIES):
                    known |= _request(handle, link, silent, source, requests_pps)
                    silent = [address for address in silent if address not in known]
                    if not silent:
                        break
            except OSError as error:
                raise lost_interface(link.name, error, link.index) from error
    addresses = sorted(known)
    macs = np.frombuffer(b"".join(known[address] for address in addresses), np.uint8)
    return Neighbours(
        np.array(addresses, np.uint32),
        macs.reshape(len(addresses), MAC_BYTES),
        Intervals.from_bounds(silent, silent),
    )


def kernel_neighbours(link: Link, wanted: Intervals) -> dict[int, bytes]:
    """Return the MAC addresses of those addresses in `wanted` that have a confirmed entry in the kernel's table."""
    known: dict[int, bytes] = {}
    with IPRoute() as netlink:
        for entry in netlink.get_neighbours(socket.AF_INET, ifindex=link.index):
            mac = bytes.fromhex((entry.get_attr("NDA_LLADDR") or "").replace(":", ""))
            if entry["state"] & NUD_CONFIRMED and len(mac) == MAC_BYTES and any(mac):
                known[parse_address(entry.get_attr("NDA_DST"))] = mac
    wanted_here = wanted.intersection(Intervals.from_bounds(list(known), list(known)))
    here = wanted_here.address_at(np.arange(wanted_here.count)).tolist()
    return {address: known[address] for address in here}


def _request(
    handle: socket.socket, link: Link, addresses: Sequence[int], source: int, requests_pps: float
) -> dict[int, bytes]:
    """Send a request for each address at the rate; return the answers until TRY_S after the last request."""
    wanted = set(addresses)
    answers: dict[int, bytes] = {}
    looked_s = sent_at_s = time.monotonic()
    sent, due = 0, 1.0
    while sent < len(addresses):
        now_s = time.monotonic()
        due = min(due + (now_s - looked_s) * requests_pps, max(1.0, LONGEST_BURST_S * requests_pps))
        looked_s = now_s
        while due >= 1 and sent < len(addresses) and _send(handle, arp_request(link.mac, source, addresses[sent])):
            sent, due, sent_at_s = sent + 1, due - 1, now_s
        if now_s - sent_at_s > STALL_S + 1 / requests_pps:
            raise LivenessError(f"interface {link.name}: no ARP request has left for {STALL_S:.0f} s: is it stuck?")
        _take_answers(handle, wanted, answers)
        time.sleep(min(NAP_S, 1 / requests_pps))
    deadline = time.monotonic() + TRY_S
    while time.monotonic() < deadline and len(answers) < len(wanted):
        _take_answers(handle, wanted, answers)
        time.sleep(NAP_S)
    return answers


def _send(handle: socket.socket, frame: bytes) -> bool:
    """Send a frame; return False if the queue is full."""
    try:
        handle.send(frame)
    except OSError as error:
        if error.errno in (errno.ENOBUFS, errno.EAGAIN):
            return False
        raise
    return True


def _take_answers(handle: socket.socket, wanted: set[int], answers: dict[int, bytes]) -> None:
    """Add the answers that came in to `answers`; of several answers for an address, the first one is used."""
    while True:
        try:
            frame = handle.recv(FRAME_BYTES)
        except BlockingIOError:
            return
        sender = arp_sender(frame)
        address = 0 if sender is None else int.from_bytes(sender.address, "big")
        if sender is not None and address in wanted:
            answers.setdefault(address, sender.mac)
