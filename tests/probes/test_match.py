"""The inverse law of matching: whatever answers a probe's frame gives back its target, probe and attempt."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from liveness.replies import ERROR_TYPES, UNKNOWN_ATTEMPT, Kind, Rejection, Tier
from tests.frames import (
    ADDRESSES,
    NAMES,
    NOW_NS,
    ROUTER,
    RTT_NS,
    SSDP_ANSWER,
    TCP_NAMES,
    UDP_NAMES,
    Reply,
    Scanner,
    Settings,
    address,
    altered,
    back,
    datagram,
    dns_answer,
    dotted,
    echo,
    error,
    ntp_packet,
    quoted,
    sample_replies,
    segment,
    settings,
    snmp_answer,
    ssdp_answer,
)

TARGET = 0xC6336407
SCANNER = Scanner()
ATTEMPTS = st.integers(0, 1)
EXTRA_FLAGS = ("", "E", "C", "P", "U", "F", "EC", "PUF", "FPUEC")
UDP_PORTS = {"dns": 53, "ntp": 123, "udp/1900": 1900, "snmp": 161}
UDP_PAYLOADS = {
    "no bytes": b"",
    "one byte": b"\x01",
    "garbage": bytes(range(48)),
    "text": b"220 ready\r\n",
}


def tier_of(name: str, kind: Kind) -> Tier:
    """Return what a sample reply proves: what SSDP devices send is weak, as it returns nothing of the cookie."""
    return Tier.WEAK if name == "udp/1900" and kind != Kind.ERROR else Tier.STRONG


def direct(
    name: str,
    kind: Kind,
    target: int,
    attempt: int,
    tier: Tier = Tier.STRONG,
    *,
    time_ns: int = NOW_NS + RTT_NS,
) -> Reply:
    return Reply(name, kind, target, target, attempt, tier, time_ns=time_ns)


def error_reply(
    name: str, target: int, attempt: int, error_code: tuple[int, int] = (3, 3), *, source: str = ROUTER
) -> Reply:
    return Reply(name, Kind.ERROR, target, address(source), attempt, Tier.STRONG, error_code)


@given(settings(), ADDRESSES)
def test_every_reply_gives_back_target_probe_and_attempt(chosen: Settings, target: int) -> None:
    scanner = Scanner(chosen)
    for name, attempt in product(NAMES, range(chosen.attempts)):
        for kind, frame in sample_replies(scanner, name, target, attempt):
            reply = scanner.read(frame)
            assert isinstance(reply, Reply), (name, kind, reply)
            assert (reply.probe, reply.kind, reply.target, reply.attempt) == (name, kind, target, attempt)
            assert reply.tier == tier_of(name, kind)
            assert reply.time_ns == NOW_NS + RTT_NS
            assert dotted(reply.source) == Ether(frame)[IP].src


@given(settings(), ADDRESSES, st.integers(1, 255), st.integers(0, 65535), st.integers(0, 65535))
def test_a_reply_carries_the_numbers_of_its_headers(
    chosen: Settings, target: int, ttl: int, identification: int, window: int
) -> None:
    scanner = Scanner(chosen)
    for name in NAMES:
        for kind, frame in sample_replies(scanner, name, target, 0):
            packet = Ether(frame)
            packet[IP].ttl, packet[IP].id = ttl, identification
            if is_tcp := packet[IP].proto == 6:
                packet[TCP].window = window
                del packet[TCP].chksum
            del packet[IP].chksum
            record = scanner.record(bytes(packet) + b"Ethernet padding")
            assert not isinstance(record, Rejection)
            assert (record["reply_ttl"], record["ip_id"]) == (ttl, identification)
            assert record["length"] == len(packet[IP])
            assert record["tcp_window"] == (window if is_tcp else 0)
            assert record["tcp_flags"] == (int(packet[TCP].flags) if is_tcp else 0)
            assert record["quoted_ttl"] == (chosen.ttl - 1 if kind == Kind.ERROR else 0)


@given(ADDRESSES, ATTEMPTS, st.sampled_from(TCP_NAMES))
def test_a_syn_ack_with_further_flags(target: int, attempt: int, name: str) -> None:
    sent = SCANNER.frame(name, target, attempt)
    for extra in EXTRA_FLAGS:
        assert SCANNER.read(segment(sent, "SA" + extra)) == direct(name, Kind.SYN_ACK, target, attempt), extra
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (9, 1)), ("NOP", None), ("WScale", 7)]
    assert SCANNER.read(segment(sent, "SA", options=options)) == direct(name, Kind.SYN_ACK, target, attempt)
    assert SCANNER.read(segment(sent, "SA", payload=b"hi")) == direct(name, Kind.SYN_ACK, target, attempt)
    for wrong in (0, 2, -1, 2**31):
        assert SCANNER.read(segment(sent, "SA", wrong)) == Rejection.BAD_COOKIE


@given(ADDRESSES, ATTEMPTS, st.sampled_from(TCP_NAMES))
def test_a_rst_with_ack_acknowledges_the_syn_or_nothing_of_it(target: int, attempt: int, name: str) -> None:
    sent = SCANNER.frame(name, target, attempt)
    for acks, extra, payload in product((0, 1), EXTRA_FLAGS, (b"", b"go away")):
        reply = SCANNER.read(segment(sent, "RA" + extra, acks, payload))
        assert reply == direct(name, Kind.RST, target, attempt), (acks, extra, payload)
    for wrong in (2, -1, 2**31):
        assert SCANNER.read(segment(sent, "RA", wrong)) == Rejection.BAD_COOKIE


@given(ADDRESSES, ATTEMPTS, st.sampled_from(TCP_NAMES), st.integers(0, 2**32 - 1))
def test_a_rst_without_ack_is_weak(target: int, attempt: int, name: str, acknowledgment: int) -> None:
    sent = SCANNER.frame(name, target, attempt)
    for extra, payload in product(EXTRA_FLAGS, (b"", b"text")):
        frame = segment(sent, "R" + extra, payload=payload)
        frame[TCP].ack = acknowledgment
        assert SCANNER.read(frame) == direct(name, Kind.RST, target, attempt, Tier.WEAK)


@pytest.mark.parametrize("name", TCP_NAMES)
def test_other_segments_are_no_answers(name: str) -> None:
    sent = SCANNER.frame(name, TARGET)
    for extra in ("", "P", "F", "U", "E", "PF"):
        assert SCANNER.read(segment(sent, "A" + extra)) == Rejection.CHALLENGE_ACK
    for flags in ("", "S", "F", "P", "U", "SF", "FPU", "EC", "SP"):
        assert SCANNER.read(segment(sent, flags)) == Rejection.OTHER_TCP_FLAGS, flags


@given(ADDRESSES, ATTEMPTS, ADDRESSES)
def test_an_echo_reply_names_its_target_from_any_source(target: int, attempt: int, other: int) -> None:
    sent = SCANNER.frame("icmp", target, attempt)
    expected = Reply("icmp", Kind.ECHO_REPLY, target, target, attempt, rtt_ns=RTT_NS)
    assert SCANNER.read(echo(sent)) == expected
    assert SCANNER.read(echo(sent, keep=20)) == expected
    from_other = Reply("icmp", Kind.ECHO_REPLY, target, other, attempt, rtt_ns=RTT_NS)
    assert SCANNER.read(echo(sent, dotted(other))) == from_other


@given(ADDRESSES, ATTEMPTS, st.integers(12, 19))
def test_an_echo_reply_without_its_time_still_names_its_target(target: int, attempt: int, keep: int) -> None:
    sent = SCANNER.frame("icmp", target, attempt)
    expected = Reply("icmp", Kind.ECHO_REPLY, target, target ^ 1, attempt)
    assert SCANNER.read(echo(sent, dotted(target ^ 1), keep)) == expected
    assert SCANNER.read(echo(sent, keep=keep), time_ns=0) == direct("icmp", Kind.ECHO_REPLY, target, attempt, time_ns=0)


@given(ADDRESSES, ATTEMPTS, st.integers(0, 11))
def test_an_echo_reply_cut_short_is_its_senders_own(target: int, attempt: int, keep: int) -> None:
    sent = SCANNER.frame("icmp", target, attempt)
    assert SCANNER.read(echo(sent, keep=keep)) == direct("icmp", Kind.ECHO_REPLY, target, attempt)
    assert SCANNER.read(echo(sent, dotted(target ^ 1), keep)) == Rejection.BAD_COOKIE


def test_an_echo_whose_sequence_number_grows_past_the_highest() -> None:
    target = 0x08091101
    frames = [SCANNER.frame("icmp", target, attempt) for attempt in range(2)]
    assert [Ether(frame)[ICMP].seq for frame in frames] == [0xFFFF, 0]
    for attempt, sent in enumerate(frames):
        checked = Ether(sent)
        del checked[ICMP].chksum
        assert bytes(checked) == sent
        assert SCANNER.read(echo(sent, keep=8)) == direct("icmp", Kind.ECHO_REPLY, target, attempt)
        assert SCANNER.read(error(sent)) == error_reply("icmp", target, attempt)


@pytest.mark.parametrize("at", [0, 3, 7, 8, 11])
def test_an_echo_reply_with_an_altered_payload_is_its_senders_own(at: int) -> None:
    sent = SCANNER.frame("icmp", TARGET, 1)
    payload = bytearray(bytes(Ether(sent)[IP].payload.payload))
    payload[at] ^= 0x10
    frame = echo(sent)
    frame[Raw].load = bytes(payload)
    assert SCANNER.read(frame) == direct("icmp", Kind.ECHO_REPLY, TARGET, 1)
    frame[IP].src = ROUTER
    assert SCANNER.read(frame) == Rejection.BAD_COOKIE


@pytest.mark.parametrize(("elapsed_ns", "rtt_ns"), [(0, 0), (-1, -1), (3_599_999_999_999, 3_599_999_999_999)])
def test_a_round_trip_that_clocks_cannot_measure_is_unknown(elapsed_ns: int, rtt_ns: int) -> None:
    frame = echo(SCANNER.frame("icmp", TARGET))
    reply = SCANNER.read(frame, NOW_NS + elapsed_ns)
    assert isinstance(reply, Reply)
    assert (reply.rtt_ns, reply.time_ns) == (rtt_ns, NOW_NS + elapsed_ns)
    late = SCANNER.read(frame, NOW_NS + 3_600_000_000_000)
    assert isinstance(late, Reply)
    assert late.rtt_ns == -1


@given(ADDRESSES, ATTEMPTS)
def test_a_dns_answer_of_any_outcome(target: int, attempt: int) -> None:
    sent = SCANNER.frame("dns", target, attempt)
    expected = direct("dns", Kind.ANSWER, target, attempt)
    assert SCANNER.read(dns_answer(sent)) == expected
    for fields in ({"rcode": 3}, {"rcode": 5}, {"rcode": 2}, {"tc": 1}, {"aa": 1, "ra": 0}):
        assert SCANNER.read(dns_answer(sent, **fields)) == expected, fields
    shouted = DNSQR(qname="GoOgLE.cOm", qtype="A")
    assert SCANNER.read(dns_answer(sent, qd=shouted)) == expected


@given(ADDRESSES, ATTEMPTS)
def test_a_dns_payload_that_answers_another_question(target: int, attempt: int) -> None:
    sent = SCANNER.frame("dns", target, attempt)
    payload = direct("dns", Kind.PAYLOAD, target, attempt)
    assert SCANNER.read(dns_answer(sent, qr=0)) == payload
    assert SCANNER.read(dns_answer(sent, qd=DNSQR(qname="example.com", qtype="A"))) == payload
    assert SCANNER.read(dns_answer(sent, qd=DNSQR(qname="google.com", qtype="AAAA"))) == payload
    assert SCANNER.read(dns_answer(sent, qd=DNSQR(qname="google.com", qtype="A", qclass=3))) == payload
    assert SCANNER.read(dns_answer(sent, qd=[DNSQR(qname="google.com")] * 2)) == payload
    assert SCANNER.read(dns_answer(sent, qd=[], rcode=1)) == payload
    transaction = Ether(sent)[DNS].id.to_bytes(2, "big")
    for length in (0, 1, 10, 25):
        assert SCANNER.read(datagram(sent, Raw(transaction + b"\x80" * length))) == payload
    question = bytes(dns_answer(sent, rcode=0)[DNS])
    for length in (2, 12, 20, len(question) - 1):
        cut_short = bytes(datagram(sent, Raw(question[:length])))
        assert SCANNER.read(cut_short) == payload
        assert SCANNER.read(cut_short + question[length:]) == payload  # Ethernet padding is no question


@given(ADDRESSES, ATTEMPTS)
def test_a_udp_payload_without_the_cookie_is_weak(target: int, attempt: int) -> None:
    sent = {name: SCANNER.frame(name, target, attempt) for name in UDP_NAMES}
    weak = {name: direct(name, Kind.PAYLOAD, target, attempt, Tier.WEAK) for name in UDP_NAMES}
    transaction = Ether(sent["dns"])[DNS].id
    for name, content in product(UDP_NAMES, UDP_PAYLOADS.values()):
        if name != "dns" or content[:2] != transaction.to_bytes(2, "big"):
            assert SCANNER.read(datagram(sent[name], Raw(content))) == weak[name], (name, content)
    assert SCANNER.read(dns_answer(sent["dns"], id=transaction ^ 1)) == weak["dns"]
    answer = ntp_packet(sent["ntp"])
    for at in (24, 27, 28, 31):
        wrong = altered(answer, at, bytes([answer[at] ^ 1]))
        assert SCANNER.read(datagram(sent["ntp"], Raw(wrong))) == weak["ntp"], at
    for length in (0, 1, 31, 47):
        assert SCANNER.read(datagram(sent["ntp"], Raw(answer[:length]))) == weak["ntp"], length
    for change in (1, -1, 2**8, 2**16, 2**24):
        assert SCANNER.read(snmp_answer(sent["snmp"], change=change)) == weak["snmp"], change
    message = bytes(snmp_answer(sent["snmp"])[UDP].payload)
    for length in (1, 16, len(message) - 1):
        assert SCANNER.read(datagram(sent["snmp"], Raw(message[:length]))) == weak["snmp"], length
    search = bytes(Ether(sent["udp/1900"])[UDP].payload)  # its 16 bits of the cookie prove nothing
    for content in (search, SSDP_ANSWER.replace(b"ST:", b"NT:"), SSDP_ANSWER.replace(b"200", b"404")):
        assert SCANNER.read(ssdp_answer(sent["udp/1900"], content)) == weak["udp/1900"], content


@given(ADDRESSES, ATTEMPTS)
def test_an_ntp_answer_is_a_servers(target: int, attempt: int) -> None:
    sent = SCANNER.frame("ntp", target, attempt)
    answer = ntp_packet(sent)
    assert SCANNER.read(datagram(sent, Raw(answer))) == direct("ntp", Kind.ANSWER, target, attempt)
    kiss_of_death = altered(ntp_packet(sent, 0b11_100_100), 1, b"\0" + answer[2:12] + b"RATE")
    assert SCANNER.read(datagram(sent, Raw(kiss_of_death))) == direct("ntp", Kind.ANSWER, target, attempt)
    assert SCANNER.read(datagram(sent, Raw(answer + bytes(20)))) == direct("ntp", Kind.ANSWER, target, attempt)
    for mode in (0, 1, 2, 3, 5, 6, 7):
        other = datagram(sent, Raw(ntp_packet(sent, 0b00_100_000 | mode)))
        assert SCANNER.read(other) == direct("ntp", Kind.PAYLOAD, target, attempt), mode


@pytest.mark.parametrize("name", UDP_NAMES)
def test_a_datagram_without_a_checksum_is_read(name: str) -> None:
    kind, answer = sample_replies(SCANNER, name, TARGET, 0)[0]
    assert kind == Kind.ANSWER
    frame = Ether(answer)
    frame[UDP].chksum = 0
    assert SCANNER.read(frame) == direct(name, kind, TARGET, 0, tier_of(name, kind))


ERRORS = [(3, code) for code in range(16)] + [(4, 0), (5, 0), (5, 1), (11, 0), (11, 1), (12, 0), (12, 2)]


def test_the_errors_are_those_that_count() -> None:
    assert {icmp_type for icmp_type, _ in ERRORS} == set(ERROR_TYPES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error_code", ERRORS, ids=str)
def test_an_error_of_every_type_and_code(name: str, error_code: tuple[int, int]) -> None:
    for attempt in range(2):
        sent = SCANNER.frame(name, TARGET, attempt)
        expected = error_reply(name, TARGET, attempt, error_code)
        assert SCANNER.read(error(sent, *error_code)) == expected
        own = error_reply(name, TARGET, attempt, error_code, source=dotted(TARGET))
        assert SCANNER.read(error(sent, *error_code, source=None)) == own


@given(settings(), ADDRESSES)
def test_an_error_quotes_8_bytes_28_or_everything(chosen: Settings, target: int) -> None:
    scanner = Scanner(chosen)
    for name in NAMES:
        sent = scanner.frame(name, target, chosen.attempts - 1)
        whole = quoted(sent)
        expected = error_reply(name, target, chosen.attempts - 1)
        for length in (28, 28 + 20, len(whole)):
            assert scanner.read(error(sent, quote=whole[:length])) == expected, (name, length)
        extended = whole.ljust(128, b"\0") + bytes.fromhex("2000 0000 0008 0101 00001101")  # RFC 4884: MPLS behind it
        assert scanner.read(error(sent, quote=extended)) == expected
        assert scanner.read(error(sent, behind=b"trailing bytes")) == expected
        assert scanner.read(error(sent, quote=whole[:27])) == Rejection.BAD_QUOTE


MANGLED = {
    "length zero": (2, b"\0\0"),
    "length in host order": (2, b"\x28\0"),
    "header subtracted from the length": (2, b"\0\x14"),
    "TTL zero": (8, b"\0"),
    "checksum zero": (10, b"\0\0"),
    "checksum wrong": (10, b"\xbe\xef"),
    "fragment field in host order": (6, b"\0\x40"),
    "fragment offset": (6, b"\x20\x07"),
    "TOS": (1, b"\xb8"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", MANGLED)
def test_mangled_fields_of_a_quoted_header_do_not_matter(name: str, what: str) -> None:
    sent = SCANNER.frame(name, TARGET, 1)
    quote = altered(quoted(sent), *MANGLED[what])
    assert SCANNER.read(error(sent, quote=quote[:28])) == error_reply(name, TARGET, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", [1, 4, 10])
def test_ip_options_inside_the_quote(name: str, words: int) -> None:
    sent = SCANNER.frame(name, TARGET, 1)
    whole = quoted(sent)
    quote = bytes([0x45 + words]) + whole[1:20] + bytes([1]) * (4 * words) + whole[20:28]
    assert SCANNER.read(error(sent, quote=quote)) == error_reply(name, TARGET, 1)
    assert SCANNER.read(error(sent, quote=quote[:-1])) == Rejection.BAD_QUOTE


@pytest.mark.parametrize("name", NAMES)
def test_replies_with_ip_options_padding_and_tags(name: str) -> None:
    for attempt in range(2):
        for kind, frame in sample_replies(SCANNER, name, TARGET, attempt):
            plain = SCANNER.read(frame)
            assert isinstance(plain, Reply)
            assert plain.kind == kind
            packet = Ether(frame)
            header, content = packet[IP].copy(), packet[IP].payload
            header.remove_payload()
            del header.ihl, header.len, header.chksum
            header.options = [bytes([7, 11, 4]) + bytes(8) + b"\0"]  # record route, and its end
            ethernet = Ether(src=packet.src, dst=packet.dst)
            assert SCANNER.read(ethernet / header / content) == plain
            assert SCANNER.read(frame + bytes(18)) == plain
            assert SCANNER.read(frame + b"\xff" * 7) == plain
            tagged = ethernet / Dot1Q(vlan=42, prio=3) / packet[IP]
            assert SCANNER.read(tagged) == plain
            assert SCANNER.read(ethernet / Dot1AD(vlan=7) / Dot1Q(vlan=42) / packet[IP]) == plain
            assert SCANNER.read(ethernet / Dot1Q() / Dot1Q() / Dot1Q() / packet[IP]) == Rejection.NOT_IPV4


@given(settings(), ADDRESSES, st.sampled_from(UDP_NAMES))
def test_a_udp_quote_is_strong_by_its_checksum_or_its_ip_id(chosen: Settings, target: int, name: str) -> None:
    scanner = Scanner(chosen)
    sent = scanner.frame(name, target)
    quote = quoted(sent)[:28]
    other_id = altered(quote, 4, bytes([quote[4] ^ 0x5A]))
    other_sum = altered(quote, 26, bytes([quote[26] ^ 0x5A]))
    both = altered(other_id, 26, other_sum[26:])
    strong = error_reply(name, target, 0)
    assert scanner.read(error(sent, quote=other_id)) == strong
    assert scanner.read(error(sent, quote=other_sum)) == strong
    weak = Reply(name, Kind.ERROR, target, address(ROUTER), 0, Tier.WEAK, (3, 3))
    assert scanner.read(error(sent, quote=both)) == weak


@pytest.mark.parametrize("name", UDP_NAMES)
def test_a_udp_quote_of_a_rewritten_source_is_strong_by_its_ip_id(name: str) -> None:
    sent = SCANNER.frame(name, TARGET, 1)
    quote = altered(quoted(sent)[:28], 12, bytes([10, 0, 0, 7]))  # a NAT that did not restore what it quotes
    assert SCANNER.read(error(sent, quote=quote)) == error_reply(name, TARGET, 1)


@given(settings(), ADDRESSES, st.integers(0, 65535))
def test_a_quoted_source_port_that_was_rewritten_hides_the_attempt(chosen: Settings, target: int, port: int) -> None:
    scanner = Scanner(chosen)
    for name in (*TCP_NAMES, *UDP_NAMES):
        sent = scanner.frame(name, target)
        if port in {Ether(scanner.frame(name, target, n))[IP].payload.sport for n in range(chosen.attempts)}:
            continue
        packet = IP(quoted(sent))
        packet.payload.sport = port
        del packet.payload.chksum  # as a NAT corrects it, here by scapy
        expected = error_reply(name, target, UNKNOWN_ATTEMPT if chosen.attempts > 1 else 0)
        assert scanner.read(error(sent, quote=bytes(packet)[:28])) == expected
        packet.id ^= 1
        without_id = scanner.read(error(sent, quote=bytes(packet)[:28]))
        assert without_id == (expected if name in TCP_NAMES else Rejection.BAD_PORT)


def valid_and_wrong(name: str, sent: bytes) -> tuple[bytes, bytes]:
    """Return what a valid answer carries, and what one without the cookie does: of SSDP, one that is not valid."""
    match name:
        case "dns":
            wrong = dns_answer(sent, id=Ether(sent)[DNS].id ^ 1)
            return bytes(dns_answer(sent)[UDP].payload), bytes(wrong[UDP].payload)
        case "ntp":
            answer = ntp_packet(sent)
            return answer, altered(answer, 31, bytes([answer[31] ^ 1]))
        case "snmp":
            return bytes(snmp_answer(sent)[UDP].payload), bytes(snmp_answer(sent, change=1)[UDP].payload)
        case _:
            return SSDP_ANSWER, SSDP_ANSWER.replace(b"200", b"404")


@given(settings(), ADDRESSES, st.integers(0, 65535) | st.sampled_from(list(UDP_PORTS.values())))
def test_a_udp_reply_from_another_port_counts_by_what_it_carries(chosen: Settings, target: int, port: int) -> None:
    scanner = Scanner(chosen)
    sent = {name: scanner.frame(name, target) for name in UDP_NAMES}
    own = {name: Ether(frame)[UDP].sport for name, frame in sent.items()}
    probed = {number: name for name, number in UDP_PORTS.items()}.get(port)
    for name in UDP_NAMES:
        if probed == name:
            continue
        kind = Kind.ANSWER if name == "udp/1900" else Kind.PAYLOAD  # an SSDP device may answer from any port
        expected: list[Reply | Rejection] = [
            direct(name, kind, target, 0, tier_of(name, kind)),
            Rejection.UNPROBED_PORT if probed is None else Rejection.BAD_PORT,
        ]
        if probed is not None and own[probed] == own[name]:  # both ports are those of another probe: it is its reply
            expected = [direct(probed, Kind.PAYLOAD, target, 0, Tier.WEAK)] * 2
        for content, reply in zip(valid_and_wrong(name, sent[name]), expected, strict=True):
            frame = back(sent[name], UDP(sport=port, dport=own[name]) / Raw(content))
            assert scanner.read(frame) == reply, (name, content)


@pytest.mark.parametrize("name", TCP_NAMES)
def test_a_tcp_quote_needs_its_sequence_number(name: str) -> None:
    sent = SCANNER.frame(name, TARGET)
    quote = quoted(sent)[:28]
    for at in range(24, 28):
        wrong = altered(quote, at, bytes([quote[at] ^ 1]))
        assert SCANNER.read(error(sent, quote=wrong)) == Rejection.BAD_COOKIE
    elsewhere = altered(quote, 4, b"\0\0")  # the IP ID proves nothing that the sequence number does not
    assert SCANNER.read(error(sent, quote=elsewhere)) == error_reply(name, TARGET, 0)


def test_an_echo_quote_needs_its_sequence_number_and_identifier_or_ip_id() -> None:
    sent = SCANNER.frame("icmp", TARGET)
    quote = quoted(sent)[:28]
    for at in (4, 5, 24, 25):
        wrong = altered(quote, at, bytes([quote[at] ^ 1]))
        assert SCANNER.read(error(sent, quote=wrong)) == error_reply("icmp", TARGET, 0)
        both = altered(altered(quote, 4, bytes([quote[4] ^ 1])), 24, bytes([quote[24] ^ 1]))
        assert SCANNER.read(error(sent, quote=both)) == Rejection.BAD_COOKIE
    wrong = altered(quote, 26, bytes([quote[26] ^ 1]))
    assert SCANNER.read(error(sent, quote=wrong)) == Rejection.BAD_COOKIE
    number = int.from_bytes(quote[26:28], "big")
    for attempt in (-1, 2):
        wrong = altered(quote, 26, ((number + attempt) % 2**16).to_bytes(2, "big"))
        assert SCANNER.read(error(sent, quote=wrong)) == Rejection.BAD_COOKIE
    assert SCANNER.read(error(sent, quote=altered(quote, 20, b"\0"))) == Rejection.BAD_QUOTE  # of an echo reply


def test_a_first_fragment_of_an_error_is_read() -> None:
    sent = SCANNER.frame("tcp/443", TARGET, 1)
    assert SCANNER.read(error(sent, quote=quoted(sent), flags="MF")) == error_reply("tcp/443", TARGET, 1)


def test_a_first_fragment_of_an_answer_is_read_as_far_as_it_goes() -> None:
    sent = SCANNER.frame("dns", TARGET, 1)
    whole = dns_answer(sent)
    content = bytes(whole[UDP])
    length = (len(content) + 600).to_bytes(2, "big")
    first = back(sent, Raw(altered(content, 4, length)), proto=17, flags="MF")
    assert SCANNER.read(first) == direct("dns", Kind.ANSWER, TARGET, 1)
