"""Text lists as a format of set files: prefixes, ranges or addresses, one a line, ``#`` comments."""

from typing import BinaryIO

from pyroaring import BitMap

from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.lines import entry, scanned, write_addresses, write_prefixes, write_ranges
from liveness.ipsets.formats.scan import scan_list
from liveness.ipsets.roaring import chunks
from liveness.ipsets.runs import prefixes, runs
from liveness.ipsets.source import Source


def read_from(source: Source, _: Choice) -> BitMap:
    """Return the set of a text list. UsageError names file, line and value of an entry that is none."""

    def slow(line: bytes, number: int) -> tuple[int, int]:
        return entry(line.decode("utf-8", "backslashreplace").partition("#")[0], source.name, number)

    builder = Builder()
    for low, high in scanned(source, scan_list, slow):
        builder.add(low, high)
    return builder.finish()


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write a set as the fewest prefixes (`text`), as the fewest `ranges`, or as single `addresses`."""
    if style == "ranges":
        write_ranges(out, runs(addresses), b"", b"\n")
    elif style == "addresses":
        write_addresses(out, chunks(addresses), b"", b"\n")
    else:
        write_prefixes(out, prefixes(addresses), b"", b"\n")
