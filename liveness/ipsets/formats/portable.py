"""Portable roaring files as a format of set files."""

from typing import BinaryIO

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.portable_index import COOKIE, COOKIE_WITHOUT_RUNS, BrokenFormatError, parse_index
from liveness.ipsets.roaring import SET_BYTES
from liveness.ipsets.source import Source


def read_from(source: Source, _: Choice) -> BitMap:
    """Return the set of a portable roaring file.

    UsageError names a file that is no such set, is incomplete or has bytes after it.
    """
    if not _begins_as_one(source.head):  # before all of it is in memory
        raise _wrong(source)
    content = source.rest(SET_BYTES)
    try:
        addresses = BitMap.deserialize(content)
    except (ValueError, IndexError) as problem:  # pyroaring answers an empty file with an IndexError
        raise _wrong(source) from problem
    try:
        parse_index(lambda offset, size: content[offset : offset + size], len(content))
    except BrokenFormatError as problem:
        more = source.taken - len(addresses.serialize())
        what = f"followed by {more} that are no set" if more > 0 else str(problem)
        raise UsageError(f"{source.name}: damaged: a roaring set of {source.taken - more} bytes, {what}") from problem
    return addresses


def _begins_as_one(head: bytes) -> bool:
    cookie = int.from_bytes(head[:4], "little")
    return cookie == COOKIE_WITHOUT_RUNS or cookie & 0xFFFF == COOKIE


def _wrong(source: Source) -> UsageError:
    """Return the error for what is no set of this format."""
    if _is_of_64_bits(source.head):
        return UsageError(
            f"{source.name}: a roaring set of 64-bit numbers: IPv4 addresses have 32: write it as a 32-bit one"
        )
    return UsageError(
        f"{source.name}: not a roaring set in the portable format, or damaged: name what it is with --from FORMAT"
    )


def _is_of_64_bits(content: bytes) -> bool:
    """Return whether this begins as 64-bit sets do: how many 32-bit sets follow, and the upper half of the first."""
    cookie = int.from_bytes(content[12:16], "little")
    plausible = 0 < int.from_bytes(content[:8], "little") <= 1 << 32
    return plausible and (cookie == COOKIE_WITHOUT_RUNS or cookie & 0xFFFF == COOKIE)


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write a set as small as run-length containers make it."""
    addresses.run_optimize()  # changes the representation in memory, not the members
    out.write(addresses.serialize())
