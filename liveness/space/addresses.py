"""IPv4 addresses, prefixes and ranges as text: ``parse_entry`` defines what a target list may hold."""

import ipaddress
import re

ENTRY = re.compile(r"([0-9.]+(?:\.\*){0,3})(?:/([0-9.]+)|\s*-\s*([0-9.]+))?", re.ASCII)
COMMENT = re.compile(r"[#;]")
"""What begins a comment in a list: ``#`` in ours and ZMap's, ``;`` in Spamhaus's and in zone files."""
PREFIX_LENGTHS = frozenset(str(length) for length in range(33))  # as text: "08" and "٣" are no octets
SHOWN_CHARS = 60
"""How much of a wrong value a message repeats: enough to find it, and still one line."""


def parse_address(text: str) -> int:
    """Return the address of a dotted quad in host byte order; ValueError for other text, leading zeros included."""
    return int(ipaddress.IPv4Address(text))


def format_address(address: int) -> str:
    """Return an address in host byte order as dotted quad."""
    return f"{address >> 24 & 255}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def shown(text: str) -> str:
    """Return a value quoted for a message, cut if it is long."""
    return repr(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")


class IPv6Error(ValueError):
    """An entry is an address, prefix or range of IPv6."""


def parse_entry(text: str) -> tuple[int, int]:
    """Return the inclusive bounds of a prefix ``a.b.c.d/len``, a range ``a-b`` or an address.

    A netmask may stand for the length (``a.b.c.d/255.255.255.0``), asterisks for the last octets (``a.b.c.*``), and a
    number for the last octet of a range's end (``a.b.c.d-e``). ValueError says what is wrong, IPv6Error that it is
    IPv6. A prefix with host bits set is refused: it may mean the network or the host.
    """
    given = text.strip()
    not_an_entry = f"{shown(given)} is not a prefix, range or address"
    low_text, length_text, high_text = _parts(given, not_an_entry)
    try:
        low = parse_address(low_text)
        high = parse_address(high_text) if high_text else low
    except ValueError:
        raise ValueError(not_an_entry) from None
    if length_text is not None:
        length = _length(length_text)
        if length is None:
            mask = ": its netmask has ones behind zeros" if "." in length_text else ""
            raise ValueError(not_an_entry + mask)
        hosts = (1 << (32 - length)) - 1
        if low & hosts:
            network = f"{format_address(low & ~hosts)}/{length}"
            raise ValueError(f"{shown(given)} has host bits set: write {network}, or {low_text} for the one address")
        high = low | hosts
    if low > high:
        raise ValueError(f"{shown(given)} ends before it begins: write {high_text}-{low_text}")
    return low, high


def _parts(given: str, not_an_entry: str) -> tuple[str, str | None, str | None]:
    """Return an entry's first address, its length or netmask, and its last address, short forms written out."""
    match = ENTRY.fullmatch(given)
    if match is None:
        if is_ipv6(given):
            raise IPv6Error(f"{shown(given)} is IPv6: only IPv4 is probed")
        raise ValueError(not_an_entry)
    low, length, high = match.groups()
    asterisks = low.count("*")
    if asterisks:
        if length or high or low.count(".") != 3:  # noqa: PLR2004 - between four octets
            raise ValueError(f"{not_an_entry}: asterisks stand for the last octets, as in 10.1.*.*")
        return low.replace("*", "0"), str(32 - 8 * asterisks), None
    if high and high.isdecimal():
        high = f"{low.rpartition('.')[0]}.{high}"
    return low, length, high


def without_comment(line: str) -> str:
    """Return the part of a line before its comment, without blanks around it."""
    return COMMENT.split(line, maxsplit=1)[0].strip()


def is_ipv6(text: str) -> bool:
    """Return whether text is an address, prefix or range of IPv6."""
    try:
        for part in text.split("-"):
            ipaddress.IPv6Interface(part.strip())
    except ValueError:
        return False
    return True


def _length(text: str) -> int | None:
    """Return the prefix length of a text, which is a number or a netmask; None for other text."""
    if text in PREFIX_LENGTHS:
        return int(text)
    try:
        mask = parse_address(text)
    except ValueError:
        return None
    zeros = ~mask & 0xFFFFFFFF
    return 32 - zeros.bit_length() if zeros & (zeros + 1) == 0 else None
