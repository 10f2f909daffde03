"""Sets and counts of the replies that a receiver accepted since its last segment."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.ipsets.collector import Collector
from liveness.kernel import int64, kernel
from liveness.replies import ERROR_TYPES, Kind, ReplyKey, Role, Tier
from liveness.runs.segment import Counts, PartKey

_CODES: Final = 256
CLASSES: Final = Kind.ERROR + len(ERROR_TYPES) * _CODES
"""Classes of replies to one probe: the kinds below ERROR, and each ICMP error type with each code."""
OWN: Final = 2
"""Groups per class and attempt: 0 for replies whose source is not their target, 1 for replies whose source is."""

_FIRST_CLASS: Final = np.zeros(256, np.int64)
for _index, _icmp_type in enumerate(ERROR_TYPES):
    _FIRST_CLASS[_icmp_type] = Kind.ERROR + _index * _CODES

_ERROR: Final = int(Kind.ERROR)
_WEAK: Final = int(Tier.WEAK)


def reply_key(probe: str, number: int) -> ReplyKey:
    """Return the reply key of a class number: the inverse of the numbering in `group`."""
    if number < Kind.ERROR:
        return ReplyKey(probe, Kind(number))
    index, code = divmod(number - Kind.ERROR, _CODES)
    return ReplyKey(probe, Kind.ERROR, ERROR_TYPES[index], code)


@kernel
def group(
    replies: NDArray[np.void],
    first_class: NDArray[np.int64],
    attempts: int,
    groups: NDArray[np.int64],
    ends: NDArray[np.int64],
    weak: NDArray[np.int64],
    sources: NDArray[np.uint32],
    targets: NDArray[np.uint32],
) -> None:
    """Sort the addresses of replies (REPLY_DTYPE) by group: probe, class, attempt, and whether source is target.

    Attempts are numbered from 0; number `attempts` is for replies that prove no attempt. The group of each reply is
    written to `groups`, the addresses in order of groups to `sources` and `targets`. `ends` has one item more than
    there are groups and must be zero; afterwards `ends[group]` is where the group ends. Weak replies are added to
    `weak`, (probes, CLASSES). This is a counting sort: it reads each reply twice.
    """
    for i in range(len(replies)):
        reply = replies[i]
        number = int64(reply["kind"])
        if number == _ERROR:  # errors have a class for each type and code, numbered after the other kinds
            number = first_class[int64(reply["icmp_type"])] + int64(reply["icmp_code"])
        probe = int64(reply["probe"])
        if int64(reply["tier"]) == _WEAK:
            weak[probe, number] += 1
        own = 1 if reply["source"] == reply["target"] else 0
        attempt = min(int64(reply["attempt"]), attempts)  # larger numbers mean that no attempt is proven
        place = ((probe * CLASSES + number) * (attempts + 1) + attempt) * OWN + own
        groups[i] = place
        ends[place + 1] += 1
    for place in range(1, len(ends)):  # prefix sums: ends[place] becomes the number of replies in lower groups
        ends[place] += ends[place - 1]
    for i in range(len(replies)):  # ends[place] is where the group begins now, and moves to its end
        at = ends[groups[i]]
        ends[groups[i]] = at + 1
        sources[at] = replies[i]["source"]
        targets[at] = replies[i]["target"]


class Collection:
    """Sets and counts of accepted replies. `add` takes batches in REPLY_DTYPE; `take` and `take_counts` empty it."""

    def __init__(self, probes: Sequence[str], attempts: int) -> None:
        self.probes = tuple(probes)
        self.attempts = attempts
        self._messages: NDArray[np.int64] = np.zeros((len(self.probes), CLASSES, attempts + 1), np.int64)
        self._weak: NDArray[np.int64] = np.zeros((len(self.probes), CLASSES), np.int64)
        self._parts: dict[tuple[int, int, int, Role], Collector] = {}

    @property
    def held(self) -> int:
        """Upper bound of the number of addresses in all sets."""
        return sum(part.held for part in self._parts.values())

    def add(self, replies: NDArray[np.void]) -> None:
        """Add a batch of accepted replies: group them by class, then add each group to its sets."""
        count = len(replies)
        ends = np.zeros(len(self.probes) * CLASSES * (self.attempts + 1) * OWN + 1, np.int64)
        sources, targets = np.empty(count, np.uint32), np.empty(count, np.uint32)
        groups = np.empty(count, np.int64)
        group(replies, _FIRST_CLASS, self.attempts, groups, ends, self._weak, sources, targets)
        bounds = ends[:-1]  # where each group ends, which is where the next one begins
        for place in np.flatnonzero(np.diff(bounds, prepend=0)).tolist():
            begin, end = (int(bounds[place - 1]) if place else 0), int(bounds[place])
            rest, own = divmod(place, OWN)
            rest, attempt = divmod(rest, self.attempts + 1)
            probe, number = divmod(rest, CLASSES)
            self._messages[probe, number, attempt] += end - begin
            if own:
                self._part(probe, number, attempt, Role.DIRECT).add(targets[begin:end])
            else:
                self._part(probe, number, attempt, Role.SOURCE).add(sources[begin:end])
                self._part(probe, number, attempt, Role.TARGET).add(targets[begin:end])

    def _part(self, probe: int, number: int, attempt: int, part: Role) -> Collector:
        key = (probe, number, attempt, part)
        if key not in self._parts:
            self._parts[key] = Collector()
        return self._parts[key]

    def take(self) -> dict[PartKey, Collector]:
        """Return the sets collected since the last call, not yet finished, and start with empty ones.

        Finishing takes 50 ns per address: the receiver leaves it to its writing thread.
        """
        taken = {
            PartKey(reply_key(self.probes[probe], number), part, attempt): collector
            for (probe, number, attempt, part), collector in self._parts.items()
        }
        self._parts = {}
        return taken

    def take_counts(self) -> tuple[dict[str, dict[str, list[int]]], dict[str, Counts]]:
        """Return the messages accepted since the last call by probe, label and attempt, and the weak ones among them.

        The last number of each list counts the messages that prove no attempt.
        """
        messages: dict[str, dict[str, list[int]]] = {}
        for name, label, counts in self._named(self._messages.sum(axis=2), self._messages):
            messages.setdefault(name, {})[label] = counts.tolist()
        weak: dict[str, Counts] = {}
        for name, label, count in self._named(self._weak, self._weak):
            weak.setdefault(name, {})[label] = int(count)
        self._messages[:] = 0
        self._weak[:] = 0
        return messages, weak

    def _named(self, where: NDArray[Any], counts: NDArray[np.int64]) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
        """Yield probe, label and count of every class that is not zero in `where`, (probes, CLASSES)."""
        for probe, number in zip(*(axis.tolist() for axis in np.nonzero(where)), strict=True):
            name = self.probes[probe]
            yield name, reply_key(name, number).label, counts[probe, number]
