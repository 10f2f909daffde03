"""Frames for tests: a scanner that makes and reads them, and scapy's replies to them in the manner of other stacks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scapy.asn1.asn1 import ASN1_OID, ASN1_STRING
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.snmp import SNMP, SNMPinform, SNMPresponse, SNMPvarbind
from scapy.packet import Raw

from liveness.packets.parse import ACCEPTED, FIELDS
from liveness.probes.fill import fill_frames, hash_targets, put_template
from liveness.probes.match import match_frame
from liveness.probes.probe import Probe
from liveness.probes.registry import probes_of_run
from liveness.probes.run_constants import CookieParameters, RunConstants, build_constants
from liveness.probes.tcp import OPTIONS
from liveness.probes.template import LinkAddresses
from liveness.replies import REPLY_DTYPE, Kind, Rejection, Tier
from liveness.space.addresses import format_address, parse_address

CONTROL_PORT: Final = 51833
PROBES: Final = probes_of_run(("icmp", "tcp/22", "tcp/80", "tcp/443", "dns", "ntp", "udp/1900", "snmp"), CONTROL_PORT)
NAMES: Final = tuple(probe.name for probe in PROBES)
TCP_NAMES: Final = tuple(name for name in NAMES if name.startswith("tcp/"))
UDP_NAMES: Final = ("dns", "ntp", "udp/1900", "snmp")
LINK: Final = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
NOW_NS: Final = 1_795_305_600_123_456_789
RTT_NS: Final = 7_654_321
ROUTER: Final = "198.51.100.77"
DF: Final = 0x4000
NTP_SERVER: Final = bytes([0b00_100_100, 2, 6, 0xEC]) + bytes(8) + b"\xc0\x00\x02\x01" + bytes(8)
"""The first 24 bytes of a server's answer: version 4, mode 4, stratum 2."""
SSDP_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: upnp:rootdevice\r\n"
    b"USN: uuid:4d696e69-444c-164e-9d41-b827eb000001::upnp:rootdevice\r\nEXT:\r\n"
    b"SERVER: Linux/6.1 UPnP/1.1 lab/1\r\nLOCATION: http://192.0.2.1:5000/rootDesc.xml\r\n\r\n"
)

ADDRESSES: Final = st.integers(0, 2**32 - 1)
TIMES: Final = st.integers(0, 2**63 - 1)


@dataclass(frozen=True)
class Settings:
    """What a run's frames depend on besides probe, attempt and target."""

    key: bytes = bytes(range(16))
    port_first: int = 32768
    port_last: int = 61000
    attempts: int = 2
    sources: tuple[int, ...] = (0xCB007102,)
    ttl: int = 64
    contact: str = "https://example.org/scan"
    tcp_options: str = "windows"


@st.composite
def settings(draw: st.DrawFn) -> Settings:
    """Return any settings that a config can lead to."""
    attempts = draw(st.integers(1, 4))
    port_first = draw(st.integers(1, 65536 - attempts))
    return Settings(
        key=draw(st.binary(min_size=16, max_size=16)),
        port_first=port_first,
        port_last=draw(st.integers(port_first + attempts - 1, 65535)),
        attempts=attempts,
        sources=tuple(draw(st.lists(ADDRESSES, min_size=1, max_size=4, unique=True))),
        ttl=draw(st.integers(1, 255)),
        contact=draw(st.text(st.characters(codec="utf-8"), max_size=40)),
        tcp_options=draw(st.sampled_from(sorted(OPTIONS))),
    )


@dataclass(frozen=True)
class Reply:
    """An accepted reply in words; `error` is the ICMP type and code of an error, (0, 0) otherwise."""

    probe: str
    kind: Kind
    target: int
    source: int
    attempt: int = 0
    tier: Tier = Tier.STRONG
    error: tuple[int, int] = (0, 0)
    rtt_ns: int = -1
    time_ns: int = NOW_NS + RTT_NS


Targets = tuple[NDArray[np.uint32], NDArray[np.uint32]]


