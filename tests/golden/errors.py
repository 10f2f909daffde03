"""Cells of ICMP errors: every type and code, everything that routers quote, and how stacks and NATs alter it."""

from typing import Any

from scapy.layers.inet import IP, TCP, UDP

from tests.golden.cells import Fields, Table, altered
from tests.golden.sent import ROUTER, STRANGER, Sent

NAMES = ("icmp", "tcp/443", "dns", "ntp")
CODES = (
    *((3, code) for code in range(17)),
    (4, 0),
    *((5, code) for code in range(4)),
    (11, 0),
    (11, 1),
    *((12, code) for code in range(3)),
)
MPLS_EXTENSION = bytes.fromhex("2000 9dee 0008 0101 0000 1101")
"""RFC 4884 structure, version 2, with one MPLS label object (RFC 4950): label 1, TTL 1."""


def _seen(code: tuple[int, int]) -> dict[str, str]:
    return {"icmp.type": str(code[0]), "icmp.code": str(code[1])}


def error_cells() -> Table:
    """Return the table of types and codes."""
    table = Table()
    for name in NAMES:
        for number, code in enumerate(CODES):
            sent = Sent(name, attempt=number % 2)
            source = None if number % 3 == 0 else ROUTER
            packet = table.error(sent, code, sent.quoted(ttl=number)[:28], source)
            expected: Fields = {"icmp_type": code[0], "icmp_code": code[1], "quoted_ttl": number}
            label = f"{name}: error {code[0]}/{code[1]} from {'a router' if source else 'its target'}"
            table.accepted(label, packet, sent, "error", tshark=_seen(code), **expected)
    return table


def _quote(table: Table, name: str, sent: Sent, quote: bytes, **expected: str | int) -> None:
    """Add an accepted error, time exceeded, from a router; the expected quoted TTL is the quote's."""
    packet = table.error(sent, (11, 0), quote, ROUTER)
    fields: Fields = {"icmp_type": 11, "icmp_code": 0, "quoted_ttl": quote[8], **expected}
    table.accepted(f"{sent.name}: {name}", packet, sent, "error", tshark=_seen((11, 0)), **fields)


def _refused(table: Table, name: str, sent: Sent, quote: bytes, reason: str) -> None:
    packet = table.error(sent, (11, 0), quote, ROUTER)
    table.rejected(f"{sent.name}: {name}", packet, reason, tshark={"icmp.type": "11", "ip.len": str(28 + len(quote))})


def _lengths(table: Table, name: str) -> None:
    sent = Sent(name, 1)
    whole = sent.quoted()
    for behind in (8, 9, 20, 28):
        _quote(table, f"{behind} bytes quoted behind the IP header", sent, whole[: 20 + behind])
    _quote(table, "the whole packet quoted", sent, whole)
    _quote(table, "the whole packet quoted, and trailing bytes", sent, whole + b"\xa5" * 13)
    extended = whole.ljust(128, b"\0") + MPLS_EXTENSION
    for code, length in (((3, 1), 32), ((11, 0), 32), ((12, 0), 32), ((11, 1), 0)):
        packet = table.error(sent, code, extended, ROUTER, length=length)
        what = "an extension" if length else "an extension behind a length of 0"
        seen = {**_seen(code), "icmp.mpls.label": "1"}
        fields: Fields = {"icmp_type": code[0], "icmp_code": code[1], "quoted_ttl": 1}
        table.accepted(f"{name}: error {code[0]} with {what}", packet, sent, "error", tshark=seen, **fields)
    for total in (0, 19, 20, 27):
        _refused(table, f"{total} bytes quoted", sent, whole[:total], "bad-quote")


def _options(table: Table, name: str) -> None:
    sent = Sent(name, 1)
    whole = sent.quoted()
    for words in (1, 4, 10):
        length = (len(whole) + 4 * words).to_bytes(2, "big")
        quote = bytes([0x45 + words, 0]) + length + whole[4:20] + bytes([1]) * (4 * words) + whole[20:28]
        _quote(table, f"{words} words of options in the quoted header", sent, quote)
        _refused(
            table, f"{words} words of options in the quoted header and 7 bytes behind", sent, quote[:-1], "bad-quote"
        )


def _mangled(table: Table, name: str) -> None:
    sent = Sent(name, 1)
    whole = sent.quoted()[:28]
    length = len(sent.quoted())
    swapped, shortened = length.to_bytes(2, "little"), (length - 20).to_bytes(2, "big")
    for what, at, new in (
        ("total length in host order", 2, swapped),
        ("total length less the header", 2, shortened),
        ("total length less the header in host order", 2, shortened[::-1]),
        ("total length zero", 2, b"\0\0"),
        ("fragment field in host order", 6, b"\0\x40"),
        ("fragment field zero", 6, b"\0\0"),
        ("fragment offset", 6, b"\x20\x07"),
        ("TTL zero", 8, b"\0"),
        ("TTL 255", 8, b"\xff"),
        ("IP checksum zero", 10, b"\0\0"),
        ("IP checksum wrong", 10, b"\xbe\xef"),
        ("type of service rewritten", 1, b"\xb8"),
    ):
        _quote(table, f"quoted {what}", sent, altered(whole, at, new))
    bsd = altered(altered(altered(whole, 2, shortened[::-1]), 6, b"\0\x40"), 10, b"\0\0")
    _quote(table, "quoted header as old BSD stacks leave it", sent, bsd)


