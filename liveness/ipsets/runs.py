"""Runs of a set, its stretches of consecutive addresses: from a bitmap, to a bitmap, and as prefixes, vectorised."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.ipsets.portable_index import COOKIE, FEWEST_WITH_OFFSETS
from liveness.ipsets.roaring import CHUNK_ADDRESSES, Addresses, chunks, to_numpy

CONTAINER_BITS, CONTAINER = 16, 1 << 16

Run = tuple[Addresses, Addresses]
"""Inclusive first and last addresses: ascending, disjoint, with a gap between neighbours."""


def runs(addresses: BitMap) -> Iterator[Run]:
    """Yield the runs of a set in ascending order, in parts; no run is cut between two parts.

    A /8 at a time, whose members or gaps are listed, whichever are fewer: memory is bounded by half a /8.
    """
    held: tuple[int, int] | None = None  # the last run of the part before, which the next may continue
    for low, high in _parts(addresses):
        first, last = low, high
        if held is not None:
            if held[1] + 1 == int(first[0]):
                first = first.copy()
                first[0] = held[0]
            else:
                first, last = np.append(np.uint32(held[0]), first), np.append(np.uint32(held[1]), last)
        held = int(first[-1]), int(last[-1])
        if first.size > 1:
            yield first[:-1], last[:-1]
    if held is not None:
        yield np.array([held[0]], np.uint32), np.array([held[1]], np.uint32)


def _parts(addresses: BitMap) -> Iterator[Run]:
    """Yield the runs of every /8 that has members, cut at its borders."""
    for start in range(0, 1 << 32, CHUNK_ADDRESSES):
        end = start + CHUNK_ADDRESSES
        members = addresses.range_cardinality(start, end)
        if not members:
            continue
        whole = BitMap(range(start, end))
        if 2 * members <= CHUNK_ADDRESSES:
            yield _runs_of(to_numpy(addresses & whole))
            continue
        first, last = _runs_of(to_numpy(whole - addresses))  # gaps, as int64 below: end may be 2**32
        low = np.append(np.int64(start), last.astype(np.int64) + 1)
        high = np.append(first.astype(np.int64) - 1, np.int64(end - 1))
        real = low <= high
        yield low[real].astype(np.uint32), high[real].astype(np.uint32)


def _runs_of(ascending: Addresses) -> Run:
    """Return the runs of ascending addresses, each once."""
    if ascending.size == 0:
        return ascending, ascending
    cuts = np.flatnonzero(ascending[1:] - ascending[:-1] != 1)
    return ascending[np.append(0, cuts + 1)], ascending[np.append(cuts, ascending.size - 1)]


def from_runs(first: Addresses, last: Addresses) -> BitMap:
    """Build a set from runs. They are laid out as a portable file of run containers: no loop over them."""
    if first.size == 0:
        return BitMap()
    low, high = first.astype(np.int64), last.astype(np.int64)
    key_low, key_high = low >> CONTAINER_BITS, high >> CONTAINER_BITS
    pieces = key_high - key_low + 1  # a run is cut where a container ends
    run = np.repeat(np.arange(low.size), pieces)
    key = key_low[run] + np.arange(run.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = np.where(key == key_low[run], low[run] % CONTAINER, 0)
    stop = np.where(key == key_high[run], high[run] % CONTAINER, CONTAINER - 1)
    opens = np.append(0, np.flatnonzero(key[1:] != key[:-1]) + 1)
    count = np.diff(np.append(opens, key.size))

    words = np.empty(opens.size + 2 * key.size, np.uint16)  # a container: how many runs, then start and length - 1 each
    heads = np.arange(opens.size) + 2 * opens
    words[heads] = count
    at = np.arange(key.size) * 2 + np.repeat(np.arange(opens.size), count) + 1
    words[at] = start
    words[at + 1] = stop - start

    cookie = np.array([COOKIE | (opens.size - 1) << CONTAINER_BITS], "<u4").tobytes()
    flags = np.packbits(np.ones(opens.size, np.uint8), bitorder="little").tobytes()
    described = np.empty((opens.size, 2), "<u2")
    described[:, 0] = key[opens]
    described[:, 1] = np.add.reduceat(stop - start + 1, opens) - 1
    offsets = b""
    if opens.size >= FEWEST_WITH_OFFSETS:
        body = len(cookie) + len(flags) + described.nbytes + 4 * opens.size
        offsets = (body + 2 * heads).astype("<u4").tobytes()
    addresses = BitMap.deserialize(
        b"".join((cookie, flags, described.tobytes(), offsets, words.astype("<u2").tobytes()))
    )
    addresses.run_optimize()  # short runs become arrays or bitmaps where these are smaller
    return addresses


def prefixes(addresses: BitMap) -> Iterator[tuple[Addresses, NDArray[np.uint8]]]:
    """Yield the shortest list of prefixes that covers a set, ascending, in parts: base addresses and lengths."""
    from liveness.ipsets.split import split_runs  # noqa: PLC0415 - the compiler is loaded for text alone

    nothing = np.empty(0, np.uint32), np.empty(0, np.uint8)
    for first, last in runs(addresses):
        count = split_runs(first, last, *nothing)
        base, length = np.empty(count, np.uint32), np.empty(count, np.uint8)
        split_runs(first, last, base, length)
        yield base, length


def counts(addresses: BitMap, length: int) -> Iterator[tuple[Addresses, NDArray[np.int64]]]:
    """Yield how many members each prefix of `length` (0 to 32) holds, ascending, in parts: base addresses and counts.

    Prefixes without members are left out.
    """
    bits = 32 - length
    if 1 << bits >= CHUNK_ADDRESSES:
        held = [(base, addresses.range_cardinality(base, base + (1 << bits))) for base in range(0, 1 << 32, 1 << bits)]
        table = np.array([pair for pair in held if pair[1]], np.int64).reshape(-1, 2)
        yield table[:, 0].astype(np.uint32), table[:, 1]
        return
    for chunk in chunks(addresses):  # whole set, or a /8: no prefix is in two
        base = chunk >> np.uint32(bits)
        opens = np.append(0, np.flatnonzero(base[1:] != base[:-1]) + 1)
        yield base[opens] << np.uint32(bits), np.diff(np.append(opens, base.size))


def touched(addresses: BitMap, length: int) -> int:
    """Return how many prefixes of `length` (0 to 32) have members. Fast for dense sets too, since it uses runs."""
    bits = np.uint32(32 - length)
    total, before = 0, -1
    for first, last in runs(addresses):
        low, high = first.astype(np.int64) >> bits, last.astype(np.int64) >> bits
        shared = np.count_nonzero(low[1:] == high[:-1]) + (int(low[0]) == before)
        total += int((high - low + 1).sum()) - int(shared)
        before = int(high[-1])
    return total
