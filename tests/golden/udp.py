"""Cells of DNS and NTP: answers, other payloads, and datagrams that prove nothing."""

from collections.abc import Iterator
from typing import Any

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import UDP
from scapy.packet import Raw

from tests.golden.cells import Table, altered
from tests.golden.sent import STRANGER, Sent, ntp_server_packet

MODE_6_RESPONSE = bytes.fromhex("1682 0000 0600 0000 0000 0004") + b"hi=1"
"""An answer to an NTP control message (RFC 9327): mode 6, read variables."""
MODE_7_RESPONSE = bytes.fromhex("9700 032a 0000 0000")
"""An answer to ntpdc's monlist: mode 7, no data."""


def datagram(sent: Sent, content: Any, **fields: int) -> Any:  # noqa: ANN401 - scapy
    """Return a datagram to the probe's source port; `fields` are those of the UDP header."""
    header: dict[str, Any] = {"sport": sent.port, "dport": sent.source_port, **fields}
    return UDP(**header) / content


def dns_message(sent: Sent, **fields: Any) -> Raw:  # noqa: ANN401 - scapy
    """Return a DNS response: an address, unless `fields` of its header say otherwise."""
    header: dict[str, Any] = {"id": sent.transaction, "qr": 1, "rd": 1, "ra": 1}
    question = [DNSQR(qname="google.com", qtype="A")]
    answer = [DNSRR(rrname="google.com", type="A", ttl=300, rdata="192.0.2.7")] if not fields else []
    return Raw(bytes(DNS(**{**header, "qd": question, "an": answer, **fields})))


def _dns_messages(sent: Sent) -> Iterator[tuple[str, str, str, Raw, dict[str, str]]]:
    """Yield name, kind, tier, content and what tshark sees."""
    yield "an answer", "answer", "strong", dns_message(sent), {"dns.flags.response": "1", "dns.a": "192.0.2.7"}
    for rcode, name in ((1, "format error"), (2, "server failure"), (3, "no such name"), (5, "refused")):
        yield name, "answer", "strong", dns_message(sent, rcode=rcode), {"dns.flags.rcode": str(rcode)}
    yield "truncated flag", "answer", "strong", dns_message(sent, tc=1), {"dns.flags.truncated": "1"}
    yield "recursion not available", "answer", "strong", dns_message(sent, ra=0), {"dns.flags.recavail": "0"}
    shouted = [DNSQR(qname="GoOgLE.cOM", qtype="A")]
    yield "question in other case", "answer", "strong", dns_message(sent, qd=shouted), {"dns.qry.name": "GoOgLE.cOM"}
    other = [DNSQR(qname="example.com", qtype="A")]
    yield "question of another name", "payload", "strong", dns_message(sent, qd=other), {"dns.qry.name": "example.com"}
    other = [DNSQR(qname="google.com", qtype="AAAA")]
    yield "question of another type", "payload", "strong", dns_message(sent, qd=other), {"dns.qry.type": "28"}
    other = [DNSQR(qname="google.com", qclass=3)]
    yield "question of another class", "payload", "strong", dns_message(sent, qd=other), {"dns.qry.class": "0x0003"}
    twice = [DNSQR(qname="google.com")] * 2
    yield "two questions", "payload", "strong", dns_message(sent, qd=twice), {"dns.count.queries": "2"}
    yield "no question", "payload", "strong", dns_message(sent, qd=[], rcode=1), {"dns.count.queries": "0"}
    yield "the query sent back", "payload", "strong", Raw(bytes(sent.transport.payload)), {"dns.flags.response": "0"}
    cut = Raw(bytes(dns_message(sent))[:27])
    yield "an answer cut in its question", "payload", "strong", cut, {"udp.length": "35"}
    only = Raw(sent.transaction.to_bytes(2, "big"))
    yield "a transaction id and nothing else", "payload", "strong", only, {"udp.length": "10"}
    wrong = dns_message(sent, id=sent.transaction ^ 1, rcode=0)
    yield "wrong transaction id", "payload", "weak", wrong, {"dns.id": f"0x{sent.transaction ^ 1:04x}"}
    yield "empty", "payload", "weak", Raw(b""), {"udp.length": "8"}
    yield "one byte", "payload", "weak", Raw(only.load[:1]), {"udp.length": "9"}
    yield "garbage", "payload", "weak", Raw(bytes(range(7, 60))), {"udp.length": "61"}
    yield "text", "payload", "weak", Raw(b"220 ready\r\n"), {"udp.length": "19"}


