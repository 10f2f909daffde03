"""Clients of services: who succeeded, who failed, an interval at a time and over the run.

Events of all endpoints that may be services go to disk while the run is read, a file a part: an endpoint that becomes
known late has clients before that too. At the end those of known services are counted, a part at a time: all events of
one remote are in one part.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.passive.below import appending, opened, reading, remove_all
from liveness.passive.signs import EVENT_DTYPE, FAIL, LEFT_OUT, OK

SUFFIX: Final = ".events"
_OUTCOME_BITS: Final = 3
_OUTCOMES: Final = OK | FAIL | LEFT_OUT
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Clients by service. `services` are endpoints in ascending order; places below are places in it."""

    services: NDArray[np.uint64]
    ok: Numbers
    """Distinct remotes that ever succeeded."""
    failed: Numbers
    """Distinct remotes that failed and never succeeded."""
    left_out: Numbers
    """Distinct remotes that failed as scanners and are counted nowhere else."""
    place: Numbers
    """Of each row below its service,"""
    interval: Numbers
    """and its interval; rows are in ascending order of both."""
    ok_then: Numbers
    failed_then: Numbers

    def of(self, place: int) -> int:
        """Return how many clients a service had, scanners among them."""
        return int(self.ok[place] + self.failed[place] + self.left_out[place])

    def rows_of(self, service: int) -> slice:
        """Return the rows of the service at a place."""
        return slice(*np.searchsorted(self.place, [service, service + 1]).tolist())


class EventLog:
    """The files of events."""

    def __init__(self, folder: Path, parts: int) -> None:
        """Begin with empty files."""
        self._folder = folder
        self._names = [f"{part}{SUFFIX}" for part in range(parts)]
        remove_all(folder, SUFFIX)

    def append(self, events: list[NDArray[np.void]]) -> None:
        """Append the events of an interval, a part at a time."""
        with opened(self._folder) as folder:
            for name, part in zip(self._names, events, strict=True):
                if len(part):
                    with appending(folder, name) as file:
                        file.write(part.tobytes())

    def known(self, services: NDArray[np.uint64]) -> Iterator[tuple[Numbers, NDArray[np.void]]]:
        """Yield the events of some services, a part at a time, with the place of each one's service."""
        for name in self._names if len(services) else ():
            with opened(self._folder) as folder:
                if folder.status(name) is None:
                    continue
                with reading(folder, name) as file:
                    events = np.fromfile(file, EVENT_DTYPE)
            place = np.minimum(np.searchsorted(services, events["service"]), len(services) - 1)
            wanted = services[place] == events["service"]
            yield place[wanted].astype(np.int64), events[wanted]


def _begins(values: Numbers) -> NDArray[np.bool_]:
    """Return where in sorted values a new one begins."""
    return np.concatenate((np.ones(min(1, len(values)), np.bool_), values[1:] != values[:-1]))


def _sorted_clients(place: Numbers, events: NDArray[np.void]) -> tuple[Numbers, Numbers]:
    """Return ``place of the service << 32 | remote`` of events in ascending order, and interval and outcome of each."""
    client = place << 32 | events["remote"]
    what = events["interval"].astype(np.int64) << _OUTCOME_BITS | events["outcome"]
    order = np.lexsort((what, client))
    return client[order], what[order]


