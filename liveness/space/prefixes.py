"""Text lists of addresses: prefixes, ranges or addresses, one a line, ``#`` and ``;`` comments, of files or stdin."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.space.addresses import IPv6Error, parse_entry, without_comment
from liveness.space.intervals import Intervals

CHUNK_BYTES = 1 << 20
"""How much text is parsed at once: the work arrays of one chunk take some 20 times as much."""

LONGEST_LINE_BYTES = 1 << 20
"""A longer line is no line of an address list; without a limit /dev/zero would fill the memory."""

NEWLINE, HASH, SEMICOLON, ZERO, NINE = b"\n#;09"

OCTET_DIGITS, OCTETS, ADDRESS_BITS = 3, 256, 32

# One line of each form, as the separators between its numbers.
ADDRESS, PREFIX, RANGE = (np.frombuffer(separators, np.uint8) for separators in (b"...", b".../", b"...-..."))


@dataclass(slots=True)
class Skipped:
    """How many lines of IPv6 were left out of lists; without one of these they are errors."""

    lines: int = 0


class Stream(Protocol):
    """What a list is read from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""


def read_prefixes(path: str | Path, skipped: Skipped | None = None) -> Intervals:
    """Return the merged addresses of a list file, or of standard input for ``-``.

    UsageError names the file, the line and the value: unreadable, not text, or not an entry. Lines of IPv6 are
    counted in `skipped` instead, if that is given.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        with open_bytes(path) as stream:
            return read_stream(stream, name, skipped)
    except OSError as error:
        raise UsageError(f"{name}: cannot read this address list: {error.strerror or error}") from error


def read_stream(stream: Stream, name: str, skipped: Skipped | None = None) -> Intervals:
    """Return the merged addresses of a list as it is read; see `read_prefixes`."""
    return merged(parse_chunk(chunk, name, line, skipped) for chunk, line in chunks(stream, name))


def parse_lines(lines: Iterable[str], name: str = "list") -> Intervals:
    """Return the merged addresses of lines of text; UsageError as `read_prefixes`, with `name` in place of the file."""
    text = "\n".join(line.rstrip("\r\n") for line in lines) + "\n"
    return merged([parse_chunk(text.encode("utf-8", "surrogateescape"), name, 1)])


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file, or standard input for ``-``, which stays open afterwards."""
    if str(path) == "-":
        yield sys.stdin.buffer
    else:
        with Path(path).open("rb") as stream:
            yield stream


def merged(parts: Iterable[tuple[NDArray[np.uint32], NDArray[np.uint32]]]) -> Intervals:
    """Return the union of bounds that come in parts."""
    collected = list(parts)
    if not collected:
        return Intervals.empty()
    return Intervals.from_bounds(
        np.concatenate([low for low, _ in collected]), np.concatenate([high for _, high in collected])
    )


def chunks(stream: Stream, name: str) -> Iterator[tuple[bytes, int]]:
    """Cut a stream into pieces that end at a line's end, each with the number of its first line (from 1)."""
    line, rest = 1, b""
    while data := stream.read(CHUNK_BYTES):
        if line == 1 and not rest:
            data = data.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some editors write
        if b"\0" in data:
            raise UsageError(f"{name}: not a text file: an address list has one prefix, range or address a line")
        whole, newline, tail = (rest + data).rpartition(b"\n")
        if len(tail) > LONGEST_LINE_BYTES:
            number = line + whole.count(b"\n") + bool(newline)
            raise UsageError(
                f"{name}:{number}: the line is over {LONGEST_LINE_BYTES:,} bytes long: not an address list"
            )
        if newline:
            yield whole + newline, line
            line += whole.count(b"\n") + 1
        rest = tail
    if rest:
        yield rest + b"\n", line


