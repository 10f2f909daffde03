"""Portable roaring files as a format of set files."""

from typing import BinaryIO

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.source import Source


def read_from(source: Source, _: Choice) -> BitMap:
    """Return the set of a portable roaring file. UsageError names a file that is none, is cut or goes on behind it."""
    content = source.rest()
    try:
        addresses = BitMap.deserialize(content)
    except (ValueError, IndexError) as problem:  # pyroaring answers an empty file with an IndexError
        raise UsageError(
            f"{source.name}: not a roaring set in the portable format, or damaged: name what it is with --from FORMAT"
        ) from problem
    del content  # of large sets there is room for two copies, not for three
    if (size := len(addresses.serialize())) != source.taken:
        raise UsageError(
            f"{source.name}: damaged: a roaring set of {size} bytes, followed by {source.taken - size} that are no set"
        )
    return addresses


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write a set as small as run-length containers make it."""
    addresses.run_optimize()  # changes how the set lies in memory, not what it holds
    out.write(addresses.serialize())
