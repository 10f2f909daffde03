"""ZMap's JSON output as a format of set files: one object a line, with the source address in ``saddr``."""

import json
from typing import BinaryIO

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.entries import Bounds, Bytes
from liveness.ipsets.formats.lines import address, as_bytes, scanned, write_addresses
from liveness.ipsets.formats.scan_json import scan_json
from liveness.ipsets.roaring import chunks
from liveness.ipsets.source import Source

SHOWN_BYTES = 60


def read_from(source: Source, choice: Choice) -> BitMap:
    """Return the set of addresses in one member of all objects.

    UsageError names file and line of what is no object, has no such member, or not an address in it.
    """
    key = as_bytes(json.dumps(choice.column).encode())

    def scan(text: Bytes, at: int, low: Bounds, high: Bounds, count: int) -> tuple[int, int]:
        return scan_json(text, at, low, high, count, key)

    def slow(line: bytes, number: int) -> tuple[int, int]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):  # no JSON, or nested without end
            shown = line[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
            raise UsageError(f"{source.name}:{number}: not a JSON object on a line: {shown!r}") from None
        if not isinstance(value, dict) or not isinstance(value.get(choice.column), str):
            raise UsageError(
                f"{source.name}:{number}: no text in a member {choice.column!r}: choose another with --column NAME"
            )
        return address(value[choice.column], source.name, number)

    builder = Builder()
    for low, high in scanned(source, scan, slow):
        builder.add(low, high)
    return builder.finish()


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write an object of one member for each address."""
    write_addresses(out, chunks(addresses), b"{" + json.dumps(choice.column).encode() + b':"', b'"}\n')
