"""Cells of SSDP and SNMP: answers, other payloads, and datagrams that prove nothing."""

from collections.abc import Iterator
from typing import Any

from scapy.layers.snmp import SNMPget, SNMPinform, SNMPresponse, SNMPtrapv2
from scapy.packet import Raw

from tests.golden.cells import Table
from tests.golden.sent import ROUTER, STRANGER, Sent, snmp_message
from tests.golden.udp import datagram

FOUND = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nDATE: Fri, 27 Nov 2026 08:00:00 GMT\r\nEXT:\r\n"
    b"LOCATION: http://192.0.2.1:49152/gatedesc.xml\r\nSERVER: Linux/4.9 UPnP/1.0 router/1.0\r\n"
    b"ST: upnp:rootdevice\r\nUSN: uuid:75802409-bccb-40e7-8e6c-000000000001::upnp:rootdevice\r\n\r\n"
)

Message = tuple[str, str, str, bytes, dict[str, str]]
"""Name, kind, tier, content and what tshark sees."""


def _ssdp_messages(_sent: Sent) -> Iterator[Message]:
    yield (
        "found",
        "answer",
        "weak",
        FOUND,
        {"http.response.code": "200", "http.server": "Linux/4.9 UPnP/1.0 router/1.0"},
    )
    yield "found, names in small letters", "answer", "weak", FOUND.replace(b"ST:", b"st:").replace(b"USN", b"uSn"), {}
    yield "found, lines without a return", "answer", "weak", FOUND.replace(b"\r\n", b"\n"), {}
    yield "found, no empty line", "answer", "weak", FOUND[:-4], {}
    yield "found, status without a reason", "answer", "weak", FOUND.replace(b"200 OK", b"200"), {}
    yield "found, no ST", "payload", "weak", FOUND.replace(b"ST: ", b"NT: "), {"http.response.code": "200"}
    yield "found, no USN", "payload", "weak", FOUND.replace(b"USN:", b"XUSN:"), {"http.response.code": "200"}
    yield "found, ST behind the empty line", "payload", "weak", FOUND.replace(b"ST: ", b"\r\nST: "), {}
    yield (
        "not found",
        "payload",
        "weak",
        b"HTTP/1.1 404 Not Found\r\nST: a\r\nUSN: b\r\n\r\n",
        {"http.response.code": "404"},
    )
    yield "HTTP/1.0", "payload", "weak", FOUND.replace(b"HTTP/1.1", b"HTTP/1.0"), {"http.response.code": "200"}
    yield "a status of four digits", "payload", "weak", FOUND.replace(b"200 OK", b"2000 OK"), {}
    yield "a notification", "payload", "weak", FOUND.replace(b"HTTP/1.1 200 OK", b"NOTIFY * HTTP/1.1"), {}
    yield "the search sent back", "payload", "weak", bytes(_sent.transport.payload), {}
    yield "the status line alone", "payload", "weak", b"HTTP/1.1 200", {"udp.length": "20"}
    yield "names without values", "payload", "weak", b"HTTP/1.1 200 OK\r\nST: a\r\nUSN:", {"udp.length": "36"}
    yield "empty", "payload", "weak", b"", {"udp.length": "8"}
    yield "garbage", "payload", "weak", bytes(range(7, 60)), {"udp.length": "61"}


def _snmp_messages(sent: Sent) -> Iterator[Message]:
    def message(kind: type, **fields: Any) -> bytes:  # noqa: ANN401 - as scapy takes them
        return bytes(snmp_message(sent, kind, **fields))

    number = {"snmp.request_id": str(sent.request_id)}
    answer = message(SNMPresponse)
    yield "a response", "answer", "strong", answer, {**number, "snmp.name": "1.3.6.1.2.1.1.1.0"}
    yield "an empty description", "answer", "strong", message(SNMPresponse, value=b""), number
    yield "no value", "answer", "strong", message(SNMPresponse, value=None), number
    yield "a long description", "answer", "strong", message(SNMPresponse, value=b"x" * 300), number
    for status, name in ((2, "no such name"), (5, "general error"), (16, "authorization error")):
        refusal = message(SNMPresponse, value=None, error=status, error_index=1)
        yield name, "answer", "strong", refusal, {**number, "snmp.error_status": str(status)}
    yield "no bindings", "answer", "strong", message(SNMPresponse, varbindlist=[]), number
    yield "long lengths", "answer", "strong", b"\x30\x82\x00" + answer[1:], number
    yield "another community", "answer", "strong", answer.replace(b"public", b"secret"), number
    yield "version 1", "payload", "strong", message(SNMPresponse, version="v1"), {"snmp.version": "0"}
    for kind, name in ((SNMPget, "a request"), (SNMPinform, "an inform"), (SNMPtrapv2, "a trap")):
        yield name, "payload", "strong", message(kind), number
    yield "a byte behind the message", "payload", "strong", answer + b"\0", number
    cut = answer[:1] + bytes([answer[1] - 2]) + answer[2:-2]
    yield "a message cut in its bindings", "payload", "weak", cut, {"udp.length": str(8 + len(cut))}
    for step in (1, -1):
        other = message(SNMPresponse, id=sent.request_id + step)
        yield f"request id and {step}", "payload", "weak", other, {"snmp.request_id": str(sent.request_id + step)}
    yield "request id 0", "payload", "weak", message(SNMPresponse, id=0), {"snmp.request_id": "0"}
    yield "a negative request id", "payload", "weak", message(SNMPresponse, id=-5), {"snmp.request_id": "-5"}
    yield "an indefinite length", "payload", "weak", b"\x30\x80" + answer[2:] + b"\0\0", {}
    yield "a length of 4 GB", "payload", "weak", b"\x30\x84\xff\xff\xff\xff" + answer[2:], {}
    yield "an answer without its last byte", "payload", "weak", answer[:-1], {"udp.length": str(7 + len(answer))}
    yield "empty", "payload", "weak", b"", {"udp.length": "8"}
    yield "garbage", "payload", "weak", bytes(range(7, 60)), {"udp.length": "61"}


