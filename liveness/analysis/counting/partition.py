"""Partitions of the address space into slices: by /8, or by labels that a file gives to prefixes."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

SPACE: Final = 1 << 32
UNASSIGNED: Final = 0
"""The label of addresses that no prefix covers."""

Labelled = tuple[int, int, str]
"""Base address, length and label of a prefix."""


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """The slice of each address: addresses from first[i] up to first[i + 1] belong to names[label[i]]."""

    by: str
    first: NDArray[np.uint32]
    """Ascending; the first entry is 0."""
    label: NDArray[np.int32]
    names: list[str | None]
    """None is the slice of addresses without a label."""


def by_prefix8() -> Partition:
    """Return the partition into /8s."""
    octets = np.arange(256, dtype=np.uint32)
    names: list[str | None] = [f"{octet}.0.0.0/8" for octet in range(256)]
    return Partition("prefix8", octets << np.uint32(24), octets.astype(np.int32), names)


def by_prefixes(by: str, prefixes: Iterable[Labelled]) -> Partition:
    """Return the partition by labelled prefixes; the longest prefix that covers an address counts."""
    places: dict[str | None, int] = {None: UNASSIGNED}
    rows = array("q")  # 24 bytes per prefix; tuples would need six times as much
    for base, length, name in prefixes:
        rows.extend((base, length, places.setdefault(name, len(places))))
    table = np.frombuffer(rows, np.int64).reshape(-1, 3)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]  # a prefix before those inside it
    last = table[:, 0] + (np.int64(1) << (32 - table[:, 1])) - 1
    first, label = np.zeros(2 * len(table) + 1, np.int64), np.zeros(2 * len(table) + 1, np.int32)
    count = flatten(table[:, 0].copy(), last, table[:, 2].astype(np.int32), first, label)
    return Partition(by, first[:count].astype(np.uint32), label[:count].copy(), list(places))


@kernel
def flatten(
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    label: NDArray[np.int32],
    begins: NDArray[np.int64],
    labels: NDArray[np.int32],
) -> int:
    """Convert nested intervals, each before those inside it, into steps; return the number of steps.

    `begins` and `labels` receive the start and the label of each step.
    """
    open_last, open_label = np.zeros(len(first) + 1, np.int64), np.zeros(len(first) + 1, np.int32)
    open_last[0], open_label[0] = SPACE - 1, UNASSIGNED
    begins[0], labels[0] = 0, UNASSIGNED
    # Intervals that contain the current address are on a stack, the innermost last.
    depth, steps = 1, 1
    for i in range(len(first) + 1):
        reached = first[i] if i < len(first) else SPACE
        # Intervals that ended before this start give way to the one around them.
        while depth > 1 and open_last[depth - 1] < reached:
            depth -= 1
            after = open_last[depth] + 1
            if begins[steps - 1] < after < SPACE:
                begins[steps], labels[steps] = after, open_label[depth - 1]
                steps += 1
            elif begins[steps - 1] == after:
                labels[steps - 1] = open_label[depth - 1]
        if i < len(first):
            open_last[depth], open_label[depth] = last[i], label[i]
            depth += 1
            if begins[steps - 1] < int64(first[i]):
                steps += 1
            begins[steps - 1], labels[steps - 1] = first[i], label[i]
    return steps