def _wrong_headers(table: Table, name: str) -> None:
    sent = Sent(name, 1)
    whole = sent.quoted()[:28]
    for first in (0x65, 0x05, 0x40, 0x44, 0x4F):
        _refused(table, f"quote that begins with 0x{first:02x}", sent, altered(whole, 0, bytes([first])), "bad-quote")
    _refused(table, "quote of GRE", sent, altered(whole, 9, b"\x2f"), "bad-quote")
    elsewhere = altered(whole, 16, bytes([198, 51, 100, 9]))
    reason = "bad-port" if name in ("dns", "ntp") else "bad-cookie"
    _refused(table, "quote of a packet to another address", sent, elsewhere, reason)
    stray = Sent(name, 1, target=STRANGER)
    _refused(
        table, "quote of a probe to an address that was not probed", stray, stray.quoted()[:28], "unprobed-address"
    )


def _natted(name: str, *, correct: bool, **fields: int | str) -> bytes:
    """Return the quote of a probe with fields rewritten; `correct` says whether its transport checksum was corrected.

    A NAT corrects the checksum for what it rewrites, so scapy's recomputation of it is the NAT's.
    """
    packet: Any = IP(Sent(name, 1).quoted())
    for field, value in fields.items():
        setattr(packet if field in ("src", "id") else packet.payload, field, value)
    if correct:
        del packet.payload.chksum
    return bytes(packet)[:28]


def _nat(table: Table, name: str) -> None:
    sent = Sent(name, 1)
    for correct, how in ((True, "checksum corrected"), (False, "checksum left")):
        quote = _natted(name, correct=correct, src="10.1.2.3")
        _quote(table, f"quoted source address rewritten, {how}", sent, quote)
        quote = _natted(name, correct=correct, id=(sent.cookie.ip_id + 77) % 65536)
        _quote(table, f"quoted IP ID rewritten, {how}", sent, quote)
    if name == "icmp":
        rewritten = altered(sent.quoted()[:28], 24, b"\x12\x34")
        _quote(table, "quoted echo identifier rewritten", sent, rewritten)
        _refused(
            table, "quoted echo identifier and IP ID rewritten", sent, altered(rewritten, 4, b"\0\1"), "bad-cookie"
        )
        rewritten = altered(sent.quoted()[:28], 26, b"\x12\x34")
        _refused(table, "quoted echo sequence number rewritten", sent, rewritten, "bad-cookie")
        _refused(table, "quote of an echo reply", sent, altered(sent.quoted()[:28], 20, b"\0"), "bad-quote")
        _quote(table, "quoted ICMP checksum rewritten", sent, altered(sent.quoted()[:28], 22, b"\xbe\xef"))
        return
    rewritten = altered(sent.quoted()[:28], 22, b"\x12\x34")
    _refused(table, "quoted destination port rewritten", sent, rewritten, "bad-quote")
    other = bytes([17 if TCP in sent.packet else 6])
    _refused(table, "quoted protocol rewritten", sent, altered(sent.quoted()[:28], 9, other), "bad-quote")


def _nat_of_ports(table: Table, name: str) -> None:
    sent = Sent(name, 1)
    whole = sent.quoted()[:28]
    corrected = _natted(name, correct=True, sport=1234)
    source = _natted(name, correct=True, sport=1234, src="10.1.2.3")
    unknown = {"attempt": 255}
    _quote(table, "quoted source port rewritten", sent, corrected, **unknown)
    _quote(table, "quoted source address and port rewritten", sent, source, **unknown)
    if UDP not in sent.packet:
        for at in (24, 27):
            wrong = altered(whole, at, bytes([whole[at] ^ 1]))
            _refused(table, f"quoted sequence number wrong in byte {at - 24}", sent, wrong, "bad-cookie")
        return
    _refused(table, "quoted source port and IP ID rewritten", sent, altered(corrected, 4, b"\0\1"), "bad-port")
    _refused(table, "quoted source port and checksum wrong", sent, altered(corrected, 26, b"\0\0"), "bad-port")
    for what, new in (("zero", b"\0\0"), ("wrong", b"\xbe\xef")):
        quote = altered(whole, 26, new)
        _quote(table, f"quoted checksum {what}", sent, quote)
        _quote(table, f"quoted checksum {what} and IP ID rewritten", sent, altered(quote, 4, b"\0\1"), tier="weak")


def quote_cells() -> Table:
    """Return the table of quotes."""
    table = Table()
    for name in NAMES:
        _lengths(table, name)
        _options(table, name)
        _mangled(table, name)
        _wrong_headers(table, name)
        _nat(table, name)
        if name != "icmp":
            _nat_of_ports(table, name)
    return table
