"""Roaring IP sets: to and from numpy and portable-format files, and their /24s."""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.reading import read_bytes

Addresses = NDArray[np.uint32]

SET_BYTES = (1 << 29) + (1 << 20)
"""The largest set there can be: 65,536 bitmaps of 8 KiB and their index."""
CHUNK_ADDRESSES = 1 << 24  # a /8 at a time: 64 MiB of uint32, however large the set


@dataclass(frozen=True, slots=True)
class SetDigest:
    """The digest of a set file in a manifest: its cardinality, and the SHA-256 of its bytes in hex."""

    cardinality: int
    sha256: str


def as_array(addresses: Addresses) -> "array[int]":
    """Copy addresses into an ``array.array('I')``, the one input pyroaring reads without making Python integers."""
    result = array("I")
    result.frombytes(np.ascontiguousarray(addresses, dtype=np.uint32).view(np.uint8).data)
    return result


def sorted_unique(addresses: Addresses) -> Addresses:
    """Return the addresses in ascending order, each once. A sort and a mask: many times faster than ``np.unique``."""
    return drop_repeats(np.sort(addresses))


def drop_repeats(ascending: Addresses) -> Addresses:
    """Return an ascending array without equal neighbours, as a new array."""
    if ascending.size == 0:
        return ascending.copy()
    keep = np.empty(ascending.size, dtype=np.bool_)
    keep[0] = True
    np.not_equal(ascending[1:], ascending[:-1], out=keep[1:])
    return ascending[keep]


def from_numpy(addresses: Addresses) -> BitMap:
    """Build a set from host-order uint32 addresses in any order, duplicates allowed."""
    return BitMap(as_array(sorted_unique(addresses)))


def to_numpy(addresses: BitMap) -> Addresses:
    """Return the addresses of a set in ascending order (4 bytes each: see `chunks` for large sets)."""
    return np.frombuffer(addresses.to_array(), dtype=np.uint32)


def chunks(addresses: BitMap) -> Iterator[Addresses]:
    """Yield the addresses of a set in ascending order, at most `CHUNK_ADDRESSES` at a time, never an empty array."""
    if len(addresses) <= CHUNK_ADDRESSES:
        if addresses:
            yield to_numpy(addresses)
        return
    for first in range(0, 1 << 32, CHUNK_ADDRESSES):
        after = first + CHUNK_ADDRESSES
        if addresses.range_cardinality(first, after):
            yield to_numpy(addresses & BitMap(range(first, after)))


def mask24(addresses: BitMap) -> BitMap:
    """Return the /24 prefixes a set touches, each as its base number: the address shifted right by 8 bits."""
    prefixes = BitMap()
    for chunk in chunks(addresses):
        prefixes.update(as_array(drop_repeats(chunk >> np.uint32(8))))
    return prefixes


def serialized(addresses: BitMap) -> tuple[bytes, SetDigest]:
    """Return a set in the portable roaring format, as small as run-length containers make it, and its digest."""
    addresses.run_optimize()  # changes the representation in memory, not the members
    content = addresses.serialize()
    return content, SetDigest(len(addresses), hashlib.sha256(content).hexdigest())


def write_roaring(path: Path, addresses: BitMap) -> SetDigest:
    """Write a set in the portable roaring format, atomically.

    Raises LivenessError that names the file when the disk refuses.
    """
    content, digest = serialized(addresses)
    write_atomically(path, content)
    return digest


def read_roaring(path: Path, expected: SetDigest | None = None) -> BitMap:
    """Read a portable roaring file and, where `expected` is known, verify its bytes and its cardinality.

    Raises LivenessError that names the file and what is wrong with it.
    """
    try:
        content = read_bytes(path, SET_BYTES)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read this set: {problem.strerror}") from problem
    return parse_roaring(content, path, expected)


def parse_roaring(content: bytes, path: Path, expected: SetDigest | None = None) -> BitMap:
    """Return the set of a portable roaring file's content, verified as `read_roaring` does."""
    if expected is not None and (found := hashlib.sha256(content).hexdigest()) != expected.sha256:
        raise LivenessError(f"{path}: damaged: its SHA-256 is {found}, the manifest says {expected.sha256}")
    try:
        addresses = BitMap.deserialize(content)
    except (ValueError, IndexError) as problem:  # pyroaring answers an empty file with an IndexError
        raise LivenessError(f"{path}: not a roaring set in the portable format") from problem
    if expected is not None and len(addresses) != expected.cardinality:
        raise LivenessError(
            f"{path}: damaged: it holds {len(addresses)} addresses, the manifest says {expected.cardinality}"
        )
    return addresses
