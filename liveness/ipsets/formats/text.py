"""Text lists as a format of set files: prefixes, ranges or addresses, one a line, ``#`` and ``;`` comments."""

from typing import BinaryIO

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.lines import entry, scanned, write_addresses, write_prefixes, write_ranges
from liveness.ipsets.formats.scan import scan_list
from liveness.ipsets.roaring import chunks
from liveness.ipsets.runs import prefixes, runs
from liveness.ipsets.source import Source
from liveness.space.addresses import is_ipv6, shown, without_comment


def read_from(source: Source, choice: Choice) -> BitMap:
    """Return the set of a text list. UsageError names file, line and value of an entry that is none."""

    def slow(line: bytes, number: int) -> tuple[int, int] | None:
        text = without_comment(line.decode("utf-8", "backslashreplace"))
        if text and is_ipv6(text):
            if choice.skipped is None:
                wrong = f"{source.name}:{number}: {shown(text)} is IPv6"
                raise UsageError(f"{wrong}: only IPv4 is read: --skip-ipv6 leaves such lines out")
            choice.skipped.lines += 1
            return None
        return entry(text, source.name, number) if text else None

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
