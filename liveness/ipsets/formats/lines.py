"""Reading and writing by lines, with the kernels: what all text formats share."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.ipsets.formats.entries import SHORTEST_ENTRY, Bounds, Bytes
from liveness.ipsets.formats.render import (
    LONGEST_ADDRESS,
    LONGEST_NUMBER,
    render_counts,
    render_prefixes,
    render_ranges,
)
from liveness.ipsets.source import Source
from liveness.space.addresses import parse_entry

RENDERED_LINES = 1 << 18
"""How many lines are formatted before they are written: some 5 MiB."""

Scan = Callable[[Bytes, int, Bounds, Bounds, int], tuple[int, int]]
"""A kernel of `scan` with its last argument given."""

Slow = Callable[[bytes, int], tuple[int, int] | None]
"""Reads a line that the kernel leaves, given its number: returns bounds, None for a line without any, or UsageError."""


def as_bytes(content: bytes) -> Bytes:
    """Return bytes as kernels read them."""
    return np.frombuffer(content, np.uint8)


def scanned(source: Source, scan: Scan, slow: Slow) -> Iterator[tuple[Bounds, Bounds]]:
    """Yield the bounds of all entries in a source, some hundred thousand at a time; the arrays are used again."""
    for content, number in source.lines():
        yield from scan_part(content, number, scan, slow)


def scan_part(content: bytes, number: int, scan: Scan, slow: Slow) -> Iterator[tuple[Bounds, Bounds]]:
    """Yield the bounds of all entries in whole lines of text, of which the first has that number.

    Lines before one that `slow` reads are yielded before `slow` is called: that line may change the meaning of the
    rest.
    """
    text = as_bytes(content)
    low = np.empty(text.size // SHORTEST_ENTRY + 2, np.uint32)
    high = np.empty_like(low)
    count = at = counted = 0
    while at < text.size:
        count, at = scan(text, at, low, high, count)
        if count:
            yield low[:count], high[:count]
            count = 0
        if at < text.size:
            end = content.index(b"\n", at)
            number += content.count(b"\n", counted, at)
            counted = at
            bounds = slow(content[at:end], number)
            if bounds is not None:
                low[0], high[0] = bounds
                count = 1
            at = end + 1
    if count:
        yield low[:count], high[:count]


def entry(text: str, name: str, number: int) -> tuple[int, int]:
    """Return the bounds of an entry; UsageError with file, line and what is wrong with it."""
    try:
        return parse_entry(text)
    except ValueError as problem:
        raise UsageError(f"{name}:{number}: {problem}") from None


def address(text: str, name: str, number: int) -> tuple[int, int]:
    """Return the bounds of one address; UsageError with file and line if it is none."""
    low, high = entry(text, name, number)
    if low != high:
        raise UsageError(f"{name}:{number}: {text!r} is not one address, but {high - low + 1:,} of them")
    return low, high


def write_prefixes(
    out: BinaryIO, parts: Iterator[tuple[Bounds, NDArray[np.uint8]]], head: bytes, tail: bytes, skip: int = 0
) -> None:
    """Write a line for each prefix (base addresses and lengths); `skip` leaves out the first bytes of all."""
    room = RENDERED_LINES * (LONGEST_ADDRESS + len("/32") + len(head) + len(tail))
    buffer, begin, end = np.empty(room, np.uint8), as_bytes(head), as_bytes(tail)
    for base, length in parts:
        for at in range(0, base.size, RENDERED_LINES):
            part = slice(at, at + RENDERED_LINES)
            written = render_prefixes(base[part], length[part], begin, end, buffer)
            out.write(buffer[skip:written].data)
            skip = 0


def write_ranges(out: BinaryIO, parts: Iterator[tuple[Bounds, Bounds]], head: bytes, tail: bytes) -> None:
    """Write a line for each range (inclusive bounds); a single address is written alone."""
    room = RENDERED_LINES * (2 * LONGEST_ADDRESS + len("-") + len(head) + len(tail))
    buffer, begin, end = np.empty(room, np.uint8), as_bytes(head), as_bytes(tail)
    for first, last in parts:
        for at in range(0, first.size, RENDERED_LINES):
            part = slice(at, at + RENDERED_LINES)
            out.write(buffer[: render_ranges(first[part], last[part], begin, end, buffer)].data)


def write_addresses(out: BinaryIO, parts: Iterator[Bounds], head: bytes, tail: bytes) -> None:
    """Write a line for each address."""
    write_ranges(out, ((part, part) for part in parts), head, tail)


def write_counts(
    out: BinaryIO,
    parts: Iterator[tuple[Bounds, NDArray[np.int64]]],
    length: int,
    form: tuple[bytes, bytes, bytes],
    skip: int = 0,
) -> None:
    """Write a line for each prefix of `length` and its count; `form` is the text before, between and after.

    `skip` leaves out the first bytes of all.
    """
    room = RENDERED_LINES * (LONGEST_ADDRESS + len("/32") + LONGEST_NUMBER + sum(map(len, form)))
    buffer = np.empty(room, np.uint8)
    head, mid, tail = map(as_bytes, form)
    for base, counts in parts:
        for at in range(0, base.size, RENDERED_LINES):
            part = slice(at, at + RENDERED_LINES)
            written = render_counts(base[part], length, counts[part], head, mid, tail, buffer)
            out.write(buffer[skip:written].data)
            skip = 0
