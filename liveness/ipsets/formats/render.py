"""Kernels that write addresses as text: prefixes, ranges or counts, each between a head and a tail."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.ipsets.formats.entries import ADDRESS_BITS, DASH, DOT, OCTET_BITS, OCTETS, SLASH, ZERO, Bytes
from liveness.kernel import int64, kernel

LONGEST_ADDRESS: Final = 15
LONGEST_NUMBER: Final = 10  # 2**32 has ten digits
HUNDRED, TEN = 100, 10

Addresses = NDArray[np.uint32]
Lengths = NDArray[np.uint8]
Counts = NDArray[np.int64]


@kernel
def put_bytes(out: Bytes, at: int, content: Bytes) -> int:
    """Write `content` at `at` and return the place behind it."""
    for index in range(content.size):
        out[at + index] = content[index]
    return at + content.size


@kernel
def put_number(out: Bytes, at: int, number: int) -> int:
    """Write a number in decimal at `at` and return the place behind it."""
    digits = 1
    rest = number // TEN
    while rest:
        digits += 1
        rest //= TEN
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = ZERO + number % TEN
        number //= TEN
    return at + digits


@kernel
def put_address(out: Bytes, at: int, address: int) -> int:
    """Write an address as dotted quad at `at` and return the place behind it."""
    for octet in range(OCTETS):
        if octet:
            out[at] = DOT
            at += 1
        value = (address >> (ADDRESS_BITS - OCTET_BITS - octet * OCTET_BITS)) & 0xFF
        if value >= HUNDRED:
            out[at] = ZERO + value // HUNDRED
            at += 1
        if value >= TEN:
            out[at] = ZERO + value // TEN % TEN
            at += 1
        out[at] = ZERO + value % TEN
        at += 1
    return at


@kernel
def render_prefixes(base: Addresses, length: Lengths, head: Bytes, tail: Bytes, out: Bytes) -> int:
    """Write prefixes, one address alone without its ``/32``; return the bytes written.

    `out` must have room for head, tail and 18 bytes each.
    """
    at = 0
    for index in range(base.size):
        at = put_bytes(out, at, head)
        at = put_address(out, at, int64(base[index]))
        if length[index] != ADDRESS_BITS:
            out[at] = SLASH
            at = put_number(out, at + 1, int64(length[index]))
        at = put_bytes(out, at, tail)
    return at


@kernel
def render_ranges(first: Addresses, last: Addresses, head: Bytes, tail: Bytes, out: Bytes) -> int:
    """Write ranges ``a-b``, one address alone as itself; return the bytes written.

    `out` must have room for head, tail and 31 bytes each.
    """
    at = 0
    for index in range(first.size):
        at = put_bytes(out, at, head)
        at = put_address(out, at, int64(first[index]))
        if first[index] != last[index]:
            out[at] = DASH
            at = put_address(out, at + 1, int64(last[index]))
        at = put_bytes(out, at, tail)
    return at


@kernel
def render_counts(
    base: Addresses, length: int, counts: Counts, head: Bytes, mid: Bytes, tail: Bytes, out: Bytes
) -> int:
    """Write a prefix of `length` and a count each, with `mid` between; return the bytes written.

    `out` must have room for head, mid, tail and 28 bytes each.
    """
    at = 0
    for index in range(base.size):
        at = put_bytes(out, at, head)
        at = put_address(out, at, int64(base[index]))
        out[at] = SLASH
        at = put_number(out, at + 1, length)
        at = put_bytes(out, at, mid)
        at = put_number(out, at, int64(counts[index]))
        at = put_bytes(out, at, tail)
    return at
