"""Every answer a population can give, judged by scapy: addresses, ports, numbers, quotes and checksums."""

import itertools
from typing import Any

import pytest
from scapy.layers.dns import DNS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.ntp import NTPHeader

from liveness.lab.model.population.answer import (
    CODE_SHIFT,
    ERROR,
    FROM_ROUTER,
    PROBES,
    TYPE_SHIFT,
    answer_of,
    router_of,
)
from liveness.lab.model.population.load import Population
from liveness.replies import ERROR_TYPES
from liveness.space.addresses import format_address, parse_address
from tests.frames import sum_of
from tests.lab.model.responder.support import SCANNER, FarEnd, answering, every_answer, packaged, probe_frame, used

TCP_PROBES = ("tcp/22", "tcp/80", "tcp/7547", "tcp/control")


@pytest.fixture(scope="module")
def population() -> Population:
    return packaged()


def ask(population: Population, probe: str, label: str) -> tuple[Any, list[Any]]:
    """Return a probe's packet and what answers it, headers and checksums checked."""
    target = answering(population, probe, label)[0]
    sent = Ether(probe_frame(probe, target))
    replies = FarEnd(population).replies(bytes(sent))
    for reply in replies:
        assert (reply.dst, reply.src, reply.type) == (sent.src, sent.dst, 0x0800)
        assert reply[IP].dst == format_address(SCANNER)
        assert (reply[IP].version, reply[IP].ihl, reply[IP].len) == (4, 5, len(reply) - 14)
        assert 0 < reply[IP].ttl <= 251
        check_sums(bytes(reply))
    return sent, replies


def check_sums(frame: bytes) -> None:
    """Have scapy compute every checksum anew and compare: built from fields, not from the frame's bytes."""
    packet = Ether(frame)
    rebuilt = packet.copy()
    del rebuilt[IP].chksum
    for layer in (TCP, UDP):
        if layer in rebuilt and ICMP not in rebuilt:
            del rebuilt[layer].chksum
    if ICMP in rebuilt:
        assert sum_of(frame[34 : 14 + packet[IP].len]) == 0
    assert bytes(rebuilt) == frame


def test_an_echo_reply_has_what_the_request_had(population: Population) -> None:
    sent, (reply,) = ask(population, "icmp", "echo-reply")
    assert reply[IP].src == sent[IP].dst
    assert (reply[ICMP].type, reply[ICMP].code) == (0, 0)
    assert (reply[ICMP].id, reply[ICMP].seq) == (sent[ICMP].id, sent[ICMP].seq)
    assert bytes(reply[ICMP].payload) == bytes(sent[ICMP].payload)


@pytest.mark.parametrize("probe", TCP_PROBES)
def test_a_syn_ack_acknowledges_the_syn(population: Population, probe: str) -> None:
    sent, replies = ask(population, probe, "syn-ack")
    reply = replies[0]
    assert reply[IP].src == sent[IP].dst
    assert (reply[TCP].sport, reply[TCP].dport) == (sent[TCP].dport, sent[TCP].sport)
    assert (reply[TCP].flags, reply[TCP].ack) == ("SA", (sent[TCP].seq + 1) % 2**32)
    assert reply[TCP].window > 0
    assert dict(reply[TCP].options) == {"MSS": 1460}


@pytest.mark.parametrize("probe", TCP_PROBES)
def test_a_reset_of_a_closed_port_is_a_kernel_s(population: Population, probe: str) -> None:
    """RFC 9293 3.10.7.1: sequence number zero, the SYN acknowledged."""
    closed = set(answering(population, probe, "rst")) - set(answering(population, probe, "syn-ack"))
    sent = Ether(probe_frame(probe, closed.pop()))
    (reply,) = FarEnd(population).replies(bytes(sent))
    check_sums(bytes(reply))
    assert (reply[TCP].flags, reply[TCP].seq, reply[TCP].ack) == ("RA", 0, (sent[TCP].seq + 1) % 2**32)
    assert (reply[TCP].sport, reply[TCP].dport) == (sent[TCP].dport, sent[TCP].sport)
    assert reply[TCP].window == 0