def intervals(*bounds: tuple[int, int]) -> Targets:
    """Return inclusive bounds, sorted and disjoint, as kernels take them."""
    return np.array([low for low, _ in bounds], np.uint32), np.array([high for _, high in bounds], np.uint32)


EVERYWHERE: Final = intervals((0, 2**32 - 1))


@dataclass(frozen=True)
class Scanner:
    """The two ends of matching: makes a probe's frame, and reads a frame as a reply."""

    settings: Settings = field(default_factory=Settings)
    probes: tuple[Probe, ...] = PROBES

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(probe.name for probe in self.probes)

    @cached_property
    def constants(self) -> RunConstants:
        chosen = self.settings
        cookie = CookieParameters(chosen.key, chosen.port_first, chosen.port_last, chosen.attempts)
        return build_constants(
            self.probes,
            cookie,
            LINK,
            chosen.sources,
            ttl=chosen.ttl,
            contact=chosen.contact,
            tcp_options=chosen.tcp_options,
        )

    def slot(self) -> NDArray[np.uint16]:
        """Return an empty frame slot."""
        return np.zeros(self.constants.templates.shape[1], np.uint16)

    def prepare(self, slot: NDArray[np.uint16], name: str) -> None:
        """Put a probe's constant bytes into a slot."""
        put_template(slot, 0, self.constants.templates, self.names.index(name))

    def fill(self, slot: NDArray[np.uint16], name: str, target: int, attempt: int = 0, now_ns: int = NOW_NS) -> None:
        """Put what varies into a slot that is prepared for the probe."""
        numbers = self.constants.numbers[self.names.index(name)]
        targets, hashes = np.array([target], np.uint32), np.zeros(1, np.uint64)
        hash_targets(targets, numbers, hashes)
        fill_frames(slot, 0, 0, numbers, self.constants.sources, attempt, targets, hashes, now_ns)

    def content(self, slot: NDArray[np.uint16], name: str) -> bytes:
        """Return the frame of a probe that a slot holds."""
        return slot.tobytes()[: int(self.constants.lengths[self.names.index(name)])]

    def frame(self, name: str, target: int, attempt: int = 0, now_ns: int = NOW_NS) -> bytes:
        """Return a probe's frame, made in an empty slot."""
        slot = self.slot()
        self.prepare(slot, name)
        self.fill(slot, name, target, attempt, now_ns)
        return self.content(slot, name)

    def read(
        self,
        frame: Any,  # noqa: ANN401 - bytes, or a scapy packet
        time_ns: int = NOW_NS + RTT_NS,
        *,
        check_ip: bool = True,
        check_transport: bool = True,
        targets: Targets = EVERYWHERE,
    ) -> Reply | Rejection:
        """Match a frame and say in words what it is."""
        checks = {"check_ip": check_ip, "check_transport": check_transport}
        record = self.record(frame, time_ns, **checks, targets=targets)
        return record if isinstance(record, Rejection) else in_words(record, self.names)

    def record(
        self,
        frame: Any,  # noqa: ANN401 - bytes, or a scapy packet
        time_ns: int = NOW_NS + RTT_NS,
        *,
        check_ip: bool = True,
        check_transport: bool = True,
        targets: Targets = EVERYWHERE,
    ) -> np.void | Rejection:
        """Match a frame, alone in memory: an uncompiled kernel that reads past its end fails."""
        data = np.frombuffer(bytes(frame), np.uint8).copy()
        row, records = np.zeros(FIELDS, np.int64), np.zeros(1, REPLY_DTYPE)
        place = slice(0, len(data))
        checks = {"check_ip": check_ip, "check_transport": check_transport}
        status = self.match(data, place, row, records, time_ns, **checks, targets=targets)
        return records[0] if status == ACCEPTED else Rejection(status)

    def match(
        self,
        memory: NDArray[np.uint8],
        place: slice,
        row: NDArray[np.int64],
        records: NDArray[np.void],
        time_ns: int = NOW_NS + RTT_NS,
        *,
        check_ip: bool = False,
        check_transport: bool = False,
        targets: Targets = EVERYWHERE,
    ) -> int:
        """Call the kernel on a frame at some place of memory; return its status, the reply in records[0]."""
        frame = (memory, place.start, place.stop - place.start, time_ns, check_ip, check_transport)
        return match_frame(*frame, self.constants, *targets, row, records[0])


