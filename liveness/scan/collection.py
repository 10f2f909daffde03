"""The collection: everything accepted in a run so far, as growing sets and counts."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.ipsets.collector import Collector
from liveness.types import ERROR_TYPES, Kind, ReplyKey, Role, SetKey, Tier, roles_of

_CODES: Final = 256
_ERROR_SLOTS: Final = {icmp_type: Kind.ERROR + index * _CODES for index, icmp_type in enumerate(ERROR_TYPES)}
CLASSES: Final = Kind.ERROR + len(ERROR_TYPES) * _CODES
"""Classes of replies to one probe: five kinds, and each error type with each code."""

_FIRST_CLASS: Final = np.zeros(256, np.int64)
for _icmp_type, _slot in _ERROR_SLOTS.items():
    _FIRST_CLASS[_icmp_type] = _slot


def reply_key(probe: str, number: int) -> ReplyKey:
    """Return the class of replies with this number, the inverse of how `Collection.add` numbers them."""
    if number < Kind.ERROR:
        return ReplyKey(probe, Kind(number))
    index, code = divmod(number - Kind.ERROR, _CODES)
    return ReplyKey(probe, Kind.ERROR, ERROR_TYPES[index], code)


class Collection:
    """Sets and counts of accepted replies, fed by batches in REPLY_DTYPE."""

    def __init__(self, probes: Sequence[str], attempts: int) -> None:
        self.probes = tuple(probes)
        self.attempts = attempts
        self.messages: NDArray[np.int64] = np.zeros((len(self.probes), CLASSES), np.int64)
        self.weak: NDArray[np.int64] = np.zeros((len(self.probes), CLASSES), np.int64)
        self._sets: dict[tuple[int, int, Role], Collector] = {}
        self._answered = [[Collector() for _ in range(attempts)] for _ in self.probes]

    def add(self, replies: NDArray[np.void]) -> None:
        """Add a batch of accepted replies: group them by class, then feed each group's sets."""
        if len(replies) == 0:
            return
        kinds = replies["kind"].astype(np.int64)
        is_error = kinds == Kind.ERROR
        numbers = np.where(is_error, _FIRST_CLASS[replies["icmp_type"]] + replies["icmp_code"], kinds)
        classes = (replies["probe"].astype(np.int64) * CLASSES + numbers).astype(np.uint16)
        order = np.argsort(classes, kind="stable")  # a radix sort for 16-bit keys
        classes, replies = classes[order], replies[order]
        starts = np.flatnonzero(np.concatenate(([True], classes[1:] != classes[:-1])))
        ends = np.append(starts[1:], len(classes))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            probe, number = divmod(int(classes[start]), CLASSES)
            self._add_class(probe, number, replies[start:end])

    def _add_class(self, probe: int, number: int, replies: NDArray[np.void]) -> None:
        self.messages[probe, number] += len(replies)
        self.weak[probe, number] += int(np.count_nonzero(replies["tier"] == Tier.WEAK))
        sources, targets = replies["source"], replies["target"]
        self._set(probe, number, Role.SOURCE).add(sources)
        self._set(probe, number, Role.TARGET).add(targets)
        if Role.DIRECT in roles_of(Kind(min(number, Kind.ERROR))):
            self._set(probe, number, Role.DIRECT).add(sources[sources == targets])
        for attempt in range(self.attempts):
            self._answered[probe][attempt].add(targets[replies["attempt"] == attempt])

    def _set(self, probe: int, number: int, role: Role) -> Collector:
        key = (probe, number, role)
        if key not in self._sets:
            self._sets[key] = Collector()
        return self._sets[key]

    def finish(self) -> dict[SetKey, BitMap]:
        """Return all sets that have a member, in the order of probes and classes; the collection ends with this."""
        finished = {}
        for probe, number, role in sorted(self._sets):
            addresses = self._sets.pop((probe, number, role)).finish()
            if addresses:
                finished[SetKey(reply_key(self.probes[probe], number), role)] = addresses
        return finished

    def attempt_patterns(self) -> dict[str, dict[str, int]]:
        """Return how many targets answered each probe, by the attempts that the replies prove: one digit an attempt."""
        patterns: dict[str, dict[str, int]] = {}
        for name, collectors in zip(self.probes, self._answered, strict=True):
            answered = [collector.finish() for collector in collectors]
            counts = {}
            for number in range(1, 1 << self.attempts):
                digits = f"{number:0{self.attempts}b}"
                both = [addresses for addresses, digit in zip(answered, digits, strict=True) if digit == "1"]
                neither = [addresses for addresses, digit in zip(answered, digits, strict=True) if digit == "0"]
                count = len(BitMap.intersection(*both) - BitMap.union(*neither, BitMap()))
                if count:
                    counts[digits] = count
            if counts:
                patterns[name] = dict(sorted(counts.items(), reverse=True))
        return patterns

    def message_counts(self, counts: NDArray[np.int64]) -> dict[str, dict[str, int]]:
        """Return counts (`messages` or `weak`) by probe and label, zeros left out."""
        named: dict[str, dict[str, int]] = {}
        for probe, number in zip(*(axis.tolist() for axis in np.nonzero(counts)), strict=True):
            name = self.probes[probe]
            named.setdefault(name, {})[reply_key(name, number).label] = int(counts[probe, number])
        return named
