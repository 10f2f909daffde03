"""The strict receiver: our own probes pass, and every way to be malformed is counted as what it is."""

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.responder.numbers import initial_sequence
from liveness.lab.model.responder.verdict import Verdict
from liveness.probes.tcp import OPTIONS
from tests.lab.model.responder.support import CONTROL_PORT, NOW_NS, FarEnd, probe_frame

TARGET = 0x14050607


@pytest.fixture(scope="module")
def far_end() -> FarEnd:
    return FarEnd()


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("attempt", [0, 1])
def test_our_own_probes_are_well_formed(far_end: FarEnd, probe: str, attempt: int) -> None:
    assert far_end.take(probe_frame(probe, TARGET, attempt)) is Verdict.PROBE


@pytest.mark.parametrize("probe", PROBES)
def test_our_probes_as_scapy_writes_them_are_too(far_end: FarEnd, probe: str) -> None:
    assert far_end.take(remade(probe, lambda _: None)) is Verdict.PROBE


@pytest.mark.parametrize("options", sorted(OPTIONS))
def test_every_set_of_tcp_options_is_well_formed(far_end: FarEnd, options: str) -> None:
    assert (
        far_end.take(remade("tcp/80", lambda packet: set_field(packet, TCP, options=OPTIONS[options]))) is Verdict.PROBE
    )


def remade(probe: str, change: Callable[[Any], object]) -> bytes:
    """Return a probe's frame after a change of its fields, lengths and checksums made right again by scapy."""
    packet = Ether(probe_frame(probe, TARGET))
    del packet[IP].len, packet[IP].ihl, packet[IP].chksum
    if TCP in packet:
        del packet[TCP].dataofs
    if UDP in packet:
        del packet[UDP].len
    for layer in (TCP, UDP, ICMP):
        if layer in packet:
            del packet[layer].chksum
    change(packet)
    return bytes(packet)


def set_field(packet: Any, layer: Any, **fields: Any) -> None:  # noqa: ANN401 - scapy
    for name, value in fields.items():
        setattr(packet[layer], name, value)


def put(layer: Any, **fields: Any) -> Callable[[Any], None]:  # noqa: ANN401 - scapy
    return lambda packet: set_field(packet, layer, **fields)


def payload(data: bytes) -> Callable[[Any], None]:
    """Return a change of what a datagram carries."""
    return lambda packet: set_field(packet, UDP, payload=Raw(data))


def query(at: int, new: bytes) -> Callable[[Any], None]:
    """Return a change of some bytes of what a datagram carries."""

    def change(packet: Any) -> None:  # noqa: ANN401 - scapy
        old = bytes(packet[UDP].payload)
        packet[UDP].remove_payload()
        packet[UDP].add_payload(Raw(old[:at] + new + old[at + len(new) :]))

    return change


def talk(data: bytes = b"", **fields: Any) -> Callable[[Any], None]:  # noqa: ANN401 - scapy
    """Return a change of a SYN to what follows the SYN-ACK to it, with data, and then of some of its fields."""

    def change(packet: Any) -> None:  # noqa: ANN401 - scapy
        syn = packet[TCP].seq
        theirs = (int(initial_sequence(syn, TARGET)) + 1) % 2**32
        set_field(packet, TCP, flags="A", seq=(syn + 1) % 2**32, ack=theirs, options=[], **fields)
        packet[TCP].add_payload(Raw(data))

    return change


GET = b"GET / HTTP/1.1\r\nHost: 20.5.6.7\r\n\r\n"
HELLO = bytes.fromhex("16030100290100002503 03") + bytes(35)

