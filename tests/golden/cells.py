"""What a cell of the reply matrix is: a frame, what must be read from it, and what tshark must see in it."""

from dataclasses import dataclass, field
from typing import Any, Final

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.golden.sent import SCANNER, SENT_NS, Sent

OWN_MAC: Final = "02:00:00:00:00:01"
GATEWAY_MAC: Final = "02:00:00:00:00:02"
FIRST_RTT_NS: Final = 7_654_321

Expected = dict[str, str | int]
Fields = dict[str, Any]
"""Expected values that are handed on as keyword arguments."""


@dataclass(frozen=True)
class Cell:
    """One packet: `expected` with checksums verified, `ignoring` without; `tshark` names fields and their values."""

    name: str
    frame: bytes
    expected: Expected
    ignoring: Expected
    tshark: dict[str, str]


@dataclass
class Table:
    """The cells of one capture, captured a millisecond apart; every reply has numbers of its own in its headers."""

    cells: list[Cell] = field(default_factory=list)

    @property
    def time_ns(self) -> int:
        """When the next packet is captured."""
        return SENT_NS + FIRST_RTT_NS + len(self.cells) * 1_000_001

    def packet(self, sent: Sent, transport: Any, source: str | None = None, **header: Any) -> Any:  # noqa: ANN401
        """Return the packet that carries `transport` to the scanner, from the target or from `source`."""
        numbers = {"ttl": 30 + len(self.cells) % 200, "id": 0x4000 + 7 * len(self.cells)}
        addresses = {"src": source or sent.target, "dst": SCANNER}
        return IP(**{**addresses, **numbers, **header}) / transport

    def error(self, sent: Sent, code: tuple[int, int], quote: bytes, source: str | None, **header: Any) -> Any:  # noqa: ANN401
        """Return an ICMP error as a packet; `header` are fields of scapy's ICMP header."""
        return self.packet(sent, ICMP(type=code[0], code=code[1], **header) / Raw(quote), source)

    def accepted(
        self,
        name: str,
        packet: Any,  # noqa: ANN401
        sent: Sent,
        kind: str,
        *,
        frame: bytes | None = None,
        rejected_strictly: str | None = None,
        tshark: dict[str, str] | None = None,
        **expected: str | int,
    ) -> None:
        """Add a reply. `frame` is what carries the packet, if not a plain Ethernet header.

        `rejected_strictly` is the reason for which it is accepted with checksums ignored only.
        """
        segment = packet.getlayer(TCP)
        reply: Expected = {
            "probe": sent.name,
            "kind": kind,
            "target": sent.target,
            "source": str(packet[IP].src),
            "attempt": sent.attempt,
            "tier": "strong",
            "icmp_type": 0,
            "icmp_code": 0,
            "time_ns": self.time_ns,
            "rtt_ns": -1,
            "reply_ttl": packet[IP].ttl,
            "quoted_ttl": 0,
            "tcp_flags": int(segment.flags) & 0xFF if segment else 0,
            "tcp_window": segment.window if segment else 0,
            "ip_id": packet[IP].id,
            "length": len(bytes(packet)),
            **expected,
        }
        strictly = {"rejected": rejected_strictly} if rejected_strictly else reply
        self._add(name, ethernet(packet) if frame is None else frame, dict(strictly), reply, tshark)

    def rejected(
        self,
        name: str,
        packet: Any,  # noqa: ANN401
        reason: str,
        *,
        frame: bytes | None = None,
        tshark: dict[str, str] | None = None,
    ) -> None:
        """Add a packet that is no reply, whether checksums are verified or not."""
        self._add(
            name, ethernet(packet) if frame is None else frame, {"rejected": reason}, {"rejected": reason}, tshark
        )

    def _add(
        self, name: str, frame: bytes, expected: Expected, ignoring: Expected, tshark: dict[str, str] | None
    ) -> None:
        if name in {cell.name for cell in self.cells}:
            raise ValueError(f"two cells are called {name!r}")
        self.cells.append(Cell(name, frame, expected, ignoring, tshark or {}))


def ethernet(packet: Any) -> bytes:  # noqa: ANN401 - scapy
    """Return a packet in an Ethernet frame to the scanner."""
    return bytes(Ether(src=GATEWAY_MAC, dst=OWN_MAC, type=0x0800) / packet)


def altered(data: bytes, at: int, new: bytes) -> bytes:
    """Return data with some bytes replaced."""
    return data[:at] + new + data[at + len(new) :]