def parse_chunk(
    text: bytes, name: str, first_line: int, skipped: Skipped | None = None
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the bounds of every entry in lines of text, unsorted; `text` ends with a newline.

    All lines in one of the three plain forms are read at once; each of the others goes through `parse_entry`, which
    decides what it is, so a line means the same whichever way it is read.
    """
    data = without_comments(np.frombuffer(text, np.uint8))
    numbers = Numbers(data)
    bounds: list[tuple[NDArray[np.uint32], NDArray[np.uint32]]] = []
    done = numbers.blank
    for separators in (ADDRESS, PREFIX, RANGE):
        lines, values = numbers.of_form(separators)
        low = quad(values[:, :4])
        high = low
        good = np.ones(low.size, np.bool_)
        if separators is PREFIX:
            length = values[:, 4]
            hosts = ((np.int64(1) << np.maximum(ADDRESS_BITS - length, 0)) - 1).astype(np.uint32)
            good = (length <= ADDRESS_BITS) & (low & hosts == 0)
            high = low | hosts
        elif separators is RANGE:
            high = quad(values[:, 4:])
            good = low <= high
        bounds.append((low[good], high[good]))
        done[lines[good]] = True
    bounds.append(slow_lines(text, np.flatnonzero(~done), numbers.line_ends, f"{name}:", first_line, skipped))
    return np.concatenate([low for low, _ in bounds]), np.concatenate([high for _, high in bounds])


def slow_lines(
    text: bytes,
    lines: NDArray[np.intp],
    ends: NDArray[np.intp],
    label: str,
    first_line: int,
    skipped: Skipped | None,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the bounds of the lines that have no plain form; UsageError for the first that is wrong."""
    found: list[tuple[int, int]] = []
    for line in lines.tolist():
        start = int(ends[line - 1]) + 1 if line else 0
        entry = without_comment(text[start : int(ends[line])].decode("utf-8", "backslashreplace"))
        try:
            found.append(parse_entry(entry))
        except IPv6Error as error:
            if skipped is None:
                raise UsageError(f"{label}{first_line + line}: {error}: --skip-ipv6 leaves such lines out") from None
            skipped.lines += 1
        except ValueError as error:
            raise UsageError(f"{label}{first_line + line}: {error}") from None
    pairs = np.array(found, np.uint32).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def without_comments(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the text with blanks from every ``#`` or ``;`` to the end of its line."""
    hashes = np.flatnonzero((data == HASH) | (data == SEMICOLON))
    if hashes.size == 0:
        return data
    ends = np.flatnonzero(data == NEWLINE)
    line = np.searchsorted(ends, hashes)
    opens = np.ones(hashes.size, np.bool_)
    opens[1:] = line[1:] != line[:-1]  # the first of each line
    edges = np.zeros(data.size + 1, np.int8)
    edges[hashes[opens]] = 1
    edges[ends[line[opens]]] = -1
    return np.where(np.cumsum(edges[:-1], dtype=np.int8) > 0, np.uint8(ord(" ")), data)


def quad(values: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the addresses of rows of four numbers below 256."""
    return (values[:, 0] << 24 | values[:, 1] << 16 | values[:, 2] << 8 | values[:, 3]).astype(np.uint32)


class Numbers:
    """The decimal numbers of a text and their lines, by which the plain forms are recognised."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.data = data
        digit = (data >= ZERO) & (data <= NINE)
        edge = np.flatnonzero(np.diff(digit, prepend=False))  # the text ends with a newline, so edges pair up
        self.start, self.end = edge[::2], edge[1::2]
        self.line_ends = np.flatnonzero(data == NEWLINE)
        blank = (data == NEWLINE) | (data == ord(" ")) | (data == ord("\t")) | (data == ord("\r"))
        lines = self.line_ends.size
        self.count = np.bincount(np.searchsorted(self.line_ends, self.start), minlength=lines)
        marks = np.bincount(np.searchsorted(self.line_ends, np.flatnonzero(~(digit | blank))), minlength=lines)
        self.marks = marks
        self.before = np.cumsum(self.count) - self.count  # numbers on the lines before
        self.blank = (self.count == 0) & (marks == 0)
        digits = self.end - self.start
        ones = data[self.end - 1].astype(np.int64) - ZERO
        tens = np.where(digits > 1, data[self.end - 2].astype(np.int64) - ZERO, 0)
        hundreds = np.where(digits >= OCTET_DIGITS, data[self.end - OCTET_DIGITS].astype(np.int64) - ZERO, 0)
        self.value = ones + 10 * tens + 100 * hundreds
        # some programs read "010" as eight and some as ten: no plain form
        self.plain = (digits <= OCTET_DIGITS) & (self.value < OCTETS) & ((digits == 1) | (data[self.start] != ZERO))

    def of_form(self, separators: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return the lines (from 0) that are exactly numbers with these separators between, and their numbers."""
        width = separators.size + 1
        lines = np.flatnonzero((self.count == width) & (self.marks == separators.size))
        at = self.before[lines][:, None] + np.arange(width)
        joined = self.start[at[:, 1:]] == self.end[at[:, :-1]] + 1  # one byte between, and it is the right one
        right = self.data[self.end[at[:, :-1]]] == separators
        fits = self.plain[at].all(axis=1) & joined.all(axis=1) & right.all(axis=1)
        return lines[fits], self.value[at[fits]]
