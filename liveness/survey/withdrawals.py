"""The addresses of a survey that were withdrawn, and the rounds that this concerns."""

import numpy as np

from liveness.order.rounds import Rounds
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.manifest import Withdrawn
from liveness.planes.withdrawn import withdrawn_runs
from liveness.space.addresses import parse_address
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
