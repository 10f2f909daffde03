"""ZMap's CSV output as a format of set files: the column of source addresses, ``saddr`` unless another is chosen."""

import csv
from typing import BinaryIO

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.entries import Bounds, Bytes
from liveness.ipsets.formats.lines import Slow, address, scan_part, write_addresses
from liveness.ipsets.formats.scan import scan_csv
from liveness.ipsets.roaring import chunks
from liveness.ipsets.source import Source


def read_from(source: Source, choice: Choice) -> BitMap:
    """Return the set of addresses in a column.

    The header names the columns; a file without one is read if it has a single column, as ZMap writes it by default.
    UsageError names a missing column, or file, line and value of what is no address.
    """
    builder = Builder()
    column: int | None = None
    for content, number in source.lines():
        first = 0
        if column is None:
            first = content.index(b"\n") + 1
            column = _column(content[:first], source.name, choice.column)
            if column is None:  # no header
                column, first = 0, 0

        def scan(text: Bytes, at: int, low: Bounds, high: Bounds, count: int, column: int = column) -> tuple[int, int]:
            return scan_csv(text, at, low, high, count, column)

        slow = _slow(source.name, column)
        for low, high in scan_part(content[first:], number + (first > 0), scan, slow):
            builder.add(low, high)
    return builder.finish()


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write a header of one column and a line for each address."""
    out.write(choice.column.encode() + b"\n")
    write_addresses(out, chunks(addresses), b"", b"\n")


def _fields(line: bytes) -> list[str]:
    return next(csv.reader([line.decode("utf-8", "backslashreplace").rstrip("\r\n")], strict=True), [])


def _column(header: bytes, name: str, wanted: str) -> int | None:
    """Return the place of the column of that name in a header; None if the line is no header but one address."""
    try:
        fields = [field.strip() for field in _fields(header)]
    except csv.Error as problem:
        raise UsageError(f"{name}:1: not CSV: {problem}") from None
    if wanted in fields:
        return fields.index(wanted)
    if len(fields) == 1 and fields[0][:1].isdigit():
        return None
    listed = ", ".join(fields)[:200]
    raise UsageError(
        f"{name}:1: no column {wanted!r} in the header {listed!r}: choose another with --column NAME, or scan without "
        f"--no-header-row"
    )


def _slow(name: str, column: int) -> Slow:
    """Return what reads the lines that the kernel does not."""

    def slow(line: bytes, number: int) -> tuple[int, int]:
        try:
            fields = _fields(line)
        except csv.Error as problem:
            raise UsageError(f"{name}:{number}: not CSV: {problem}") from None
        if len(fields) <= column:
            raise UsageError(f"{name}:{number}: {len(fields)} columns where the addresses are in column {column + 1}")
        return address(fields[column].strip(), name, number)

    return slow
