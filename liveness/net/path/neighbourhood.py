"""Neighbours among the targets during a scan: regular ARP requests, and detection of changed MAC addresses."""

import socket
from dataclasses import dataclass, field
from typing import Final

from liveness.net.arp import BROADCAST, arp_request, heard, listening
from liveness.net.lan import Neighbours

NS: Final = 1_000_000_000
ROUND_S: Final = 10.0
"""Time in which a request is sent to every neighbour, if MOST_PPS allows it."""
MOST_PPS: Final = 100.0
ANSWER_NS: Final = 200_000_000
"""Time to wait for the answer to a request."""


@dataclass(frozen=True, slots=True)
class NeighbourMoved:
    """New MAC address of a neighbour. At `since_ns` it certainly still had the old one."""

    address: int
    before: bytes
    mac: bytes
    since_ns: int


@dataclass(slots=True)
class _Question:
    """Request without an answer from the known MAC address so far."""

    requested_ns: int
    broadcast: bool
    """Whether the request was a broadcast, and not sent to the known MAC address only."""
    claimed: bytes | None = None


@dataclass(slots=True)
class Neighbourhood:
    """Neighbours of a scan. Create it while packet sockets may still be opened.

    A neighbour has moved if another MAC address answers a broadcast request and the known MAC address does not. Other
    ARP packets, such as announcements, only cause a request.
    """

    interface: str
    mac: bytes
    """MAC address of the interface."""
    source: int
    """IPv4 address of this host that requests name as their sender."""
    neighbours: Neighbours
    now_ns: int
    _macs: dict[int, bytes] = field(init=False)
    _confirmed_ns: dict[int, int] = field(init=False)
    """When each neighbour certainly had its MAC address."""
    _received_ns: int = field(init=False)
    """When packets were last read. Whatever is read next has arrived since then."""
    _questions: dict[int, _Question] = field(default_factory=dict, init=False)
    _turn: int = field(default=0, init=False)
    _due: float = field(default=0.0, init=False)
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Open a socket that receives ARP packets."""
        addresses = self.neighbours.addresses.tolist()
        self._macs = {address: mac.tobytes() for address, mac in zip(addresses, self.neighbours.macs, strict=True)}
        self._confirmed_ns = dict.fromkeys(addresses, self.now_ns)
        self._received_ns = self.now_ns
        self._socket = listening(self.interface)
        self._socket.setblocking(False)

    def look(self, now_ns: int, mac: bytes) -> list[NeighbourMoved]:
        """Read packets, send due requests, and return the neighbours with a new MAC address. This never waits."""
        elapsed_s, self.now_ns, self.mac = (now_ns - self.now_ns) / NS, now_ns, mac
        self._receive()
        moved = self._judge()
        self._request_next(elapsed_s)
        return moved

    def station_moved(self, before: bytes, mac: bytes) -> None:
        """Record that the station with the MAC address `before` now has the MAC address `mac`."""
        for address in [address for address, known in self._macs.items() if known == before]:
            self._macs[address] = mac
            self._confirmed_ns[address] = self.now_ns
            self._questions.pop(address, None)

    def _receive(self) -> None:
        arrived_ns, self._received_ns = self._received_ns, self.now_ns
        for sender in heard(self._socket):
            address = int.from_bytes(sender.address, "big")
            known = self._macs.get(address)
            if known is None:
                continue
            question = self._questions.get(address)
            if sender.to == self.mac and sender.mac == known:
                self._confirmed_ns[address] = arrived_ns
                self._questions.pop(address, None)
            elif sender.to == self.mac and question is not None and question.broadcast:
                question.claimed = sender.mac
            elif sender.mac != known and (question is None or not question.broadcast):
                self._request(address, broadcast=True)

    def _judge(self) -> list[NeighbourMoved]:
        """Evaluate requests that are ANSWER_NS old; return the neighbours with a new MAC address."""
        moved = []
        for address, question in list(self._questions.items()):
            if self.now_ns - question.requested_ns < ANSWER_NS:
                continue
            if question.claimed is not None:
                before = self._macs[address]
                moved.append(NeighbourMoved(address, before, question.claimed, self._confirmed_ns[address]))
                self._macs[address], self._confirmed_ns[address] = question.claimed, question.requested_ns
            del self._questions[address]
            if question.claimed is None and not question.broadcast:  # the known MAC address did not answer: broadcast
                self._request(address, broadcast=True)
        return moved

    def _request_next(self, elapsed_s: float) -> None:
        addresses = self.neighbours.addresses
        self._due = min(self._due + elapsed_s * min(MOST_PPS, len(addresses) / ROUND_S), MOST_PPS)
        while self._due >= 1:
            self._due -= 1
            address = int(addresses[self._turn])
            self._turn = (self._turn + 1) % len(addresses)
            if address not in self._questions:
                self._request(address, broadcast=False)

    def _request(self, address: int, *, broadcast: bool) -> None:
        self._questions[address] = _Question(self.now_ns, broadcast)
        to = BROADCAST if broadcast else self._macs[address]
        try:
            self._socket.send(arp_request(self.mac, self.source, address, to))
        except OSError:  # down or queue full: other checks report that, and the next request follows in its turn
            return

    def close(self) -> None:
        """Close the socket. It may be called twice."""
        self._socket.close()
