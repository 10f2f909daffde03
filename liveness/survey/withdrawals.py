"""The addresses of a survey that were withdrawn, and the rounds that this concerns."""

import numpy as np
from numpy.typing import NDArray

from liveness.order.rounds import Rounds
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.manifest import Withdrawn
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines
from liveness.survey.gaps import Gaps
from liveness.survey.schedule import withdrawn_from


def withdrawn_rounds(withdrawn: list[Withdrawn], rounds: int) -> int:
    """Return the number of pairs of address and round that were withdrawn."""
    return sum(
        (parse_address(entry.last) - parse_address(entry.first) + 1) * (rounds - entry.round) for entry in withdrawn
    )


def withdrawn_entries(order: Rounds, left_out: Intervals, gaps: Gaps, rounds: int) -> list[Withdrawn]:
    """Return the addresses that were withdrawn and the first round that this concerns, ascending."""
    if not len(left_out) and not gaps.withdrawals:
        return []
    first = np.full(len(order.numbers) * BLOCK_ADDRESSES, rounds, np.int64)
    addresses = (order.numbers[:, None] << np.uint32(8) | np.arange(BLOCK_ADDRESSES, dtype=np.uint32)[None, :]).ravel()
    first[left_out.contains(addresses)] = 0
    for withdrawal in gaps.withdrawals:
        chosen = np.flatnonzero(parse_lines(withdrawal.targets).contains(addresses))
        first[chosen] = np.minimum(first[chosen], withdrawn_from(order, chosen, withdrawal.at_ns))
    return withdrawn_runs(addresses, first, rounds)


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
