"""Delays of replies: the timeout that catches a share of the pings of a share of the addresses.

This is the table of Padmanabhan et al. 2015, a percentile over addresses of percentiles over the replies of each. Times
come from the log of replies of a survey, or were kept when it was imported. Only positive replies of an address itself
count, the first of each probe, so that broadcasts and floods of duplicates do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.delays import read_delays
from liveness.planes.rundir import SurveyRun
from liveness.replies import POSITIVE
from liveness.replylog.replytable import ReplyTable
from liveness.sql.connection import duckdb_errors, first_line
from liveness.sql.text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

PERCENTILES: Final = (1, 50, 80, 90, 95, 98, 99)
FEWEST_REPLIES: Final = 10
"""Replies that an address needs to be in the table."""
REPLIES_AT_ONCE: Final = 1 << 24
LOGGED: Final = "parquet"

Replies = tuple[NDArray[np.int64], NDArray[np.int64]]
"""An address, as a number of any kind, and the time in microseconds, for each reply."""


@dataclass(frozen=True, slots=True)
class DelayTable:
    """Timeouts in seconds: row y, column x is what catches x % of the pings of y % of the addresses."""

    addresses: int
    replies: int
    timeout_s: NDArray[np.float64]


def delay_table(run: SurveyRun, probe: str) -> DelayTable | None:
    """Return the table of a probe; None if the times of replies are not known or are too few.

    LivenessError for a damaged file of them.
    """
    parts = _recorded(run, probe) if probe in run.manifest.delays else _logged(run, probe)
    found = [percentiles_of(addresses, times_us) for addresses, times_us in parts]
    by_address = np.concatenate([shares for shares, _ in found]) if found else np.zeros((0, len(PERCENTILES)))
    if len(by_address) == 0:
        return None
    by_address.sort(axis=0)
    timeouts = by_address[[_rank(share, len(by_address)) for share in PERCENTILES]] / 1e6
    return DelayTable(len(by_address), sum(replies for _, replies in found), timeouts)


def percentiles_of(addresses: NDArray[np.int64], times_us: NDArray[np.int64]) -> tuple[NDArray[np.float64], int]:
    """Return the percentiles of every address with enough replies, (addresses, PERCENTILES), and their replies."""
    order = np.lexsort((times_us, addresses))
    addresses, times_us = addresses[order], times_us[order]
    starts = np.flatnonzero(np.append(True, addresses[1:] != addresses[:-1])) if len(addresses) else np.zeros(0, int)
    counts = np.diff(np.append(starts, len(addresses)))
    enough = counts >= FEWEST_REPLIES
    starts, counts = starts[enough], counts[enough]
    columns = [times_us[starts + (-(-share * counts // 100) - 1)] for share in PERCENTILES]
    return np.stack(columns, axis=1).astype(np.float64).reshape(-1, len(PERCENTILES)), int(counts.sum())


def _rank(share: int, count: int) -> int:
    """Return the index of a percentile among `count` values: the smallest that `share` % of them do not exceed."""
    return max(0, -(-share * count // 100) - 1)


def _recorded(run: SurveyRun, probe: str) -> Iterator[Replies]:
    """Yield the replies of an imported survey, all of an address at once."""
    size = len(run.blocks) * BLOCK_ADDRESSES
    counts = np.zeros(size, np.int64)
    for delays in read_delays(run.path, probe, size):
        counts += np.bincount(delays["row"], minlength=size)
    for low, high in _spans(counts):
        parts = [
            delays[(delays["row"] >= low) & (delays["row"] < high)] for delays in read_delays(run.path, probe, size)
        ]
        whole = np.concatenate(parts)
        yield whole["row"].astype(np.int64), whole["rtt_us"].astype(np.int64)


def _spans(counts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield ranges of addresses with some REPLIES_AT_ONCE replies each, from the replies of every address."""
    total = np.cumsum(counts)
    low, done = 0, 0
    while low < len(counts) and done < total[-1]:
        high = max(low + 1, int(np.searchsorted(total, done + REPLIES_AT_ONCE, side="right")))
        yield low, high
        low, done = high, int(total[high - 1])


def _logged(run: SurveyRun, probe: str) -> Iterator[Replies]:
    """Yield the replies of a survey's log, all of an address at once; nothing if it has no log."""
    if run.manifest.config.get("replies") not in (LOGGED, "both"):
        return
    kinds = ", ".join(quoted(kind.label) for kind in POSITIVE)
    with ReplyTable(run.path) as table:
        try:
            wanted = table.relation().filter(
                f"probe = {quoted(probe)} AND kind IN ({kinds}) AND direct AND rtt_ns IS NOT NULL"
            )
            by_block = wanted.aggregate("target_number // 256 AS block, count(*) AS replies").fetchnumpy()
            blocks = np.asarray(by_block["block"], np.int64)
            order = np.argsort(blocks)
            for low, high in _spans(np.asarray(by_block["replies"], np.int64)[order]):
                yield _of_blocks(wanted, int(blocks[order[low]]), int(blocks[order[high - 1]]))
        except duckdb_errors() as problem:
            raise LivenessError(f"{run.path}: cannot read its log of replies: {first_line(problem)}") from problem


def _of_blocks(wanted: "DuckDBPyRelation", first: int, last: int) -> Replies:
    """Return the replies of the /24s from `first` to `last`; of several to one probe the first."""
    inside = wanted.filter(f"target_number // 256 BETWEEN {first} AND {last}")
    once = inside.aggregate("target_number, min(rtt_ns) // 1000 AS rtt_us", "target_number, time_ns - rtt_ns")
    found = once.fetchnumpy()
    return np.asarray(found["target_number"], np.int64), np.asarray(found["rtt_us"], np.int64)
