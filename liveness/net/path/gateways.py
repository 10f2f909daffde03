"""Next hops during a scan: ARP requests twice a second, received ARP packets, and the kernel's neighbour table."""

import socket
from dataclasses import dataclass, field
from typing import Final

from liveness.net.arp import BROADCAST, arp_request, heard, listening
from liveness.net.neighbours import (
    IPV4_BYTES,
    NO_ENTRY,
    NUD_CONFIRMED,
    NUD_PERMANENT,
    NUD_VALID,
    kernel_entry,
    provoke,
)
from liveness.net.path.netlink import Netlink

REQUEST_EVERY_NS: Final = 500_000_000
BROADCAST_AFTER_NS: Final = 150_000_000
"""Time without an answer to unicast requests after which broadcasts follow: the MAC address may have changed."""
COMPARE_EVERY_NS: Final = 1_000_000_000
SILENT_NS: Final = 4_000_000_000
"""Time without an answer after which a gateway that used to answer is considered gone."""


@dataclass(slots=True)
class Gateway:
    """Next hop, and the evidence that it has its MAC address."""

    address: bytes
    mac: bytes
    confirmed_ns: int
    """When its MAC address was last found confirmed."""
    worked_ns: int
    """Time at which it certainly had its MAC address: an answer is read up to one check after it has arrived, and the
    kernel confirmed its entry some time ago."""
    known: bool = True
    """Whether its MAC address is known. That of a new route is unknown at first."""
    has_answered: bool = False
    """Whether it has ever answered. One that never answers is assumed to be unchanged."""
    fixed: bool = False
    """Whether it is a permanent entry of the kernel's table. Then no request is sent."""
    requested_ns: int = 0
    broadcast_sent: bool = False
    compared_ns: int = 0

    @property
    def name(self) -> str:
        """Address of the next hop as text."""
        return socket.inet_ntop(socket.AF_INET if len(self.address) == IPV4_BYTES else socket.AF_INET6, self.address)

    def silent(self, now_ns: int) -> bool:
        """Return whether it does not answer any more, or its MAC address is unknown."""
        return not self.known or (self.has_answered and not self.fixed and now_ns - self.confirmed_ns > SILENT_NS)


@dataclass(frozen=True, slots=True)
class Moved:
    """New MAC address of a next hop. At `since_ns` it certainly still had the old one."""

    gateway: Gateway
    before: bytes
    since_ns: int