def _ntp_messages(sent: Sent) -> Iterator[tuple[str, str, str, Raw, dict[str, str]]]:
    answer = ntp_server_packet(sent)
    yield "mode 4", "answer", "strong", Raw(answer), {"ntp.flags.mode": "4", "ntp.stratum": "2"}
    for version in (1, 3):
        old = Raw(ntp_server_packet(sent, version=version))
        yield f"mode 4, version {version}", "answer", "strong", old, {"ntp.flags.vn": str(version)}
    for code in (b"RATE", b"DENY"):
        kiss = Raw(altered(ntp_server_packet(sent, leap=3, stratum=0), 12, code))
        yield f"kiss-o'-death {code.decode()}", "answer", "strong", kiss, {"ntp.stratum": "0", "ntp.flags.li": "3"}
    signed = Raw(answer + bytes(20))
    yield "mode 4 with an authenticator", "answer", "strong", signed, {"udp.length": "76"}
    for mode in (0, 1, 2, 3, 5, 6, 7):
        first = bytes([0b00_100_000 | mode])
        other = Raw(first + answer[1:])
        yield f"mode {mode} with our timestamp", "payload", "strong", other, {"udp.payload": other.load.hex()}
    wrong = Raw(altered(answer, 27, bytes([answer[27] ^ 1])))
    yield "wrong originate timestamp", "payload", "weak", wrong, {"ntp.flags.mode": "4"}
    wrong = Raw(altered(answer, 31, bytes([answer[31] ^ 1])))
    yield "wrong fraction of the originate timestamp", "payload", "weak", wrong, {"ntp.flags.mode": "4"}
    yield "originate timestamp zero", "payload", "weak", Raw(altered(answer, 24, bytes(8))), {"ntp.flags.mode": "4"}
    yield "control message, mode 6", "payload", "weak", Raw(MODE_6_RESPONSE), {"ntp.ctrl.flags2.r": "1"}
    yield "private message, mode 7", "payload", "weak", Raw(MODE_7_RESPONSE), {"ntp.priv.reqcode": "42"}
    yield "an answer of 47 bytes", "payload", "weak", Raw(answer[:47]), {"udp.length": "55"}
    yield "empty", "payload", "weak", Raw(b""), {"udp.length": "8"}
    yield "garbage", "payload", "weak", Raw(bytes(range(7, 60))), {"udp.length": "61"}


def _valid(sent: Sent) -> Raw:
    return dns_message(sent) if sent.name == "dns" else Raw(ntp_server_packet(sent))


def _ports_and_lengths(table: Table, name: str) -> None:
    sent = Sent(name)
    valid, other = _valid(sent), Raw(b"\xff" * 48)
    for port in (1024, 53 if name == "ntp" else 123):
        seen = {"udp.srcport": str(port)}
        packet = table.packet(sent, datagram(sent, valid, sport=port))
        table.accepted(f"an answer from port {port}", packet, sent, "payload", tshark=seen)
        packet = table.packet(sent, datagram(sent, other, sport=port))
        reason = "unprobed-port" if port == 1024 else "bad-port"
        table.rejected(f"garbage from port {port}", packet, reason, tshark=seen)
    table.rejected("an answer to another port", table.packet(sent, datagram(sent, valid, dport=40000)), "bad-port")
    packet = table.packet(sent, datagram(sent, valid, sport=1024, dport=40000))
    table.rejected("an answer from and to another port", packet, "unprobed-port")
    table.rejected(
        "an answer from another address", table.packet(sent, datagram(sent, valid), "198.51.100.9"), "bad-port"
    )
    stray = Sent(name, target=STRANGER)
    packet = table.packet(stray, datagram(stray, _valid(stray)))
    table.rejected("an answer of an address that was not probed", packet, "unprobed-address")
    packet = table.packet(sent, datagram(sent, valid, chksum=0))
    table.accepted("an answer without a checksum", packet, sent, "answer", tshark={"udp.checksum": "0x0000"})
    inner = bytes(table.packet(sent, datagram(sent, valid)))[20:]
    packet = table.packet(sent, Raw(inner + b"behind the datagram"), proto=17)
    length = {"udp.length": str(len(inner))}
    table.accepted("an answer in a longer packet", packet, sent, "answer", tshark=length)
    for lie in (0, 7, len(inner) + 1, 65535):
        packet = table.packet(sent, datagram(sent, valid, len=lie))
        table.rejected(f"an answer whose length says {lie}", packet, "bad-length", tshark={"udp.length": str(lie)})
    packet = table.packet(sent, Raw(inner[:7]), proto=17)
    table.rejected("a datagram of 7 bytes", packet, "bad-length", tshark={"ip.len": "27"})


def _cells(name: str) -> Table:
    table = Table()
    messages = _dns_messages if name == "dns" else _ntp_messages
    for attempt in range(2):
        sent = Sent(name, attempt)
        for what, kind, tier, content, seen in messages(sent):
            packet = table.packet(sent, datagram(sent, content))
            table.accepted(f"{what}, attempt {attempt}", packet, sent, kind, tier=tier, tshark=seen)
    _ports_and_lengths(table, name)
    return table


def dns_cells() -> Table:
    """Return the table of DNS."""
    return _cells("dns")


def ntp_cells() -> Table:
    """Return the table of NTP."""
    return _cells("ntp")