def in_words(record: np.void, names: Sequence[str] = NAMES) -> Reply:
    """Return one REPLY_DTYPE; `names` are the probes of the run."""
    return Reply(
        probe=names[record["probe"]],
        kind=Kind(record["kind"]),
        target=int(record["target"]),
        source=int(record["source"]),
        attempt=int(record["attempt"]),
        tier=Tier(record["tier"]),
        error=(int(record["icmp_type"]), int(record["icmp_code"])),
        rtt_ns=int(record["rtt_ns"]),
        time_ns=int(record["time_ns"]),
    )


def back(sent: bytes, transport: Any, *, source: str | None = None, **fields: Any) -> Any:  # noqa: ANN401 - scapy
    """Return the packet that carries `transport` to the sender of a frame, from its target or from `source`."""
    probe = Ether(sent)
    header = IP(src=source or probe[IP].dst, dst=probe[IP].src, id=4711, ttl=51, **fields)
    return Ether(src=probe.dst, dst=probe.src) / header / transport


def segment(sent: bytes, flags: str, acks: int = 1, payload: bytes = b"", **fields: Any) -> Any:  # noqa: ANN401 - scapy
    """Return a TCP reply that acknowledges the probe's sequence number + `acks`."""
    probe = Ether(sent)[TCP]
    reply = TCP(sport=probe.dport, dport=probe.sport, seq=305419896, ack=(probe.seq + acks) % 2**32, flags=flags)
    for name, value in fields.items():
        setattr(reply, name, value)
    return back(sent, reply / Raw(payload) if payload else reply)


def echo(sent: bytes, source: str | None = None, keep: int | None = None) -> Any:  # noqa: ANN401 - scapy
    """Return an echo reply with the first `keep` bytes of the request's payload."""
    request = Ether(sent)[ICMP]
    payload = bytes(request.payload)[:keep]
    return back(sent, ICMP(type="echo-reply", id=request.id, seq=request.seq) / Raw(payload), source=source)


def datagram(sent: bytes, payload: Any) -> Any:  # noqa: ANN401 - scapy
    """Return a UDP reply."""
    probe = Ether(sent)[UDP]
    return back(sent, UDP(sport=probe.dport, dport=probe.sport) / payload)


def dns_answer(sent: bytes, **fields: Any) -> Any:  # noqa: ANN401 - scapy
    """Return the answer to a DNS query: an address, unless `fields` of the header say otherwise."""
    query = DNS(bytes(Ether(sent)[UDP].payload))
    question = DNSQR(qname="google.com", qtype="A")
    header: dict[str, Any] = {"id": query.id, "qr": 1, "rd": 1, "ra": 1, "qd": question}
    if not fields:
        header["an"] = DNSRR(rrname="google.com", type="A", ttl=300, rdata="192.0.2.7")
    return datagram(sent, DNS(**{**header, **fields}))


def ntp_packet(sent: bytes, first: int = NTP_SERVER[0]) -> bytes:
    """Return a server's answer to a client packet, with `first` as its first byte."""
    transmit = bytes(Ether(sent)[UDP].payload)[40:48]
    return bytes([first]) + NTP_SERVER[1:] + transmit + bytes(range(100, 116))


def ssdp_answer(sent: bytes, content: bytes = SSDP_ANSWER, sport: int = 1900) -> Any:  # noqa: ANN401 - scapy
    """Return a search response, or other content, to a search."""
    return back(sent, UDP(sport=sport, dport=Ether(sent)[UDP].sport) / Raw(content))


