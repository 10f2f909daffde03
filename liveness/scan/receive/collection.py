"""Sets and counts of the replies that a receiver accepted since its last segment."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.ipsets.collector import Collector
from liveness.kernel import int64, kernel, uint64
from liveness.replies import ERROR_TYPES, Kind, ReplyKey, Role, Tier
from liveness.runs.segment import Counts, PartKey

_CODES: Final = 256
_ERROR_CLASSES: Final = len(ERROR_TYPES) * _CODES
CLASSES: Final = _ERROR_CLASSES + len(Kind) - 1
"""Classes of replies to one probe: kinds below ERROR, each ICMP error type with each code, kinds above ERROR."""
OWN: Final = 2
"""Groups per class and attempt: 0 for replies whose source is not their target, 1 for replies whose source is."""

_FIRST_CLASS: Final = np.zeros(256, np.int64)
for _index, _icmp_type in enumerate(ERROR_TYPES):
    _FIRST_CLASS[_icmp_type] = Kind.ERROR + _index * _CODES

_CLASS_OF_KIND: Final = np.array([kind + (_ERROR_CLASSES - 1) * (kind > Kind.ERROR) for kind in Kind], np.int64)
_CLASS_OF_KIND[Kind.ERROR] = 0  # an error's class follows from type and code alone
_WEAK: Final = int(Tier.WEAK)


def reply_key(probe: str, number: int) -> ReplyKey:
    """Return the reply key of a class number: the inverse of the numbering in `count_groups`."""
    if number < Kind.ERROR:
        return ReplyKey(probe, Kind(number))
    index, code = divmod(number - Kind.ERROR, _CODES)
    if index >= len(ERROR_TYPES):
        return ReplyKey(probe, Kind(number - _ERROR_CLASSES + 1))
    return ReplyKey(probe, Kind.ERROR, ERROR_TYPES[index], code)


@kernel
def count_groups(
    replies: NDArray[np.void],
    class_of_kind: NDArray[np.int64],
    first_class: NDArray[np.int64],
    attempts: int,
    groups: NDArray[np.int32],
    counts: NDArray[np.int32],
    used: NDArray[np.int32],
    weak: NDArray[np.int64],
) -> int:
    """Find the group of each reply (REPLY_DTYPE): probe, class, attempt, and whether source is target.

    Attempts are numbered from 0; number `attempts` is for replies that prove no attempt. Writes the group of each reply
    to `groups`, adds to the group's element of `counts`, which must be zero before, and writes the groups that occur to
    `used`; returns their number. Weak replies are added to `weak`, (probes, CLASSES).
    """
    occurring = 0
    for i in range(len(replies)):
        reply = replies[i]
        # Errors have a class for each type and code. The sum replaces a branch, which would often be predicted wrong:
        # of an error the first term is 0, of any other reply the last two.
        error_class = first_class[uint64(reply["icmp_type"])] + int64(reply["icmp_code"])
        number = class_of_kind[uint64(reply["kind"])] + error_class
        probe = int64(reply["probe"])
        if int64(reply["tier"]) == _WEAK:
            weak[probe, number] += 1
        own = int64(reply["source"] == reply["target"])
        attempt = min(int64(reply["attempt"]), attempts)  # larger numbers mean that no attempt is proven
        place = uint64(((probe * CLASSES + number) * (attempts + 1) + attempt) * OWN + own)
        groups[i] = place
        count = counts[place]
        if count == 0:
            used[occurring] = place
            occurring += 1
        counts[place] = count + 1
    return occurring


@kernel
def arrange(
    replies: NDArray[np.void],
    groups: NDArray[np.int32],
    begins: NDArray[np.int32],
    sources: NDArray[np.uint32],
    targets: NDArray[np.uint32],
) -> None:
    """Write the addresses of replies to `sources` and `targets`, those of each group together.

    `groups` is the group of each reply, `begins` by group where it begins; afterwards it is where the group ends.
    """
    for i in range(len(replies)):
        place = uint64(groups[i])
        at = begins[place]
        begins[place] = at + 1
        sources[uint64(at)] = replies[i]["source"]
        targets[uint64(at)] = replies[i]["target"]


class Collection:
    """Sets and counts of accepted replies. `add` takes batches in REPLY_DTYPE; `take` and `take_counts` empty it."""

    def __init__(self, probes: Sequence[str], attempts: int) -> None:
        self.probes = tuple(probes)
        self.attempts = attempts
        self._messages: NDArray[np.int64] = np.zeros((len(self.probes), CLASSES, attempts + 1), np.int64)
        self._weak: NDArray[np.int64] = np.zeros((len(self.probes), CLASSES), np.int64)
        self._parts: dict[tuple[int, int, int, Role], Collector] = {}
        # Scratch space of `add`, kept because new memory costs more than the work on the replies in it.
        places = len(self.probes) * CLASSES * (attempts + 1) * OWN
        self._counts, self._used = np.zeros(places, np.int32), np.empty(places, np.int32)
        self._groups = np.empty(0, np.int32)
        self._sources, self._targets = np.empty(0, np.uint32), np.empty(0, np.uint32)

    @property
    def held(self) -> int:
        """Upper bound of the number of addresses in all sets."""
        return sum(part.held for part in self._parts.values())

    def add(self, replies: NDArray[np.void]) -> None:
        """Add a batch of accepted replies: group them by class, then add each group to its sets."""
        count = len(replies)
        if count > len(self._groups):
            self._groups = np.empty(count, np.int32)
            self._sources, self._targets = np.empty(count, np.uint32), np.empty(count, np.uint32)
        counts, sources, targets = self._counts, self._sources, self._targets
        occurring = count_groups(
            replies, _CLASS_OF_KIND, _FIRST_CLASS, self.attempts, self._groups, counts, self._used, self._weak
        )
        used = np.sort(self._used[:occurring])
        ends = np.cumsum(counts[used])
        counts[used] = ends - counts[used]  # a counting sort: from here on, where each group begins
        arrange(replies, self._groups, counts, sources, targets)
        counts[used] = 0
        begin = 0
        for place, end in zip(used.tolist(), ends.tolist(), strict=True):
            rest, own = divmod(place, OWN)
            rest, attempt = divmod(rest, self.attempts + 1)
            probe, number = divmod(rest, CLASSES)
            self._messages[probe, number, attempt] += end - begin
            if own:
                self._part(probe, number, attempt, Role.DIRECT).add(targets[begin:end])
            else:
                self._part(probe, number, attempt, Role.SOURCE).add(sources[begin:end])
                self._part(probe, number, attempt, Role.TARGET).add(targets[begin:end])
            begin = end

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