def clients_by_label(
    log: EventLog, services: NDArray[np.uint64], labels_of: Callable[[NDArray[np.uint32]], Numbers]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for (place of a service, label of its clients) how many clients succeeded, and how many never did."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for place, events in log.known(services):
        if not len(events):
            continue
        client, what = _sorted_clients(place, events)
        starts = np.flatnonzero(_begins(client))
        bits = np.bitwise_or.reduceat(what, starts) & _OUTCOMES
        owner, label = client[starts] >> 32, labels_of((client[starts] & 0xFFFFFFFF).astype(np.uint32))
        for row, wanted in enumerate((bits & OK != 0, bits & (OK | FAIL) == FAIL)):
            keys, counts = np.unique(owner[wanted] << 32 | label[wanted], return_counts=True)
            for key, number in zip(keys.tolist(), counts.tolist(), strict=True):
                at = key >> 32, key & 0xFFFFFFFF
                ok, failed = found.get(at, (0, 0))
                found[at] = (ok + number, failed) if row == 0 else (ok, failed + number)
    return found


def tally(log: EventLog, services: NDArray[np.uint64]) -> Tally:
    """Count the clients of some services, which are in ascending order."""
    size = len(services)
    ok, failed, left_out = (np.zeros(size, np.int64) for _ in range(3))
    sums = _Sums()
    for place, events in log.known(services):
        if not len(events):
            continue
        client, what = _sorted_clients(place, events)
        begins = _begins(client)
        bits = np.bitwise_or.reduceat(what, np.flatnonzero(begins)) & _OUTCOMES
        owner = client[begins] >> 32
        ok += np.bincount(owner[bits & OK != 0], minlength=size)
        failed += np.bincount(owner[bits & (OK | FAIL) == FAIL], minlength=size)
        left_out += np.bincount(owner[bits == LEFT_OUT], minlength=size)
        distinct = begins | _begins(what)
        client, what = client[distinct], what[distinct]
        sums.add(client >> 32 << 32 | what >> _OUTCOME_BITS, what & _OUTCOMES)
    return Tally(
        services, ok, failed, left_out, sums.keys >> 32, sums.keys & 0xFFFFFFFF, sums.numbers[0], sums.numbers[1]
    )


@dataclass(slots=True, eq=False)
class _Sums:
    """Clients by service and interval, summed over the parts as they come: each part has most of the combinations."""

    keys: Numbers = field(default_factory=lambda: np.empty(0, np.int64))
    """``place of the service << 32 | interval``, ascending."""
    numbers: Numbers = field(default_factory=lambda: np.empty((2, 0), np.int64))
    """Clients that succeeded, and that failed."""

    def add(self, keys: Numbers, outcomes: Numbers) -> None:
        """Add the clients of a part, an outcome each."""
        order = np.argsort(keys, kind="stable")
        keys, outcomes = keys[order], outcomes[order]
        starts = np.flatnonzero(_begins(keys))
        found = keys[starts]
        places = np.searchsorted(self.keys, found)
        missing = np.ones(len(found), np.bool_)
        inside = places < len(self.keys)
        missing[inside] = self.keys[places[inside]] != found[inside]
        if missing.any():
            self.keys = np.insert(self.keys, places[missing], found[missing])
            self.numbers = np.insert(self.numbers, places[missing], 0, axis=1)
            places = np.searchsorted(self.keys, found)
        for row, wanted in enumerate((OK, FAIL)):
            self.numbers[row, places] += np.add.reduceat((outcomes == wanted).astype(np.int64), starts)


def failed_clients(
    log: EventLog, services: NDArray[np.uint64], groups: Mapping[tuple[int, int], int]
) -> dict[int, int]:
    """Return how many distinct remotes failed in each group of (place of a service, interval)."""
    found: dict[int, int] = dict.fromkeys(groups.values(), 0)
    if not groups:
        return found
    keys = np.array([place << 32 | interval for place, interval in groups], np.int64)
    numbers = np.array(list(groups.values()), np.int64)
    order = np.argsort(keys)
    keys, numbers = keys[order], numbers[order]
    for place, events in log.known(services):
        key = place << 32 | events["interval"].astype(np.int64)
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        wanted = (keys[at] == key) & (events["outcome"] == FAIL)
        pairs = np.unique(numbers[at[wanted]] << 32 | events["remote"][wanted].astype(np.int64))
        for number, count in zip(*np.unique(pairs >> 32, return_counts=True), strict=True):
            found[int(number)] += int(count)
    return found
