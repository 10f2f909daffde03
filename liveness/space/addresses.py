"""Owns one IPv4 address, prefix or range as text: ``parse_entry`` defines what a target list may hold."""

import ipaddress
import re

ENTRY = re.compile(r"([0-9.]+)(?:/([0-9]+)|\s*-\s*([0-9.]+))?", re.ASCII)
PREFIX_LENGTHS = frozenset(str(length) for length in range(33))  # as text: "08" and "٣" are none
SHOWN_CHARS = 60
"""How much of a wrong value a message repeats: enough to find it, and still one line."""


def parse_address(text: str) -> int:
    """Return the address of a dotted quad in host byte order; ValueError if it is none (leading zeros included)."""
    return int(ipaddress.IPv4Address(text))


def format_address(address: int) -> str:
    """Return an address in host byte order as dotted quad."""
    return f"{address >> 24 & 255}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def shown(text: str) -> str:
    """Return a value quoted for a message, cut if it is long."""
    return repr(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")


def parse_entry(text: str) -> tuple[int, int]:
    """Return the inclusive bounds of a prefix ``a.b.c.d/len``, a range ``a-b`` or an address.

    ValueError says what is wrong. A prefix with host bits set is refused: whether its author meant the network or the
    host, only they know.
    """
    match = ENTRY.fullmatch(text.strip())
    not_an_entry = f"{shown(text.strip())} is not a prefix, range or address"
    if match is None:
        raise ValueError(not_an_entry)
    low_text, length_text, high_text = match.groups()
    try:
        low = parse_address(low_text)
        high = parse_address(high_text) if high_text else low
    except ValueError:
        raise ValueError(not_an_entry) from None
    if length_text is not None:
        length = int(length_text) if length_text in PREFIX_LENGTHS else -1
        if length < 0:
            raise ValueError(not_an_entry)
        hosts = (1 << (32 - length)) - 1
        if low & hosts:
            network = f"{format_address(low & ~hosts)}/{length}"
            raise ValueError(
                f"{shown(text.strip())} has host bits set: write {network}, or {low_text} for the one address"
            )
        high = low | hosts
    if low > high:
        raise ValueError(f"{shown(text.strip())} ends before it begins: write {high_text}-{low_text}")
    return low, high