@dataclass(slots=True)
class Gateways:
    """Next hops of a scan. Create it while packet sockets may still be opened."""

    interface: str
    index: int
    mac: bytes
    """MAC address of the interface."""
    source: int
    """IPv4 address of this host that ARP requests name as their sender."""
    all: dict[bytes, Gateway] = field(default_factory=dict)
    _received_ns: int = 0
    """When packets were last read. Whatever is read next has arrived since then."""
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Open a socket that receives ARP packets."""
        self._socket = listening(self.interface)
        self._socket.setblocking(False)

    def add(self, address: bytes, mac: bytes, now_ns: int) -> None:
        """Add a next hop. If `mac` is empty, its MAC address is resolved."""
        if address not in self.all:
            self.all[address] = Gateway(address, mac, now_ns, now_ns, known=bool(mac))

    def look(self, netlink: Netlink, now_ns: int) -> list[Moved]:
        """Send due requests, read packets, and return the next hops with a new MAC address. This never waits."""
        arrived_ns = self._received_ns or now_ns
        answers = self._receive(now_ns)
        moved = []
        for gateway in self.all.values():
            macs = answers.get(gateway.address)
            mac: bytes | None
            worked_ns = arrived_ns
            if macs and not gateway.fixed:
                gateway.has_answered = True
                mac = gateway.mac if gateway.mac in macs else macs[-1]  # if two claim the address, the known MAC wins
            else:
                mac, age_ns = self._compare(gateway, netlink, now_ns)
                worked_ns = now_ns - (0 if gateway.fixed else age_ns)  # a permanent entry needs no confirmation
            if mac is not None:
                if mac != gateway.mac:
                    if gateway.known:
                        moved.append(Moved(gateway, gateway.mac, gateway.worked_ns))
                    gateway.mac, gateway.known = mac, True
                gateway.confirmed_ns = now_ns
                gateway.worked_ns = max(gateway.worked_ns, worked_ns)
            if not gateway.fixed:
                self._request(gateway, now_ns)
        return moved

    def restart(self, now_ns: int) -> None:
        """Send requests to all next hops at once, after the link was down."""
        for gateway in self.all.values():
            gateway.requested_ns = 0
            gateway.compared_ns = 0
        self._receive(now_ns)  # discard: packets received before may be outdated

    def confirmed_since(self, since_ns: int) -> bool:
        """Return whether all next hops that ever answered, or must be resolved, were confirmed since a time."""
        return all(
            gateway.known and (gateway.fixed or not gateway.has_answered or gateway.confirmed_ns >= since_ns)
            for gateway in self.all.values()
        )

    def _receive(self, now_ns: int) -> dict[bytes, list[bytes]]:
        """Return the MAC addresses in answers to this host, by address.

        If another packet shows a new MAC address of a next hop, a broadcast request for it is sent at once.
        """
        self._received_ns = now_ns
        answers: dict[bytes, list[bytes]] = {}
        for sender in heard(self._socket):
            gateway = self.all.get(sender.address)
            if gateway is None:
                continue
            if sender.to == self.mac:
                answers.setdefault(sender.address, []).append(sender.mac)
            elif sender.mac != gateway.mac and not gateway.fixed and not gateway.broadcast_sent:
                gateway.broadcast_sent = True
                self._send(gateway, BROADCAST)
        return answers

    def _compare(self, gateway: Gateway, netlink: Netlink, now_ns: int) -> tuple[bytes | None, int]:
        """Return the MAC address in the kernel's entry of a gateway, and how long ago the kernel confirmed it in ns.

        The entry is read once a second. The MAC address is None if the entry was not read, or is not confirmed.
        """
        if now_ns < gateway.compared_ns + COMPARE_EVERY_NS:
            return None, 0
        gateway.compared_ns = now_ns
        state, mac, age_ns = kernel_entry(netlink, self.index, gateway.address) or NO_ENTRY
        gateway.fixed = bool(state & NUD_PERMANENT)
        if len(gateway.address) != IPV4_BYTES:
            provoke(self.index, gateway.address)
            believed = state & NUD_VALID
            gateway.has_answered |= bool(believed)
        else:  # answers of the gateway itself are newer and more reliable than the kernel's entry
            quiet = now_ns - gateway.confirmed_ns > COMPARE_EVERY_NS
            believed = state & NUD_CONFIRMED if quiet or gateway.fixed else 0
        return (mac if believed and len(mac) == len(self.mac) else None), age_ns

    def _request(self, gateway: Gateway, now_ns: int) -> None:
        if len(gateway.address) != IPV4_BYTES:
            return
        since_ns = now_ns - gateway.requested_ns
        waiting = gateway.confirmed_ns < gateway.requested_ns
        if since_ns >= REQUEST_EVERY_NS:
            gateway.requested_ns, gateway.broadcast_sent = now_ns, not gateway.known
            self._send(gateway, gateway.mac if gateway.known else BROADCAST)
        elif waiting and since_ns >= BROADCAST_AFTER_NS and not gateway.broadcast_sent:
            gateway.broadcast_sent = True
            self._send(gateway, BROADCAST)

    def _send(self, gateway: Gateway, to: bytes) -> None:
        request = arp_request(self.mac, self.source, int.from_bytes(gateway.address, "big"), to)
        try:
            self._socket.send(request)
        except OSError:  # down or queue full: other checks report that, and the next request follows soon
            return

    def close(self) -> None:
        """Close the socket. It may be called twice."""
        self._socket.close()