WRONG: list[tuple[str, Verdict, Callable[[Any], Any]]] = [
    ("tcp/80", Verdict.IP_HEADER, put(IP, ttl=0)),
    ("tcp/80", Verdict.IP_HEADER, put(IP, version=6)),
    ("tcp/80", Verdict.IP_HEADER, put(IP, options=[b"\x01\x01\x01\x00"])),
    ("icmp", Verdict.IP_LENGTH, put(IP, len=2000)),
    ("icmp", Verdict.IP_LENGTH, put(IP, len=60)),
    ("icmp", Verdict.IP_LENGTH, put(IP, len=10)),
    ("dns", Verdict.IP_CHECKSUM, put(IP, chksum=0x1234)),
    ("dns", Verdict.FRAGMENT, put(IP, flags="MF")),
    ("dns", Verdict.FRAGMENT, put(IP, frag=3)),
    ("dns", Verdict.FRAGMENT, put(IP, flags="evil")),
    ("ntp", Verdict.SOURCE_ADDRESS, put(IP, src="0.0.0.1")),
    ("ntp", Verdict.SOURCE_ADDRESS, put(IP, src="127.0.0.1")),
    ("ntp", Verdict.SOURCE_ADDRESS, put(IP, src="240.1.2.3")),
    ("ntp", Verdict.PROTOCOL, put(IP, proto=47)),
    ("tcp/22", Verdict.TCP_HEADER, put(TCP, dataofs=4)),
    ("tcp/22", Verdict.TCP_HEADER, put(TCP, dataofs=15)),
    ("tcp/22", Verdict.TCP_HEADER, put(TCP, reserved=1)),
    ("tcp/22", Verdict.TCP_HEADER, put(TCP, sport=0)),
    ("tcp/22", Verdict.TCP_HEADER, put(TCP, dport=0)),
    ("tcp/22", Verdict.TCP_CHECKSUM, put(TCP, chksum=0x4321)),
    ("tcp/22", Verdict.TCP_FLAGS, put(TCP, flags="SA")),
    ("tcp/22", Verdict.TCP_OPTIONS, put(TCP, flags="A")),
    ("tcp/22", Verdict.TALK, talk()),  # the port is not open: nobody sends a SYN-ACK
    ("tcp/80", Verdict.TALK, talk(GET)),
    ("tcp/443", Verdict.TALK, talk(HELLO)),
    ("tcp/22", Verdict.TALK_NUMBERS, put(TCP, flags="A", options=[])),
    ("tcp/22", Verdict.TALK_NUMBERS, put(TCP, flags="PA", options=[], ack=7)),
    ("tcp/22", Verdict.TCP_FIELDS, talk(window=0)),
    ("tcp/22", Verdict.TCP_FIELDS, talk(urgptr=1)),
    ("tcp/22", Verdict.TALK_REQUEST, talk(b"SSH-2.0-client\r\n")),
    ("tcp/control", Verdict.TALK_REQUEST, talk()),
    ("tcp/80", Verdict.TALK_REQUEST, talk()),
    ("tcp/80", Verdict.TALK_REQUEST, talk(GET[:-1])),
    ("tcp/80", Verdict.TALK_REQUEST, talk(GET + b"more\r\n\r\n")),
    ("tcp/80", Verdict.TALK_REQUEST, talk(GET.replace(b"20.5.6.7", b"20.5.6.8"))),
    ("tcp/80", Verdict.TALK_REQUEST, talk(GET.replace(b"20.5.6.7", b"20.5.6.07"))),
    ("tcp/80", Verdict.TALK_REQUEST, talk(GET.replace(b"20.5.6.7", b"20.5.6"))),
    ("tcp/80", Verdict.TALK_REQUEST, talk(GET.replace(b"20.5.6.7", b"20.5.6.7.1"))),
    ("tcp/80", Verdict.TALK_REQUEST, talk(b"GET / HTTP/1.1\r\nHost: \r\n\r\n")),
    ("tcp/80", Verdict.TALK_REQUEST, talk(HELLO)),
    ("tcp/443", Verdict.TALK_REQUEST, talk(GET)),
    ("tcp/443", Verdict.TALK_REQUEST, talk(HELLO[:-1])),
    ("tcp/443", Verdict.TALK_REQUEST, talk(HELLO + b"1")),
    ("tcp/443", Verdict.TALK_REQUEST, talk(b"\x15" + HELLO[1:])),
    ("tcp/443", Verdict.TALK_REQUEST, talk(HELLO[:5] + b"\x02" + HELLO[6:])),
    ("tcp/443", Verdict.TALK_REQUEST, talk(HELLO[:8] + b"\x24" + HELLO[9:])),
    ("tcp/22", Verdict.TCP_FLAGS, put(TCP, flags="SE")),
    ("tcp/22", Verdict.TCP_FLAGS, put(TCP, flags="")),
    ("tcp/22", Verdict.OWN_RESET, put(TCP, flags="R")),
    ("tcp/22", Verdict.OWN_RESET, put(TCP, flags="RA")),
    ("tcp/22", Verdict.TCP_FIELDS, put(TCP, ack=1)),
    ("tcp/22", Verdict.TCP_FIELDS, put(TCP, urgptr=1)),
    ("tcp/22", Verdict.TCP_FIELDS, put(TCP, window=0)),
    ("tcp/22", Verdict.TCP_FIELDS, lambda packet: packet[TCP].add_payload(Raw(b"GET /"))),
    ("tcp/22", Verdict.TCP_OPTIONS, put(TCP, options=[(77, b"ab")])),
    ("tcp/22", Verdict.TCP_OPTIONS, put(TCP, options=[(2, b"abc"), ("NOP", None), ("NOP", None), ("NOP", None)])),
    ("tcp/22", Verdict.TCP_OPTIONS, put(TCP, options=[("EOL", None), ("NOP", None), ("NOP", None), ("NOP", None)])),
    ("dns", Verdict.UDP_LENGTH, put(UDP, len=7)),
    ("dns", Verdict.UDP_LENGTH, put(UDP, len=30)),
    ("dns", Verdict.UDP_CHECKSUM, put(UDP, chksum=0)),
    ("dns", Verdict.UDP_CHECKSUM, put(UDP, chksum=0x1111)),
    ("dns", Verdict.UDP_PORT, put(UDP, dport=54)),
    ("dns", Verdict.UDP_PORT, put(UDP, sport=0)),
    ("dns", Verdict.DNS_QUERY, query(2, b"\x81\x80")),
    ("dns", Verdict.DNS_QUERY, query(4, b"\x00\x02")),
    ("dns", Verdict.DNS_QUERY, query(6, b"\x00\x01")),
    ("dns", Verdict.DNS_QUERY, query(10, b"\x00\x01")),
    ("dns", Verdict.DNS_QUERY, query(12, b"\x40")),
    ("dns", Verdict.DNS_QUERY, query(12, b"\x3f")),
    ("dns", Verdict.DNS_QUERY, query(26, b"\x00\x03")),
    ("dns", Verdict.DNS_QUERY, query(28, b"more")),
    ("dns", Verdict.DNS_QUERY, payload(b"short")),
    ("ntp", Verdict.NTP_PACKET, query(0, b"\x24")),
    ("ntp", Verdict.NTP_PACKET, query(0, b"\x0b")),
    ("ntp", Verdict.NTP_PACKET, query(48, b"more")),
    ("udp/1900", Verdict.UDP_REQUEST, payload(b"M-SEARCH * HTTP/1.1\r\n\r\n")),
    ("snmp", Verdict.UDP_REQUEST, payload(b"short")),
    ("icmp", Verdict.ICMP_CHECKSUM, put(ICMP, chksum=0x2222)),
    ("icmp", Verdict.ICMP_TYPE, put(ICMP, type=13)),
    ("icmp", Verdict.ICMP_TYPE, put(ICMP, code=1)),
    ("icmp", Verdict.OWN_ERROR, put(ICMP, type=3, code=3)),
    ("icmp", Verdict.TRIAL, lambda packet: set_field(packet, Ether, type=0x88B5)),
    ("icmp", Verdict.NOT_IPV4, lambda packet: set_field(packet, Ether, type=0x86DD)),
]


