"""Frames as scapy reads them: every field of every probe holds what the design says, and every checksum is right."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.ntp import NTP

from liveness.probes.probe import Probe
from tests.frames import (
    ADDRESSES,
    LINK,
    NAMES,
    PROBES,
    TCP_NAMES,
    TIMES,
    UDP_NAMES,
    Scanner,
    Settings,
    address,
    settings,
)
from tests.packets.reference import ExpectedCookie

OPTIONS_ON_THE_WIRE = {
    "windows": [("MSS", 1460), ("NOP", None), ("WScale", 8), ("NOP", None), ("NOP", None), ("SAckOK", b"")],
    "linux": [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)],
    "mss": [("MSS", 1460)],
    "none": [],
}


def expected_of(scanner: Scanner, probe: Probe, target: int) -> ExpectedCookie:
    return ExpectedCookie(target, probe.protocol, probe.port, scanner.settings.key)


def source_port(scanner: Scanner, expected: ExpectedCookie, attempt: int) -> int:
    chosen = scanner.settings
    return expected.source_port(chosen.port_first, chosen.port_last, chosen.attempts, attempt)


def rebuilt(packet: Any) -> bytes:  # noqa: ANN401 - scapy
    """Return a packet with lengths and checksums as scapy computes them."""
    copy = packet.copy()
    for layer, fields in ((IP, ("len", "ihl", "chksum")), (TCP, ("dataofs", "chksum")), (UDP, ("len", "chksum"))):
        if layer in copy:
            for field in fields:
                delattr(copy[layer], field)
    if ICMP in copy:
        del copy[ICMP].chksum
    return bytes(copy)


def check_ip(scanner: Scanner, probe: Probe, expected: ExpectedCookie, packet: Any) -> None:  # noqa: ANN401 - scapy
    assert (packet.src, packet.dst, packet.type) == (LINK.own.hex(":"), LINK.gateway.hex(":"), 0x0800)
    header = packet[IP]
    assert (header.version, header.ihl, header.tos, header.frag) == (4, 5, 0, 0)
    assert header.flags == "DF"
    assert header.len == len(packet) - 14
    assert header.id == expected.ip_id
    assert (header.ttl, header.proto) == (scanner.settings.ttl, probe.protocol)
    assert address(header.dst) == expected.target
    sources = sorted(set(scanner.settings.sources))
    assert address(header.src) == sources[expected.bits(8, 23) * len(sources) >> 16]


@given(settings(), ADDRESSES, TIMES)
def test_every_probe_has_its_addresses_cookie_and_checksums(chosen: Settings, target: int, now_ns: int) -> None:
    scanner = Scanner(chosen)
    for probe, attempt in product(PROBES, range(chosen.attempts)):
        frame = scanner.frame(probe.name, target, attempt, now_ns)
        packet = Ether(frame)
        check_ip(scanner, probe, expected_of(scanner, probe, target), packet)
        assert rebuilt(packet) == frame, probe.name


@given(settings(), ADDRESSES, TIMES)
def test_an_echo_carries_target_time_hash_and_contact(chosen: Settings, target: int, now_ns: int) -> None:
    scanner = Scanner(chosen)
    expected = expected_of(scanner, PROBES[0], target)
    for attempt in range(chosen.attempts):
        request = Ether(scanner.frame("icmp", target, attempt, now_ns))[ICMP]
        assert (request.type, request.code) == (8, 0)
        assert (request.id, request.seq) == expected.echo(attempt)
        carried = expected.timestamp + target.to_bytes(4, "big") + now_ns.to_bytes(8, "big")
        assert bytes(request.payload) == carried + chosen.contact.encode()


@given(settings(), ADDRESSES, st.sampled_from(TCP_NAMES))
def test_a_syn_carries_sequence_number_source_port_and_options(chosen: Settings, target: int, name: str) -> None:
    scanner = Scanner(chosen)
    probe = PROBES[NAMES.index(name)]
    expected = expected_of(scanner, probe, target)
    for attempt in range(chosen.attempts):
        syn = Ether(scanner.frame(name, target, attempt))[TCP]
        assert syn.sport == source_port(scanner, expected, attempt)
        assert (syn.dport, syn.seq, syn.ack) == (probe.port, expected.sequence, 0)
        assert (syn.flags, syn.reserved, syn.urgptr) == ("S", 0, 0)
        assert syn.window == (64240 if chosen.tcp_options in ("windows", "linux") else 65535)
        options = [(option[0], option[1]) for option in syn.options if option[0] != "EOL"]
        assert options == OPTIONS_ON_THE_WIRE[chosen.tcp_options]
        assert not syn.payload


@given(settings(), ADDRESSES)
def test_a_query_asks_for_google_com(chosen: Settings, target: int) -> None:
    scanner = Scanner(chosen)
    expected = expected_of(scanner, PROBES[NAMES.index("dns")], target)
    for attempt in range(chosen.attempts):
        datagram = Ether(scanner.frame("dns", target, attempt))[UDP]
        assert (datagram.sport, datagram.dport) == (source_port(scanner, expected, attempt), 53)
        query = datagram[DNS]
        assert query.id == expected.transaction
        assert (query.qr, query.opcode, query.rd, query.tc, query.rcode) == (0, 0, 1, 0, 0)
        assert (query.qdcount, query.ancount, query.nscount, query.arcount) == (1, 0, 0, 0)
        assert (query.qd[0].qname, query.qd[0].qtype, query.qd[0].qclass) == (b"google.com.", 1, 1)


@given(settings(), ADDRESSES)
def test_an_ntp_packet_is_version_4_mode_3(chosen: Settings, target: int) -> None:
    scanner = Scanner(chosen)
    expected = expected_of(scanner, PROBES[NAMES.index("ntp")], target)
    for attempt in range(chosen.attempts):
        datagram = Ether(scanner.frame("ntp", target, attempt))[UDP]
        assert (datagram.sport, datagram.dport) == (source_port(scanner, expected, attempt), 123)
        packet = NTP(bytes(datagram.payload))  # scapy goes by ports, and the source port may be anybody's
        assert (packet.version, packet.mode, packet.leap) == (4, 3, 0)
        content = bytes(datagram.payload)
        assert content == bytes([0x23]) + bytes(39) + expected.timestamp


@given(ADDRESSES, st.sampled_from(UDP_NAMES), st.integers(0, 0xFFFF))
def test_a_udp_checksum_of_zero_is_sent_as_all_ones(target: int, name: str, network: int) -> None:
    first = Scanner(Settings(sources=(network << 16,)))
    checksum = Ether(first.frame(name, target))[UDP].chksum
    # The source's lower half is added to the sum: with this one the sum is all ones, its complement zero.
    second = Scanner(Settings(sources=(network << 16 | checksum % 0xFFFF,)))
    assert Ether(second.frame(name, target))[UDP].chksum == 0xFFFF


def test_every_source_address_is_used() -> None:
    sources = tuple(address(text) for text in ("192.0.2.1", "192.0.2.200", "198.51.100.3"))
    scanner = Scanner(Settings(sources=sources))
    used = {address(Ether(scanner.frame("icmp", target))[IP].src) for target in range(60)}
    assert used == set(sources)


@given(settings(), ADDRESSES, ADDRESSES)
def test_a_slot_keeps_nothing_of_what_it_held(chosen: Settings, before: int, target: int) -> None:
    scanner = Scanner(chosen)
    fresh = [scanner.frame(name, target, chosen.attempts - 1) for name in NAMES]
    for held, (new, expected) in product(NAMES, zip(NAMES, fresh, strict=True)):
        slot = scanner.slot()
        scanner.prepare(slot, held)
        scanner.fill(slot, held, before, 0, 2**63 - 1)
        if held != new:
            scanner.prepare(slot, new)
        scanner.fill(slot, new, target, chosen.attempts - 1)
        assert scanner.content(slot, new) == expected, (held, new)
        assert not any(slot.tobytes()[len(expected) :])


@pytest.mark.parametrize("name", NAMES)
def test_probes_to_one_address_differ_in_their_cookies(name: str) -> None:
    scanner = Scanner()
    ids = {Ether(scanner.frame(other, 0x08080808))[IP].id for other in NAMES}
    assert len(ids) == len(NAMES)
    twice = [Ether(scanner.frame(name, 0x08080808, attempt))[IP].id for attempt in range(2)]
    assert twice[0] == twice[1]