def _messages(table: Table, name: str) -> None:
    messages = _ssdp_messages if name == "udp/1900" else _snmp_messages
    for attempt in range(2):
        sent = Sent(name, attempt)
        for what, kind, tier, content, seen in messages(sent):
            packet = table.packet(sent, datagram(sent, Raw(content)))
            table.accepted(f"{what}, attempt {attempt}", packet, sent, kind, tier=tier, tshark=seen)


def _other_ports(table: Table, name: str, valid: Raw, kind: str, tier: str) -> None:
    sent = Sent(name)
    for port in (1024, 123):
        packet = table.packet(sent, datagram(sent, valid, sport=port))
        seen = {"udp.srcport": str(port)}
        table.accepted(f"an answer from port {port}", packet, sent, kind, tier=tier, tshark=seen)
        packet = table.packet(sent, datagram(sent, Raw(b"HTTP/1.1 200 OK\r\n"), sport=port))
        table.rejected(f"garbage from port {port}", packet, "unprobed-port" if port == 1024 else "bad-port")
    packet = table.packet(sent, datagram(sent, valid, dport=40000))
    table.rejected("an answer to another port", packet, "bad-port")
    packet = table.packet(sent, datagram(sent, valid, sport=1024, dport=40000))
    table.rejected("an answer from and to another port", packet, "unprobed-port")
    packet = table.packet(sent, datagram(sent, valid), "198.51.100.9")
    table.rejected("an answer from another address", packet, "bad-port")


def _stray(table: Table, name: str) -> None:
    stray = Sent(name, target=STRANGER)
    content = FOUND if name == "udp/1900" else bytes(snmp_message(stray, SNMPresponse))
    packet = table.packet(stray, datagram(stray, Raw(content)))
    table.rejected("an answer of an address that was not probed", packet, "unprobed-address")


def _quotes(table: Table, name: str) -> None:
    """Errors that quote the probe: as it was, and with what a NAT rewrites."""
    sent = Sent(name)
    whole = sent.quoted()
    for length in (28, len(whole)):
        packet = table.error(sent, (3, 3), whole[:length], ROUTER)
        table.accepted(f"{length} bytes quoted", packet, sent, "error", icmp_type=3, icmp_code=3, quoted_ttl=1)
    checksum_gone = whole[:26] + b"\0\0"
    packet = table.error(sent, (3, 3), checksum_gone, ROUTER)
    table.accepted("a checksum rewritten", packet, sent, "error", icmp_type=3, icmp_code=3, quoted_ttl=1)
    id_gone = whole[:4] + bytes(2) + whole[6:28]
    packet = table.error(sent, (3, 3), id_gone, ROUTER)
    table.accepted("an IP ID rewritten", packet, sent, "error", icmp_type=3, icmp_code=3, quoted_ttl=1)
    both_gone = whole[:4] + bytes(2) + whole[6:26] + bytes(2)
    packet = table.error(sent, (3, 3), both_gone, ROUTER)
    table.accepted(
        "checksum and IP ID rewritten", packet, sent, "error", tier="weak", icmp_type=3, icmp_code=3, quoted_ttl=1
    )
    port_gone = whole[:4] + bytes(2) + whole[6:20] + b"\x9c\x40" + whole[22:28]
    table.rejected("port and IP ID rewritten", table.error(sent, (3, 3), port_gone, ROUTER), "bad-port")


def ssdp_cells() -> Table:
    """Return the table of SSDP."""
    table = Table()
    _messages(table, "udp/1900")
    _other_ports(table, "udp/1900", Raw(FOUND), "answer", "weak")
    _stray(table, "udp/1900")
    _quotes(table, "udp/1900")
    return table


def snmp_cells() -> Table:
    """Return the table of SNMP."""
    table = Table()
    _messages(table, "snmp")
    _other_ports(table, "snmp", Raw(bytes(snmp_message(Sent("snmp"), SNMPresponse))), "payload", "strong")
    _stray(table, "snmp")
    _quotes(table, "snmp")
    return table
