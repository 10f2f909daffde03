"""Exporters over time: how many records each had in an interval, when it was silent, whose records were copies.

Records that pass the gates count, copies included. The digest of its name identifies the exporter of a record, as in
observations.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc, utc_brief
from liveness.flows.record import OTHER_EXPORTERS
from liveness.kernel import int64, kernel
from liveness.passive.partitions import digest_of
from liveness.passive.records import INBOUND, OUTBOUND, Blocks, Observations

TOP_EXPORTERS: Final = 20
"""So many exporters are named in an interval."""
TOP_PAIRS: Final = 100
_HALF_BITS: Final = 24
_NS_PER_S: Final = 1_000_000_000
MOST_PAIRS: Final = 1 << 16
"""Pairs of exporters that are counted apart: names of exporters may be forged."""
OTHER_PAIRS: Final = (-1, -1)
"""The key of the others."""


@kernel
def count_exporters(
    observations: Observations, digests: NDArray[np.uint32], counts: NDArray[np.int64], starts: NDArray[np.int64]
) -> None:
    """Add to `counts` the records of each exporter; `starts` takes the start of its newest one.

    `digests` are those of the exporters' names, ascending. Most records have the exporter of the one before.
    """
    at = 0
    for place in range(len(observations)):
        observation = observations[place]
        if not int64(observation["marks"]) & (INBOUND | OUTBOUND):  # a quote is no record
            continue
        digest = int64(observation["exporter"])
        if int64(digests[at]) != digest:
            low, high = 0, len(digests) - 1
            while low < high:
                middle = (low + high) // 2
                if int64(digests[middle]) < digest:
                    low = middle + 1
                else:
                    high = middle
            at = low
            if int64(digests[at]) != digest:
                continue
        counts[at] += 1
        starts[at] = max(starts[at], int64(observation["start_ns"]))


@dataclass(slots=True)
class _Seen:
    """When an exporter had records."""

    first: int
    """Interval."""
    last: int
    newest_ns: int
    intervals: int = 0


@dataclass(slots=True, eq=False)
class ExporterTimes:
    """Counts the records of exporters by interval, and copies by pair of exporters."""

    by_interval: dict[int, dict[int, int]] = field(default_factory=dict)
    """Records of the exporters with most of them, by digest, in each interval."""
    records: dict[int, int] = field(default_factory=dict)
    """Records of all exporters in each interval."""
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    _later_ns: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By how much the records of a pair's second exporter start later, summed."""
    _named: dict[int, str] = field(default_factory=dict)
    """Names of the exporters by digest."""
    _names: int = 0
    """How many names were given last."""
    _digests: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(1, np.uint32))
    """Digests of the names, ascending; never empty, for the kernel."""

    def counted(self, interval: int, blocks: Blocks, names: Sequence[str]) -> "CountedBlocks":
        """Return the blocks of an interval's observations, which are counted when they are read for the first time.

        `names` are those of the exporters so far.
        """
        if len(names) != self._names:
            self._named = {digest_of(name): name for name in names}
            self._names = len(names)
            self._digests = np.array(sorted(self._named) or [0], np.uint32)
        return CountedBlocks(self, interval, blocks)

    def count(self, interval: int, observations: Iterator[Observations]) -> Iterator[Observations]:
        """Yield observations of an interval, and count them when all are taken."""
        counts = np.zeros(len(self._digests), np.int64)
        starts = np.zeros(len(self._digests), np.int64)
        for block in observations:
            count_exporters(block, self._digests, counts, starts)
            yield block
        self.records[interval] = int(counts.sum())
        for at in np.flatnonzero(counts).tolist():
            newest_ns = int(starts[at])
            seen = self._seen.setdefault(int(self._digests[at]), _Seen(interval, interval, newest_ns))
            seen.last, seen.newest_ns = max(seen.last, interval), max(seen.newest_ns, newest_ns)
            seen.intervals += 1
        top = np.argsort(-counts, kind="stable")[:TOP_EXPORTERS]
        self.by_interval[interval] = {int(self._digests[at]): int(counts[at]) for at in top.tolist() if counts[at]}

    def add_copies(self, copies: NDArray[np.void]) -> None:
        """Add copies, which are of COPY_DTYPE."""
        kept, copy, later_ns = (copies[name] for name in ("kept", "copy", "later_ns"))
        ends = np.sort(np.stack((kept, copy), axis=1), axis=1)
        pairs, at, counts = np.unique(ends, axis=0, return_inverse=True, return_counts=True)
        later_ns = np.where(kept < copy, later_ns, -later_ns)
        high, low = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)
        np.add.at(high, at.reshape(-1), later_ns >> _HALF_BITS)  # the sum of all may not fit 64 bits
        np.add.at(low, at.reshape(-1), later_ns & ((1 << _HALF_BITS) - 1))
        for place, (one, other) in enumerate(pairs.tolist()):
            known = (one, other) in self._pairs or len(self._pairs) < MOST_PAIRS
            pair = (one, other) if known else OTHER_PAIRS
            self._pairs[pair] += int(counts[place])
            self._later_ns[pair] += (int(high[place]) << _HALF_BITS) + int(low[place])

    def interval(self, number: int) -> dict[str, Any]:
        """Return an interval's records, and those of the exporters with most of them, by name."""
        found = self.by_interval.get(number, {})
        return {
            "records": self.records.get(number, 0),
            "exporters": {self._named[digest]: count for digest, count in found.items()},
        }

    def health(self, exporters: list[dict[str, Any]], interval_ns: int) -> list[dict[str, Any]]:
        """Return what the records say of each exporter, with when it was seen, and its copies.

        It is silent in the intervals between its first one and the newest of all exporters in which it has no record.
        """
        copies: Counter[int] = Counter()
        for pair, number in self._pairs.items():
            copies.update(dict.fromkeys(pair, number))
        newest = max((seen.last for seen in self._seen.values()), default=0)
        found = []
        for each in exporters:
            digest = digest_of(each["exporter"])
            seen = self._seen.get(digest)
            times = {
                "intervals": 0 if seen is None else seen.intervals,
                "silent_intervals": 0 if seen is None else newest - seen.first + 1 - seen.intervals,
                "first": None if seen is None else utc_brief(seen.first * interval_ns, 9),
                "newest": None if seen is None else utc(seen.newest_ns),
            }
            found.append({**each, "duplicates": copies[digest], **times})
        return found

    def pairs(self) -> list[dict[str, Any]]:
        """Return the pairs of exporters with most copies: how many, and how much later the second one's start."""
        found: list[dict[str, Any]] = []
        for pair, number in self._pairs.items():
            later_s: float | None = self._later_ns[pair] / number / _NS_PER_S
            names = [self._named.get(digest, OTHER_EXPORTERS) for digest in pair]
            if pair == OTHER_PAIRS:
                later_s = None
            elif names[0] > names[1]:
                names, later_s = names[::-1], -self._later_ns[pair] / number / _NS_PER_S
            found.append({"exporters": names, "records": number, "second_starts_later_s": later_s})
        found.sort(key=lambda entry: (-entry["records"], entry["exporters"]))
        return found[:TOP_PAIRS]


@dataclass(slots=True, eq=False)
class CountedBlocks:
    """Blocks of an interval that may be read several times, and are counted once."""

    times: ExporterTimes
    interval: int
    blocks: Blocks
    _counted: bool = False

    def __iter__(self) -> Iterator[Observations]:
        """Yield the blocks."""
        if self._counted:
            return iter(self.blocks)
        self._counted = True
        return self.times.count(self.interval, iter(self.blocks))