def snmp_answer(sent: bytes, kind: Any = SNMPresponse, change: int = 0, version: str = "v2c") -> Any:  # noqa: ANN401 - scapy
    """Return a message of some kind about sysDescr, its request id that of a request plus `change`."""
    request = SNMP(bytes(Ether(sent)[UDP].payload))
    bindings = [SNMPvarbind(oid=ASN1_OID("1.3.6.1.2.1.1.1.0"), value=ASN1_STRING(b"Linux lab 6.1"))]
    pdu = kind(id=request.PDU.id.val + change, varbindlist=bindings)
    return datagram(sent, Raw(bytes(SNMP(version=version, community="public", PDU=pdu))))


def quoted(sent: bytes) -> bytes:
    """Return a frame from its IP header on, as a router that forwarded it quotes it."""
    packet = Ether(sent)[IP]
    packet.ttl -= 1
    del packet.chksum
    return bytes(packet)


def error(
    sent: bytes,
    icmp_type: int = 3,
    code: int = 3,
    quote: bytes | None = None,
    *,
    source: str | None = ROUTER,
    behind: bytes = b"",
    **fields: Any,  # noqa: ANN401 - of scapy's IP header
) -> Any:  # noqa: ANN401 - scapy
    """Return an ICMP error with a quote, 28 bytes of the frame unless given, from a router or (None) the target."""
    content = (quoted(sent)[:28] if quote is None else quote) + behind
    header = bytes([icmp_type, code]) + bytes(6)
    total = sum_of(header + content)
    message = header[:2] + total.to_bytes(2, "big") + header[4:] + content
    return back(sent, Raw(message), source=source, proto=1, **fields)


def sum_of(data: bytes) -> int:
    """Return the Internet checksum of some bytes, written apart from the kernels."""
    padded = data + bytes(len(data) % 2)
    total = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))


def altered(data: bytes, at: int, new: bytes) -> bytes:
    """Return data with some bytes replaced."""
    return data[:at] + new + data[at + len(new) :]


def address(text: str) -> int:
    """Return the host-order number of an address in text."""
    return parse_address(text)


def dotted(number: int) -> str:
    """Return an address in text."""
    return format_address(number)


def sample_replies(scanner: Scanner, name: str, target: int, attempt: int) -> Sequence[tuple[Kind, bytes]]:
    """Return replies of every kind to one probe."""
    sent = scanner.frame(name, target, attempt)
    errors = [
        (Kind.ERROR, bytes(error(sent, 3, 1))),
        (Kind.ERROR, bytes(error(sent, 11, 0, quoted(sent), source=None))),
    ]
    if name == "icmp":
        return [(Kind.ECHO_REPLY, bytes(echo(sent))), (Kind.ECHO_REPLY, bytes(echo(sent, ROUTER))), *errors]
    if name == "dns":
        garbage = Raw(bytes(Ether(sent)[UDP].payload)[:2] + b"?")
        return [(Kind.ANSWER, bytes(dns_answer(sent))), (Kind.PAYLOAD, bytes(datagram(sent, garbage))), *errors]
    if name == "ntp":
        answer = bytes(datagram(sent, Raw(ntp_packet(sent))))
        return [(Kind.ANSWER, answer), (Kind.PAYLOAD, bytes(datagram(sent, Raw(ntp_packet(sent, 0x26))))), *errors]
    if name == "udp/1900":
        nothing = bytes(ssdp_answer(sent, b"HTTP/1.1 404 Not Found\r\n\r\n"))
        moved = bytes(ssdp_answer(sent, sport=49152))
        return [(Kind.ANSWER, bytes(ssdp_answer(sent))), (Kind.ANSWER, moved), (Kind.PAYLOAD, nothing), *errors]
    if name == "snmp":
        report = bytes(snmp_answer(sent, SNMPinform))
        return [(Kind.ANSWER, bytes(snmp_answer(sent))), (Kind.PAYLOAD, report), *errors]
    return [
        (Kind.SYN_ACK, bytes(segment(sent, "SA"))),
        (Kind.RST, bytes(segment(sent, "RA"))),
        (Kind.RST, bytes(segment(sent, "RA", 0))),
        *errors,
    ]
