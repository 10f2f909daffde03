"""Cells of what lies below the transport: Ethernet, tags, IP options, fragments, lengths and checksums."""

from collections.abc import Iterator
from typing import Any

from scapy.layers.inet import IP, IPOption, IPOption_Router_Alert, IPOption_RR
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from tests.golden.cells import GATEWAY_MAC, OWN_MAC, Fields, Table, altered, ethernet
from tests.golden.echo import echo
from tests.golden.sent import ROUTER, SENT_NS, Sent, ntp_server_packet
from tests.golden.tcp import segment
from tests.golden.udp import datagram, dns_message

CHECKSUM_AT = {"tcp/80": 16, "dns": 6, "ntp": 6, "icmp": 2}


def _transports() -> Iterator[tuple[Sent, str, Any]]:
    """Yield one reply of each protocol: its probe, its kind and its transport layer."""
    yield (sent := Sent("tcp/80", 1)), "syn-ack", segment(sent, "SA")
    yield (sent := Sent("icmp", 1)), "echo-reply", echo(sent)
    yield (sent := Sent("dns", 1)), "answer", datagram(sent, dns_message(sent))
    yield (sent := Sent("ntp", 1)), "answer", datagram(sent, Raw(ntp_server_packet(sent)))


def _replies(table: Table, **header: Any) -> Iterator[tuple[Sent, str, Any, Fields]]:  # noqa: ANN401 - scapy
    """Yield one packet of each kind with these IP fields: its probe, kind, packet and what else is expected."""
    for sent, kind, transport in _transports():
        rtt: Fields = {"rtt_ns": table.time_ns - SENT_NS} if kind == "echo-reply" else {}
        yield sent, kind, table.packet(sent, transport, **header), rtt
    sent = Sent("tcp/443")
    packet = table.error(sent, (3, 13), sent.quoted(5), ROUTER)
    for field, value in header.items():
        setattr(packet, field, value)
    yield sent, "error", packet, {"icmp_type": 3, "icmp_code": 13, "quoted_ttl": 5}


def _label(sent: Sent, kind: str, what: str) -> str:
    return f"{sent.name} {kind}, {what}"


def _options(table: Table) -> None:
    for what, options, seen in (
        ("record route", [IPOption_RR(routers=["198.51.100.1", "0.0.0.0"])], {"ip.opt.type.number": "7"}),  # noqa: S104
        ("router alert", [IPOption_Router_Alert()], {"ip.opt.type.number": "20"}),
        ("40 bytes of options", [IPOption(b"\1")] * 40, {"ip.hdr_len": "60"}),
    ):
        for sent, kind, packet, expected in _replies(table, options=options):
            table.accepted(_label(sent, kind, what), packet, sent, kind, tshark=seen, **expected)


def _link(table: Table) -> None:
    header = Ether(src=GATEWAY_MAC, dst=OWN_MAC)
    for what, tags, seen in (
        ("802.1Q", Dot1Q(vlan=42, prio=3, type=0x0800), {"vlan.id": "42"}),
        ("802.1Q priority tag", Dot1Q(vlan=0, prio=5, type=0x0800), {"vlan.id": "0"}),
        ("two 802.1Q tags", Dot1Q(vlan=7, type=0x8100) / Dot1Q(vlan=42, type=0x0800), {"vlan.id": "7,42"}),
        (
            "802.1ad and 802.1Q",
            Dot1AD(vlan=7, type=0x8100) / Dot1Q(vlan=42, type=0x0800),
            {"ieee8021ad.id": "7", "vlan.id": "42"},
        ),
    ):
        for sent, kind, packet, expected in _replies(table):
            name, frame = _label(sent, kind, what), bytes(header / tags / packet)
            table.accepted(name, packet, sent, kind, frame=frame, tshark=seen, **expected)
    for what, padding in (("padded with zeros", bytes(18)), ("padded with ones", b"\xff" * 7)):
        for sent, kind, packet, expected in _replies(table):
            frame = ethernet(packet) + padding
            seen = {"frame.len": str(len(frame)), "ip.len": str(len(bytes(packet)))}
            seen = {} if kind == "error" else seen
            table.accepted(_label(sent, kind, what), packet, sent, kind, frame=frame, tshark=seen, **expected)
    sent = Sent("tcp/80")
    packet = table.packet(sent, segment(sent, "SA"))
    tags = Dot1Q(vlan=1, type=0x8100) / Dot1Q(vlan=2, type=0x8100) / Dot1Q(vlan=3, type=0x0800)
    table.rejected("three tags", packet, "not-ipv4", frame=bytes(header / tags / packet), tshark={"vlan.id": "1,2,3"})
    arp = bytes(header / ARP(op=2, psrc=sent.target))
    table.rejected("ARP", packet, "not-ipv4", frame=arp, tshark={"arp.opcode": "2"})
    ipv6 = bytes(header / IPv6(src="2001:db8::1", dst="2001:db8::2") / segment(sent, "SA"))
    table.rejected("IPv6", packet, "not-ipv4", frame=ipv6, tshark={"ipv6.version": "6"})
    version = altered(ethernet(packet), 14, b"\x65")
    table.rejected("version 6 in an IPv4 frame", packet, "not-ipv4", frame=version)
    for length in (0, 1, 13, 14, 33):
        table.rejected(f"frame of {length} bytes", packet, "truncated", frame=ethernet(packet)[:length])
    cut = bytes(header / Dot1Q(vlan=1, type=0x8100))[:17]
    table.rejected("frame cut in its tag", packet, "truncated", frame=cut)