@pytest.mark.parametrize(("probe", "verdict", "change"), WRONG)
def test_what_is_wrong_is_counted_as_that_and_not_answered(
    far_end: FarEnd, probe: str, verdict: Verdict, change: Callable[[Any], Any]
) -> None:
    assert far_end.take(remade(probe, change)) is verdict
    assert far_end.due(NOW_NS * 2) == []


def test_every_reason_is_met() -> None:
    elsewhere = {Verdict.TALK_WINDOW}  # tests/lab/model/services/test_far_end.py
    met = {verdict for _, verdict, _ in WRONG} | {Verdict.PROBE, Verdict.TRUNCATED} | elsewhere
    assert met == set(Verdict)


def test_short_frames_are_truncated_and_tagged_ones_no_ip(far_end: FarEnd) -> None:
    frame = probe_frame("icmp", TARGET)
    assert far_end.take(frame[:33]) is Verdict.TRUNCATED
    assert far_end.take(frame[:12] + b"\x81\x00\x00\x05" + frame[12:]) is Verdict.NOT_IPV4


@pytest.mark.parametrize("probe", PROBES)
def test_every_single_bit_matters(far_end: FarEnd, probe: str) -> None:
    """A bit that is flipped behind the Ethernet header is found out, by some checksum if by nothing else."""
    frame = probe_frame(probe, TARGET)
    for bit in range(14 * 8, len(frame) * 8):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        assert far_end.take(bytes(flipped)) is not Verdict.PROBE, bit


def test_padding_of_short_frames_is_no_trailer(far_end: FarEnd) -> None:
    frame = remade("tcp/80", put(TCP, options=[]))
    assert len(frame) == 54
    assert far_end.take(frame + bytes(6)) is Verdict.PROBE
    assert far_end.take(frame + bytes(7)) is Verdict.IP_LENGTH


def test_the_control_is_any_other_port(far_end: FarEnd) -> None:
    assert far_end.take(probe_frame("tcp/control", TARGET)) is Verdict.PROBE
    assert Ether(probe_frame("tcp/control", TARGET))[TCP].dport == CONTROL_PORT
    assert far_end.model.row[0] == PROBES.index("tcp/control")
