"""The Python servers, judged by scapy and by bytes written by hand."""

import struct

import dns.message
import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.ntp import NTPHeader

from liveness.lab.hosts.document import Daemon, Host
from liveness.lab.hosts.servers import nginx_ports, nonsense, open_servers, silence
from liveness.lab.load import parse_internet
from liveness.lab.twins.dns import respond as dns_answer
from liveness.lab.twins.ntp import respond as ntp_answer


def test_a_dns_answer_repeats_id_and_question_and_gives_an_address() -> None:
    query = bytes(DNS(id=4711, rd=1, qd=DNSQR(qname="example.org", qtype="A")))
    answer = dns_answer(query)
    assert answer is not None
    response = DNS(answer)
    assert (response.id, response.qr, response.rcode, response.ra) == (4711, 1, 0, 1)
    assert (response.qd[0].qname, response.an[0].rdata) == (b"example.org.", "192.0.2.53")


def test_other_types_get_an_empty_answer() -> None:
    answer = dns_answer(dns.message.make_query("example.org", "TXT").to_wire())
    assert answer is not None
    assert (DNS(answer).qdcount, DNS(answer).ancount) == (1, 0)


@pytest.mark.parametrize("request_bytes", [b"", b"short", bytes(DNS(id=1, qr=1, qd=DNSQR(qname="a")))])
def test_what_is_no_dns_query_gets_nothing(request_bytes: bytes) -> None:
    assert dns_answer(request_bytes) is None


def test_a_broken_dns_query_gets_a_format_error() -> None:
    answer = dns_answer(bytes(DNS(id=9, qd=DNSQR(qname="example.org")))[:-3])
    assert answer is not None
    assert (DNS(answer).id, DNS(answer).qr, DNS(answer).rcode) == (9, 1, 1)


def test_an_ntp_answer_gives_back_all_64_bits_of_the_transmit_timestamp() -> None:
    stamp = struct.pack("!Q", 0xFEDCBA9876543211)  # 64 significant bits: no float holds it
    answer = ntp_answer(b"\x23" + bytes(39) + stamp)
    assert answer is not None
    reply = NTPHeader(answer)
    assert (reply.version, reply.mode, reply.stratum, len(answer)) == (4, 4, 2, 48)
    assert answer[24:32] == stamp
    assert answer[40:48] not in (stamp, bytes(8))


@pytest.mark.parametrize("request_bytes", [b"", bytes(20), b"\x24" + bytes(47), b"\x21" + bytes(47)])
def test_what_is_no_ntp_client_packet_gets_nothing(request_bytes: bytes) -> None:
    assert ntp_answer(request_bytes) is None


def test_nonsense_is_neither_dns_nor_ntp_server() -> None:
    payload = nonsense(b"anything")
    assert payload
    assert payload[0] & 7 != 4
    assert not payload[2] & 0x80
    assert silence(b"anything") is None  # type: ignore[func-returns-value]


def test_python_serves_only_what_no_daemon_does() -> None:
    line = "{name: a, kind: host, prefixes: [10.1.0.0/24], listen: [22, 80], ntp: answer, dns: answer}"
    text = f"name: t\nnetworks: [{line}]"
    (host,) = parse_internet(text, "t").networks
    assert isinstance(host, Host)
    assert open_servers(host, set(Daemon)) == []
    assert nginx_ports(host) == [80]