def _fragments(table: Table) -> None:
    for sent, kind, packet, expected in _replies(table, flags="MF"):
        seen = {} if kind == "error" else {"ip.flags.mf": "1"}
        table.accepted(_label(sent, kind, "first fragment"), packet, sent, kind, tshark=seen, **expected)
    sent = Sent("dns")
    whole = bytes(table.packet(sent, datagram(sent, dns_message(sent), len=1480)))[20:]
    packet = table.packet(sent, Raw(whole), proto=17, flags="MF")
    table.accepted("dns answer cut by a fragment's end", packet, sent, "answer", tshark={"ip.flags.mf": "1"})
    packet = table.packet(sent, datagram(sent, dns_message(sent)), flags="DF")
    table.accepted("dns answer, don't fragment", packet, sent, "answer", tshark={"ip.flags.df": "1"})
    for flags, offset in (("", 1), ("MF", 1), ("", 8191), ("DF", 16)):
        for sent, kind, packet, _ in _replies(table, flags=flags, frag=offset):
            name = _label(sent, kind, f"fragment at {offset} {flags}".strip())
            seen = {"ip.flags.mf": str(int(flags == "MF")), "ip.flags.df": str(int(flags == "DF"))}
            table.rejected(name, packet, "fragment", tshark=seen)


def _lengths(table: Table) -> None:
    for sent, kind, packet, _ in _replies(table):
        whole = len(bytes(packet))
        for lie in (0, 19, 27, whole + 1, 65535):
            packet.len, packet.chksum = lie, None
            built = IP(bytes(packet))
            table.rejected(_label(sent, kind, f"IP length {lie}"), built, "bad-length", frame=ethernet(built))
    for words in range(5):
        sent = Sent("tcp/80")
        packet = table.packet(sent, segment(sent, "SA"), ihl=words)
        table.rejected(f"IP header of {words} words", packet, "bad-length", tshark={"ip.hdr_len": str(4 * words)})
    frame = ethernet(table.packet(sent, segment(sent, "SA"), ihl=15))
    table.rejected("IP header that ends behind the packet", packet, "bad-length", frame=frame)


def _checksums(table: Table) -> None:
    for sent, kind, packet, expected in _replies(table):
        frame = ethernet(packet)
        wrong = altered(frame, 24, bytes([frame[24] ^ 0x11]))
        status = {} if kind == "error" else {"ip.checksum.status": "0"}
        name = _label(sent, kind, "bad IP checksum")
        table.accepted(
            name, packet, sent, kind, frame=wrong, rejected_strictly="bad-ip-checksum", tshark=status, **expected
        )
    for sent, kind, packet, expected in _replies(table):
        frame = ethernet(packet)
        protocol = {6: "tcp", 17: "udp", 1: "icmp"}[IP(bytes(packet)).proto]
        at = 34 + {"tcp": 16, "udp": 6, "icmp": 2}[protocol]
        wrong = altered(frame, at, bytes([frame[at] ^ 0x11]))
        reason = f"bad-{protocol}-checksum"
        name = _label(sent, kind, "bad transport checksum")
        status = {f"{protocol}.checksum.status": "0"}
        table.accepted(name, packet, sent, kind, frame=wrong, rejected_strictly=reason, tshark=status, **expected)


def _addresses(table: Table) -> None:
    sent = Sent("tcp/80")
    for protocol in (0, 2, 41, 47, 50, 132, 255):
        packet = table.packet(sent, Raw(bytes(40)), proto=protocol)
        table.rejected(f"IP protocol {protocol}", packet, "other-protocol", tshark={"ip.proto": str(protocol)})
    for sent, kind, packet, _ in _replies(table, dst="203.0.113.3"):
        table.rejected(_label(sent, kind, "to another address"), packet, "not-our-address")


def lower_cells() -> Table:
    """Return the table of everything below the transport."""
    table = Table()
    for part in (_options, _link, _fragments, _lengths, _checksums, _addresses):
        part(table)
    return table