def test_who_opens_and_resets_does_it_in_order(population: Population) -> None:
    both = set(answering(population, "tcp/80", "syn-ack")) & set(answering(population, "tcp/80", "rst"))
    sent = Ether(probe_frame("tcp/80", both.pop()))
    first, second = FarEnd(population).replies(bytes(sent))
    assert (first[TCP].flags, second[TCP].flags) == ("SA", "RA")
    assert second[TCP].seq == (first[TCP].seq + 1) % 2**32
    assert second[TCP].ack == first[TCP].ack == (sent[TCP].seq + 1) % 2**32
    check_sums(bytes(first))
    check_sums(bytes(second))


def test_a_dns_answer_is_valid_for_the_question(population: Population) -> None:
    sent, (reply,) = ask(population, "dns", "answer")
    assert reply[IP].src == sent[IP].dst
    assert (reply[UDP].sport, reply[UDP].dport) == (53, sent[UDP].sport)
    query, answer = DNS(bytes(sent[UDP].payload)), DNS(bytes(reply[UDP].payload))
    assert (answer.id, answer.qr, answer.rd, answer.ra, answer.rcode) == (query.id, 1, 1, 1, 0)
    assert bytes(answer.qd[0]) == bytes(query.qd[0])
    assert (answer.ancount, answer.an[0].rrname, answer.an[0].type) == (1, b"google.com.", 1)
    assert answer.an[0].rdata.count(".") == 3


def test_an_ntp_answer_is_of_a_server_and_copies_our_time(population: Population) -> None:
    sent, (reply,) = ask(population, "ntp", "answer")
    asked, answer = NTPHeader(bytes(sent[UDP].payload)), NTPHeader(bytes(reply[UDP].payload))
    assert (reply[UDP].sport, reply[UDP].dport) == (123, sent[UDP].sport)
    assert (answer.version, answer.mode, answer.stratum) == (4, 4, 2)
    assert answer.orig == asked.sent
    assert len(bytes(answer)) == 48


@pytest.mark.parametrize("probe", ["dns"])
def test_wrong_payloads_are_no_answers(population: Population, probe: str) -> None:
    shapes = set()
    for target in answering(population, probe, "payload")[:30]:
        sent = Ether(probe_frame(probe, target))
        (reply,) = FarEnd(population).replies(bytes(sent))
        check_sums(bytes(reply))
        assert (reply[UDP].sport, reply[UDP].dport) == (sent[UDP].dport, sent[UDP].sport)
        payload = bytes(reply[UDP].payload)
        shapes.add(len(payload))
        assert len(payload) < 12 or payload[2] & 0x80 == 0
    assert len(shapes) == 2  # words, and the head of the query


@pytest.mark.parametrize(
    ("icmp_type", "code"), [(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), *[(t, 0) for t in ERROR_TYPES]]
)
@pytest.mark.parametrize("probe", ["icmp", "tcp/22", "dns"])
def test_errors_quote_the_probe_as_it_arrived(probe: str, icmp_type: int, code: int) -> None:
    """Every type and code, from the target and from its router, of enough places to see short and long quotes."""
    lengths = set()
    for from_router, target in itertools.product((False, True), used(12)):
        population = every_answer(ERROR | icmp_type << TYPE_SHIFT | code << CODE_SHIFT | FROM_ROUTER * from_router)
        sent = Ether(probe_frame(probe, target))
        (reply,) = FarEnd(population).replies(bytes(sent))
        check_sums(bytes(reply))
        source = int(router_of(population.tables, target)) if from_router else target
        assert parse_address(reply[IP].src) == source
        assert (reply[ICMP].type, reply[ICMP].code) == (icmp_type, code)
        quote = bytes(reply)[42:]
        lengths.add(len(quote))
        original = bytes(sent[IP])
        assert sum_of(quote[:20]) == 0
        assert 1 <= quote[8] < original[8]
        assert without_ttl(quote) == without_ttl(original[: len(quote)])
    assert lengths == {28, len(bytes(sent[IP]))}


def without_ttl(packet: bytes) -> bytes:
    """Return an IP packet without TTL and header checksum, which change on the way."""
    return packet[:8] + packet[9:10] + packet[12:]


def test_an_unused_address_is_silent(population: Population) -> None:
    for probe, number in zip(PROBES, range(len(PROBES)), strict=True):
        addresses = range(0x14000000, 0x15000000, 977)
        target = next(address for address in addresses if not answer_of(population.tables, address, number))
        assert FarEnd(population).replies(probe_frame(probe, target)) == []
