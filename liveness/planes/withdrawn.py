"""Withdrawn addresses of a survey as its manifest lists them: runs of neighbours with the same first round."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.planes.manifest import Withdrawn
from liveness.space.addresses import format_address, parse_address


def first_rounds(
    withdrawn: Sequence[Withdrawn], addresses: NDArray[np.uint32], rounds: int, run: Path
) -> NDArray[np.int64]:
    """Return the first round from which each address (ascending) was withdrawn; `rounds` if it never was.

    LivenessError names the run if an entry of its manifest is no address.
    """
    first = np.full(len(addresses), rounds, np.int64)
    for entry in withdrawn:
        try:
            low, high = parse_address(entry.first), parse_address(entry.last)
        except ValueError as problem:
            raise LivenessError(f"{run}: a damaged manifest: $.withdrawn: {problem}") from problem
        begin = np.searchsorted(addresses, np.uint32(low), "left")  # a Python int would copy all addresses each time
        end = np.searchsorted(addresses, np.uint32(high), "right")
        first[begin:end] = np.minimum(first[begin:end], min(max(0, entry.round), rounds))
    return first


def withdrawn_runs(addresses: NDArray[np.uint32], first: NDArray[np.int64], rounds: int) -> list[Withdrawn]:
    """Return runs of neighbouring addresses with the same first round, those that were never withdrawn left out."""
    found = np.flatnonzero(first < rounds)
    if not len(found):
        return []
    breaks = (np.diff(addresses[found].astype(np.int64)) != 1) | (np.diff(first[found]) != 0)
    begins = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    ends = np.concatenate([begins[1:] - 1, [len(found) - 1]])
    return [
        Withdrawn(
            first=format_address(int(addresses[found[begin]])),
            last=format_address(int(addresses[found[end]])),
            round=int(first[found[begin]]),
        )
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
