"""Next hops while a scan runs: ARP requests twice a second, the ARP packets heard, and the kernel's table."""

import socket
from dataclasses import dataclass, field
from typing import Final

from liveness.net.neighbours import (
    BROADCAST,
    IPV4_BYTES,
    NUD_CONFIRMED,
    NUD_PERMANENT,
    NUD_VALID,
    arp_request,
    arp_sender,
    kernel_entry,
    provoke,
)
from liveness.net.path.netlink import Netlink
from liveness.net.sockets import bind_packet_socket, open_packet_socket
from liveness.net.tpacket import ETH_P_ARP

ASK_EVERY_NS: Final = 500_000_000
BROADCAST_AFTER_NS: Final = 150_000_000
"""A gateway that has not answered unicast requests for so long may have another MAC address: broadcasts follow."""
COMPARE_EVERY_NS: Final = 1_000_000_000
SILENT_NS: Final = 4_000_000_000
"""A gateway that used to answer and has not for so long is gone."""
MOST_FRAMES: Final = 256


@dataclass(slots=True)
class Gateway:
    """One next hop, and when it was last seen to have the MAC address that frames go to."""

    address: bytes
    mac: bytes
    confirmed_ns: int
    known: bool = True
    """Whether its MAC address is known: that of a new route is not yet."""
    speaks: bool = False
    """Whether it has ever answered: one that never does is assumed to be unchanged."""
    fixed: bool = False
    """Whether it is a permanent entry of the kernel's table: then no request is sent."""
    asked_ns: int = 0
    everyone_asked: bool = False
    compared_ns: int = 0

    @property
    def name(self) -> str:
        """Its address as text."""
        return socket.inet_ntop(socket.AF_INET if len(self.address) == IPV4_BYTES else socket.AF_INET6, self.address)

    def silent(self, now_ns: int) -> bool:
        """Return whether it is gone."""
        return not self.known or (self.speaks and not self.fixed and now_ns - self.confirmed_ns > SILENT_NS)


@dataclass(frozen=True, slots=True)
class Moved:
    """A next hop got another MAC address; it was last seen to have the old one at `since_ns`."""

    gateway: Gateway
    before: bytes
    since_ns: int


@dataclass(slots=True)
class Gateways:
    """The next hops of a scan. Open it while packet sockets may still be opened."""

    interface: str
    index: int
    mac: bytes
    """Of the interface."""
    source: int
    """An IPv4 address of this host for ARP requests to name."""
    all: dict[bytes, Gateway] = field(default_factory=dict)
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Listen to ARP from now on."""
        self._socket = open_packet_socket()
        bind_packet_socket(self._socket, self.interface, ETH_P_ARP)
        self._socket.setblocking(False)

    def add(self, address: bytes, mac: bytes, now_ns: int) -> None:
        """Watch another next hop; without a MAC address it is resolved."""
        if address not in self.all:
            self.all[address] = Gateway(address, mac, now_ns, known=bool(mac))

    def look(self, netlink: Netlink, now_ns: int) -> list[Moved]:
        """Send due requests, read what came in, and return the next hops that have moved. It never waits."""
        answers = self._hear()
        moved = []
        for gateway in self.all.values():
            macs = answers.get(gateway.address)
            mac: bytes | None
            if macs and not gateway.fixed:
                gateway.speaks = True
                mac = gateway.mac if gateway.mac in macs else macs[-1]  # of two that claim an address the first stays
            else:
                mac = self._compare(gateway, netlink, now_ns)
            if mac is not None:
                if mac != gateway.mac:
                    if gateway.known:
                        moved.append(Moved(gateway, gateway.mac, gateway.confirmed_ns))
                    gateway.mac, gateway.known = mac, True
                gateway.confirmed_ns = now_ns
            if not gateway.fixed:
                self._ask(gateway, now_ns)
        return moved

    def restart(self) -> None:
        """Send requests to all at once: the link was down."""
        for gateway in self.all.values():
            gateway.asked_ns = 0
            gateway.compared_ns = 0
        self._hear()  # what was heard before may be out of date

    def confirmed_since(self, since_ns: int) -> bool:
        """Return whether all that ever answered, or must be resolved, were seen since a time."""
        return all(
            gateway.known and (gateway.fixed or not gateway.speaks or gateway.confirmed_ns >= since_ns)
            for gateway in self.all.values()
        )

    def _hear(self) -> dict[bytes, list[bytes]]:
        """Return the answers to this host by address. A next hop that others say has moved is asked at once."""
        answers: dict[bytes, list[bytes]] = {}
        for _ in range(MOST_FRAMES):
            try:
                frame = self._socket.recv(2048)
            except BlockingIOError:
                break
            except OSError:  # the interface is down: its state says so
                continue
            spoken = arp_sender(frame)
            gateway = None if spoken is None else self.all.get(spoken.address)
            if spoken is None or gateway is None:
                continue
            if spoken.to == self.mac:
                answers.setdefault(spoken.address, []).append(spoken.mac)
            elif spoken.mac != gateway.mac and not gateway.fixed and not gateway.everyone_asked:
                gateway.everyone_asked = True
                self._send(gateway, BROADCAST)
        return answers

    def _compare(self, gateway: Gateway, netlink: Netlink, now_ns: int) -> bytes | None:
        """Return the kernel's entry of a gateway, once a second, if it is confirmed."""
        if now_ns < gateway.compared_ns + COMPARE_EVERY_NS:
            return None
        gateway.compared_ns = now_ns
        entry = kernel_entry(netlink, self.index, gateway.address)
        state, mac = entry if entry is not None else (0, b"")
        gateway.fixed = bool(state & NUD_PERMANENT)
        if len(gateway.address) != IPV4_BYTES:
            provoke(self.index, gateway.address)
            believed = state & NUD_VALID
            gateway.speaks |= bool(believed)
        else:  # an answer of the gateway itself counts more, and is newer
            quiet = now_ns - gateway.confirmed_ns > COMPARE_EVERY_NS
            believed = state & NUD_CONFIRMED if quiet or gateway.fixed else 0
        return mac if believed and len(mac) == len(self.mac) else None

    def _ask(self, gateway: Gateway, now_ns: int) -> None:
        if len(gateway.address) != IPV4_BYTES:
            return
        since_ns = now_ns - gateway.asked_ns
        waiting = gateway.confirmed_ns < gateway.asked_ns
        if since_ns >= ASK_EVERY_NS:
            gateway.asked_ns, gateway.everyone_asked = now_ns, not gateway.known
            self._send(gateway, gateway.mac if gateway.known else BROADCAST)
        elif waiting and since_ns >= BROADCAST_AFTER_NS and not gateway.everyone_asked:
            gateway.everyone_asked = True
            self._send(gateway, BROADCAST)

    def _send(self, gateway: Gateway, to: bytes) -> None:
        request = arp_request(self.mac, self.source, int.from_bytes(gateway.address, "big"), to)
        try:
            self._socket.send(request)
        except OSError:  # down, or its queue is full: that is noticed elsewhere, and the next request follows
            return

    def close(self) -> None:
        """Close the socket. Twice is harmless."""
        self._socket.close()
