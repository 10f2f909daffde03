"""State of the interface by which probes leave: flags, carrier and MAC address."""

import socket
import sys
from dataclasses import dataclass, field
from typing import Final

from liveness.net.path.netlink import RTM_GETLINK, Netlink
from liveness.net.path.path import Path
from liveness.net.rtnetlink import LINK_HEADER, attribute, attributes

IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
IFLA_ADDRESS, IFLA_EXT_MASK, IFLA_CARRIER_DOWN_COUNT = 1, 29, 48
SKIP_STATISTICS: Final = (8).to_bytes(4, sys.byteorder)


@dataclass(slots=True)
class LinkState:
    """State of one interface, read at each check and compared with the previous one."""

    path: Path
    netlink: Netlink
    mac: bytes = field(init=False)
    """MAC address of the interface."""
    _flaps: int | None = field(default=None, init=False)
    """How often the carrier was lost; None before the first check, or where the kernel does not count it."""

    def __post_init__(self) -> None:
        """Begin with the MAC address of the path."""
        self.mac = self.path.mac

    def went_down(self, body: bytes) -> bool:
        """Return whether a message of the kernel about a link says that this one is down."""
        _, _, index, flags, _ = LINK_HEADER.unpack_from(body)
        return index == self.path.ifindex and not (flags & IFF_UP and flags & IFF_LOWER_UP)

    def problem(self) -> str | None:
        """Return the problem of the interface, "" if there is none, or None if the interface was removed."""
        header = LINK_HEADER.pack(socket.AF_UNSPEC, 0, self.path.ifindex, 0, 0)
        answer = self.netlink.request(RTM_GETLINK, header + attribute(IFLA_EXT_MASK, SKIP_STATISTICS))
        if answer.message is None:
            return None
        _, _, _, flags, _ = LINK_HEADER.unpack_from(answer.message.body)
        found = attributes(answer.message.body, LINK_HEADER.size)
        mac = found.get(IFLA_ADDRESS, self.mac) if self.path.ethernet else self.mac
        changed, self.mac = mac != self.mac, mac
        raw = found.get(IFLA_CARRIER_DOWN_COUNT)
        before, self._flaps = self._flaps, None if raw is None else int.from_bytes(raw, sys.byteorder)
        if not flags & IFF_UP:
            return f"interface {self.path.interface} is down"
        if not flags & IFF_LOWER_UP:
            return f"interface {self.path.interface} has no carrier"
        if before is not None and self._flaps != before:
            return f"interface {self.path.interface} was down for a moment"
        if changed:  # the following ARP request for the gateway announces the new address to it
            return f"interface {self.path.interface} has another MAC address: {mac.hex(':')}"
        return ""
