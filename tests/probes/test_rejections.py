"""Rejections: each reason there is, by a packet that differs from an accepted one in that alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from liveness.replies import Kind, Rejection, Tier
from tests.frames import (
    ADDRESSES,
    NAMES,
    UDP_NAMES,
    Reply,
    Scanner,
    Settings,
    altered,
    back,
    datagram,
    dns_answer,
    echo,
    error,
    intervals,
    ntp_packet,
    quoted,
    sample_replies,
    segment,
    sum_of,
)

TARGET = 0xC6336407
SCANNER = Scanner()
STRANGER = Scanner(Settings(key=bytes(range(1, 17))))
ONE_PORT_KEYS = [Scanner(Settings(key=bytes([n] * 16), port_first=40000, port_last=40001)) for n in (1, 2)]
IP_AT = 14


def accepted_frames() -> list[tuple[str, bytes]]:
    return [(name, frame) for name in NAMES for _, frame in sample_replies(SCANNER, name, TARGET, 0)]


def with_ip_checksum(frame: bytes) -> bytes:
    """Return a frame with options or not whose IP checksum is right again."""
    header = frame[IP_AT : IP_AT + 4 * (frame[IP_AT] & 15)]
    return altered(frame, IP_AT + 10, sum_of(altered(header, 10, b"\0\0")).to_bytes(2, "big"))


def with_field(frame: bytes, at: int, value: bytes) -> bytes:
    """Return a frame with bytes of its IP header replaced."""
    return with_ip_checksum(altered(frame, IP_AT + at, value))


def test_what_the_others_differ_from_is_accepted() -> None:
    for name, frame in accepted_frames():
        assert isinstance(SCANNER.read(frame), Reply), name
        assert with_ip_checksum(frame) == frame


def test_truncated() -> None:
    for _, frame in accepted_frames():
        for length in (0, 1, 13, 14, 33):
            assert SCANNER.read(frame[:length]) == Rejection.TRUNCATED, length
    tagged = Ether(src="02:00:00:00:00:02") / Raw(b"")
    assert SCANNER.read(altered(bytes(tagged), 12, b"\x81\0") + b"\0") == Rejection.TRUNCATED


def test_not_ipv4() -> None:
    frame = accepted_frames()[0][1]
    ethernet = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
    assert SCANNER.read(ethernet / ARP()) == Rejection.NOT_IPV4
    assert SCANNER.read(ethernet / IPv6() / ICMP()) == Rejection.NOT_IPV4
    assert SCANNER.read(altered(frame, 12, b"\x86\xdd")) == Rejection.NOT_IPV4
    assert SCANNER.read(altered(frame, IP_AT, b"\x65")) == Rejection.NOT_IPV4


def test_fragment() -> None:
    for _, frame in accepted_frames():
        for field in (b"\0\1", b"\x20\1", b"\x1f\xff", b"\x40\x10"):
            assert SCANNER.read(with_field(frame, 6, field)) == Rejection.FRAGMENT


def test_bad_length_of_an_ip_packet() -> None:
    for name, frame in accepted_frames():
        total = len(frame) - IP_AT
        for lie in (0, 19, total + 1, 65535):
            assert SCANNER.read(with_field(frame, 2, lie.to_bytes(2, "big"))) == Rejection.BAD_LENGTH, (name, lie)
        for words in range(5):
            assert SCANNER.read(with_field(frame, 0, bytes([0x40 | words]))) == Rejection.BAD_LENGTH
        assert SCANNER.read(frame[:-1]) == Rejection.BAD_LENGTH
        for short in (20, 27):
            assert SCANNER.read(with_field(frame, 2, short.to_bytes(2, "big"))) == Rejection.BAD_LENGTH
    rst = bytes(segment(SCANNER.frame("tcp/80", TARGET), "RA"))
    assert SCANNER.read(with_field(rst, 0, b"\x4f")) == Rejection.BAD_LENGTH


def test_bad_length_of_a_packet_that_ends_in_its_transport_header() -> None:
    for name, frame in accepted_frames():
        for length in range(20, 40 if name.startswith("tcp") and frame[IP_AT + 9] == 6 else 28):
            short = with_field(frame[: IP_AT + length], 2, length.to_bytes(2, "big"))
            assert SCANNER.read(short) == Rejection.BAD_LENGTH, (name, length)


def test_bad_length_of_a_segment_or_datagram() -> None:
    sent = SCANNER.frame("tcp/80", TARGET)
    for offset in (0, 4, 6, 15):
        assert SCANNER.read(segment(sent, "SA", dataofs=offset)) == Rejection.BAD_LENGTH, offset
    for name in UDP_NAMES:
        sent = SCANNER.frame(name, TARGET)
        frame = dns_answer(sent) if name == "dns" else datagram(sent, Raw(ntp_packet(sent)))
        right = len(frame[UDP])
        for lie in (0, 7, right + 1, 65535):
            frame[UDP].len = lie
            assert SCANNER.read(frame) == Rejection.BAD_LENGTH, lie


@pytest.mark.parametrize(("at", "bit"), [(1, 4), (4, 1), (8, 128), (10, 1), (11, 1)])
def test_bad_ip_checksum(at: int, bit: int) -> None:
    for _, frame in accepted_frames():
        wrong = altered(frame, IP_AT + at, bytes([frame[IP_AT + at] ^ bit]))
        assert SCANNER.read(wrong) == Rejection.BAD_IP_CHECKSUM
        unchecked = SCANNER.read(wrong, check_ip=False)
        assert unchecked == SCANNER.read(frame)


@pytest.mark.parametrize(
    ("name", "rejection"),
    [
        ("tcp/80", Rejection.BAD_TCP_CHECKSUM),
        ("dns", Rejection.BAD_UDP_CHECKSUM),
        ("ntp", Rejection.BAD_UDP_CHECKSUM),
        ("icmp", Rejection.BAD_ICMP_CHECKSUM),
    ],
)
def test_bad_transport_checksum(name: str, rejection: Rejection) -> None:
    for kind, frame in sample_replies(SCANNER, name, TARGET, 1):
        at = IP_AT + 20 + {"tcp/80": 16, "dns": 6, "ntp": 6, "icmp": 2}[name]
        if kind == Kind.ERROR:
            at, rejection = IP_AT + 22, Rejection.BAD_ICMP_CHECKSUM
        for byte in (at, at + 1):
            wrong = altered(frame, byte, bytes([frame[byte] ^ 0x11]))
            assert SCANNER.read(wrong) == rejection
            assert SCANNER.read(wrong, check_ip=False) == rejection
            assert SCANNER.read(wrong, check_transport=False) == SCANNER.read(frame)


def test_bad_checksum_by_another_address_in_the_pseudo_header() -> None:
    for name in ("tcp/80", "dns"):
        _, frame = sample_replies(SCANNER, name, TARGET, 0)[0]
        other = with_field(frame, 12, bytes([10, 1, 1, 1]))
        assert SCANNER.read(other) in (Rejection.BAD_TCP_CHECKSUM, Rejection.BAD_UDP_CHECKSUM)


def test_other_protocol() -> None:
    sent = SCANNER.frame("tcp/80", TARGET)
    for protocol in (0, 2, 41, 47, 50, 58, 132, 255):
        assert SCANNER.read(back(sent, Raw(bytes(40)), proto=protocol)) == Rejection.OTHER_PROTOCOL


def test_not_our_address() -> None:
    for _, frame in accepted_frames():
        packet = Ether(frame)
        packet[IP].dst = "203.0.113.3"
        del packet[IP].chksum
        for layer in (TCP, UDP):
            if layer in packet:
                del packet[layer].chksum
        assert SCANNER.read(packet) == Rejection.NOT_OUR_ADDRESS
    several = Scanner(Settings(sources=(1, 0xCB007103)))
    assert SCANNER.read(several.frame("icmp", 0xCB007102)) == Rejection.OTHER_ICMP_TYPE  # ours is the target here


@pytest.mark.parametrize("icmp_type", [1, 2, 6, 8, 9, 10, 13, 14, 15, 17, 30, 40, 42, 255])
def test_other_icmp_type(icmp_type: int) -> None:
    sent = SCANNER.frame("icmp", TARGET)
    assert SCANNER.read(error(sent, icmp_type, 0)) == Rejection.OTHER_ICMP_TYPE


def test_bad_quote() -> None:
    for name in NAMES:
        sent = SCANNER.frame(name, TARGET)
        whole = quoted(sent)
        for length in (0, 8, 19, 20, 27):
            assert SCANNER.read(error(sent, quote=whole[:length])) == Rejection.BAD_QUOTE
        for first in (0x65, 0x05, 0x40, 0x44, 0x4F):
            assert SCANNER.read(error(sent, quote=altered(whole[:28], 0, bytes([first])))) == Rejection.BAD_QUOTE
        assert SCANNER.read(error(sent, quote=altered(whole, 9, b"\x2f"))) == Rejection.BAD_QUOTE
        if name != "icmp":  # a port that was not probed
            assert SCANNER.read(error(sent, quote=altered(whole, 22, b"\x12\x34"))) == Rejection.BAD_QUOTE
            other = b"\x11" if name.startswith("tcp") else b"\x06"
            assert SCANNER.read(error(sent, quote=altered(whole, 9, other))) == Rejection.BAD_QUOTE


def test_challenge_ack_and_other_flags() -> None:
    sent = SCANNER.frame("tcp/443", TARGET)
    assert SCANNER.read(segment(sent, "A")) == Rejection.CHALLENGE_ACK
    assert SCANNER.read(segment(sent, "S")) == Rejection.OTHER_TCP_FLAGS


def test_unprobed_port() -> None:
    for name in NAMES[1:]:
        _, frame = sample_replies(SCANNER, name, TARGET, 0)[0]
        packet = Ether(frame)
        transport = packet[IP].payload
        transport.sport = 8080
        transport.payload = Raw(b"?")  # of a datagram, what it carries would do
        del packet[IP].len, packet[IP].chksum, transport.chksum
        if name in UDP_NAMES:
            del transport.len
        assert SCANNER.read(packet) == Rejection.UNPROBED_PORT
    tcp = segment(SCANNER.frame("tcp/80", TARGET), "SA")
    tcp[TCP].sport = 53  # probed over UDP only
    assert SCANNER.read(tcp) == Rejection.UNPROBED_PORT


@given(ADDRESSES, st.integers(-40000, 40000).filter(bool))
def test_bad_port(target: int, distance: int) -> None:
    stride = (61000 - 32768 + 1) // 2
    for name in NAMES[1:]:
        sent = SCANNER.frame(name, target)
        port = (Ether(sent)[IP].payload.sport + distance) % 65536
        if distance % stride == 0:  # another attempt's
            continue
        _, frame = sample_replies(SCANNER, name, target, 0)[0]
        packet = Ether(frame)
        packet[IP].payload.dport = port
        del packet[IP].payload.chksum
        assert SCANNER.read(packet) == Rejection.BAD_PORT
        if name in UDP_NAMES:
            quote = altered(quoted(sent)[:28], 20, port.to_bytes(2, "big"))
            assert SCANNER.read(error(sent, quote=quote)) == Rejection.BAD_PORT


@given(ADDRESSES, st.integers(0, 1))
def test_bad_cookie_under_another_key(target: int, attempt: int) -> None:
    ours, theirs = ONE_PORT_KEYS  # with one port an attempt the port proves nothing
    for name in ("tcp/22", "tcp/control"):
        sent = theirs.frame(name, target, attempt)
        for flags, acks in (("SA", 1), ("RA", 1), ("RA", 0)):
            assert isinstance(theirs.read(segment(sent, flags, acks)), Reply)
            assert ours.read(segment(sent, flags, acks)) == Rejection.BAD_COOKIE
        assert ours.read(error(sent)) == Rejection.BAD_COOKIE
    sent = theirs.frame("icmp", target, attempt)
    assert ours.read(echo(sent)) == Rejection.BAD_COOKIE
    assert ours.read(echo(sent, keep=4)) == Rejection.BAD_COOKIE
    assert ours.read(error(sent)) == Rejection.BAD_COOKIE


@given(ADDRESSES)
def test_nobody_elses_key_is_strong(target: int) -> None:
    for name in NAMES:
        ours, theirs = (Ether(scanner.frame(name, target, 1))[IP].payload for scanner in (SCANNER, STRANGER))
        for kind, frame in sample_replies(STRANGER, name, target, 1):
            reply = SCANNER.read(frame)
            if name in UDP_NAMES and ours.sport == theirs.sport:  # as under one key in 14,116
                assert isinstance(reply, Reply)
                assert (reply.probe, reply.target, reply.tier) == (name, target, Tier.WEAK)
            elif name in UDP_NAMES:
                moved = kind != Kind.ERROR and Ether(frame)[UDP].sport != theirs.dport  # an SSDP device may do that
                assert reply == (Rejection.UNPROBED_PORT if moved else Rejection.BAD_PORT)
            else:
                assert reply in (Rejection.BAD_PORT, Rejection.BAD_COOKIE)


@given(ADDRESSES)
def test_an_echo_reply_of_an_attempt_that_was_not_made_is_rejected(target: int) -> None:
    frame = echo(SCANNER.frame("icmp", target))
    first = frame[ICMP].seq
    for attempt in (-1, 2):
        frame[ICMP].seq = (first + attempt) % 2**16
        assert SCANNER.read(frame) == Rejection.BAD_COOKIE


@given(ADDRESSES, st.integers(0, 2**32 - 1))
def test_an_echo_reply_of_any_other_sequence_number_is_rejected(target: int, number: int) -> None:
    frame = echo(SCANNER.frame("icmp", target))
    own = frame[ICMP].id << 16 | frame[ICMP].seq
    frame[ICMP].id, frame[ICMP].seq = number >> 16, number & 0xFFFF
    if number >> 16 != own >> 16 or (number - own) % 2**16 > 1:
        assert SCANNER.read(frame) == Rejection.BAD_COOKIE
    else:
        assert isinstance(SCANNER.read(frame), Reply)


@pytest.mark.parametrize(
    ("bounds", "inside"),
    [
        ([(TARGET, TARGET)], True),
        ([(0, 9), (TARGET - 5, TARGET), (TARGET + 2, 2**32 - 1)], True),
        ([(0, 9), (TARGET, TARGET + 7)], True),
        ([(0, TARGET - 1), (TARGET + 1, 2**32 - 1)], False),
        ([(TARGET + 1, TARGET + 1)], False),
        ([(0, 5), (7, 9), (11, TARGET - 1)], False),
        ([], False),
    ],
)
def test_unprobed_address(bounds: list[tuple[int, int]], *, inside: bool) -> None:
    for _, frame in accepted_frames():
        reply = SCANNER.read(frame, targets=intervals(*bounds))
        assert reply == (SCANNER.read(frame) if inside else Rejection.UNPROBED_ADDRESS)
