"""The probes that the golden replies answer, built by scapy from the design alone: no code of ours takes part."""

from dataclasses import dataclass
from typing import Any, Final

from scapy.asn1.asn1 import ASN1_NULL, ASN1_OID, ASN1_STRING
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.ntp import NTP
from scapy.layers.snmp import SNMP, SNMPget, SNMPvarbind
from scapy.packet import Raw

from tests.packets.reference import ExpectedCookie

KEY: Final = bytes(range(16))
PORT_FIRST: Final = 32768
PORT_LAST: Final = 61000
ATTEMPTS: Final = 2
SCANNER: Final = "203.0.113.2"
TARGET: Final = "198.51.100.7"
TARGETS: Final = (("192.0.2.0", "192.0.2.9"), ("198.51.100.0", "198.51.100.255"), ("203.0.113.128", "203.0.113.255"))
ROUTER: Final = "203.0.113.77"
STRANGER: Final = "192.0.2.55"
"""An address that is not among the targets."""
TTL: Final = 64
CONTACT: Final = b"https://example.org/scan"
SENT_NS: Final = 1_795_305_600_123_456_789
CONTROL_PORT: Final = 51833
PORTS: Final = {
    "icmp": 0,
    "tcp/22": 22,
    "tcp/80": 80,
    "tcp/443": 443,
    "dns": 53,
    "ntp": 123,
    "udp/1900": 1900,
    "snmp": 161,
    "tcp/control": CONTROL_PORT,
}
SYN_OPTIONS: Final = [("MSS", 1460), ("NOP", None), ("WScale", 8), ("NOP", None), ("NOP", None), ("SAckOK", b"")]

SEARCH: Final = (
    b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
    b"ST: upnp:rootdevice\r\nUSER-AGENT: unix/5 UPnP/1.1 liveness/%04X\r\n\r\n"
)


@dataclass(frozen=True)
class Sent:
    """One probe as it was sent; `target` is dotted."""

    name: str
    attempt: int = 0
    target: str = TARGET

    @property
    def protocol(self) -> int:
        return 1 if self.name == "icmp" else 6 if self.name.startswith("tcp/") else 17

    @property
    def port(self) -> int:
        return PORTS[self.name]

    @property
    def cookie(self) -> ExpectedCookie:
        number = int.from_bytes(bytes(int(part) for part in self.target.split(".")), "big")
        return ExpectedCookie(number, self.protocol, self.port, KEY)

    @property
    def source_port(self) -> int:
        return self.cookie.source_port(PORT_FIRST, PORT_LAST, ATTEMPTS, self.attempt)

    @property
    def sequence(self) -> int:
        return self.cookie.sequence

    @property
    def transaction(self) -> int:
        return self.cookie.transaction

    @property
    def request_id(self) -> int:
        return 1 << 30 | self.sequence >> 2

    @property
    def echo_payload(self) -> bytes:
        target = self.cookie.target.to_bytes(4, "big")
        return self.cookie.timestamp + target + SENT_NS.to_bytes(8, "big") + CONTACT

    @property
    def transport(self) -> Any:  # noqa: ANN401 - scapy's layers have no types
        """The probe behind its IP header."""
        ports: dict[str, Any] = {"sport": self.source_port, "dport": self.port}
        match self.name:
            case "icmp":
                identifier, number = self.cookie.echo(self.attempt)
                return ICMP(type=8, id=identifier, seq=number) / Raw(self.echo_payload)
            case "dns":
                return UDP(**ports) / DNS(id=self.transaction, rd=1, qd=[DNSQR(qname="google.com", qtype="A")])
            case "ntp":
                return UDP(**ports) / Raw(bytes([0x23]) + bytes(39) + self.cookie.timestamp)
            case "udp/1900":
                return UDP(**ports) / Raw(SEARCH % self.transaction)
            case "snmp":
                return UDP(**ports) / Raw(bytes(snmp_message(self, SNMPget, value=None)))
            case _:
                return TCP(**ports, seq=self.sequence, flags="S", window=64240, options=SYN_OPTIONS)

    @property
    def packet(self) -> Any:  # noqa: ANN401 - as above
        """The probe from its IP header on."""
        return IP(src=SCANNER, dst=self.target, id=self.cookie.ip_id, flags="DF", ttl=TTL) / self.transport

    def quoted(self, ttl: int = 1) -> bytes:
        """Return the probe as a router sees it that decrements its TTL to `ttl`."""
        packet = self.packet
        packet.ttl = ttl
        return bytes(packet)


def ntp_server_packet(sent: Sent, **fields: Any) -> bytes:  # noqa: ANN401 - as scapy takes them
    """Return a server's answer as scapy builds it; `fields` are those of scapy's NTP header."""
    header: dict[str, Any] = {"version": 4, "mode": 4, "leap": 0, "stratum": 2, "poll": 6, "precision": -20}
    packet = bytearray(bytes(NTP(**{**header, "id": "192.0.2.1", **fields})))
    packet[24:32] = sent.cookie.timestamp
    packet[32:48] = bytes(range(100, 116))
    return bytes(packet)


def snmp_message(
    sent: Sent,
    kind: Any,  # noqa: ANN401 - one of scapy's PDUs
    value: bytes | None = b"Linux lab 6.1",
    version: str = "v2c",
    **fields: Any,  # noqa: ANN401
) -> SNMP:
    """Return an SNMP message about sysDescr.0 as scapy builds it; `fields` are those of scapy's PDU."""
    bound = ASN1_NULL(0) if value is None else ASN1_STRING(value)  # type: ignore[arg-type]  # scapy encodes 0
    bindings = [SNMPvarbind(oid=ASN1_OID("1.3.6.1.2.1.1.1.0"), value=bound)]
    pdu = kind(**{"id": sent.request_id, "varbindlist": bindings, **fields})
    return SNMP(version=version, community="public", PDU=pdu)
