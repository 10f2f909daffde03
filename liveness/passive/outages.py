"""Outages: services that fail for many clients at once, measured against their own history."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np

from liveness.passive.clients import EventLog, Tally, failed_clients
from liveness.passive.config import Outages

NO_CLIENT_SINCE: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Outage:
    """Services that failed in the same intervals."""

    first: int
    last: int
    """Intervals, both inclusive."""
    services: tuple[int, ...]
    """Endpoints, ascending."""
    clients: int
    """Distinct remotes that failed in it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive intervals in which one service failed."""

    first: int
    last: int
    """Intervals, both inclusive."""
    place: int
    """The service's place in the tally."""
    service: int
    """Its endpoint."""
    clients: int
    """Most distinct remotes that failed in one of the intervals."""
    held: int
    """The last interval before a client turns to the service again."""

    def until(self, newest: int) -> int:
        """Return the interval up to which the failure lasted; intervals without clients do not end it."""
        return min(self.held, newest)


def dead_services(tally: Tally) -> list[int]:
    """Return the endpoints with which nobody succeeded, though some tried."""
    return [int(key) for key in tally.services[(tally.ok == 0) & (tally.failed > 0)]]


def find_outages(tally: Tally, log: EventLog, stretches: list[Stretch]) -> list[Outage]:
    """Return the outages of a run, by time: services that failed in the same intervals, from their stretches."""
    stretches = sorted(stretches, key=lambda stretch: (stretch.first, stretch.last))
    groups: list[list[Stretch]] = []
    last = -1
    for stretch in stretches:
        if groups and stretch.first <= last:
            groups[-1].append(stretch)
            last = max(last, stretch.last)
        else:
            groups.append([stretch])
            last = stretch.last
    members = {
        (stretch.place, interval): number
        for number, group in enumerate(groups)
        for stretch in group
        for interval in range(stretch.first, stretch.last + 1)
    }
    clients = failed_clients(log, tally.services, members)
    return [
        Outage(
            first=min(stretch.first for stretch in group),
            last=max(stretch.last for stretch in group),
            services=tuple(sorted({stretch.service for stretch in group})),
            clients=clients[number],
        )
        for number, group in enumerate(groups)
    ]


def failing_stretches(tally: Tally, limits: Outages) -> list[Stretch]:
    """Return the stretches of failing intervals of every service that ever failed for enough clients."""
    share = tally.failed_then / np.maximum(tally.ok_then + tally.failed_then, 1)
    suspect = (share >= limits.share) & (tally.failed_then >= limits.clients)
    found: list[Stretch] = []
    for place in np.unique(tally.place[suspect]).tolist():
        if tally.ok[place] == 0:
            continue  # dead
        rows = tally.rows_of(place)
        counted = tally.ok_then[rows] + tally.failed_then[rows] > 0
        tried = [*tally.interval[rows][counted].tolist(), NO_CLIENT_SINCE + 1]
        median = float(np.median(share[rows][counted]))
        wanted = suspect[rows] & (share[rows] >= limits.times_median * median)
        failing, failed = tally.interval[rows][wanted], tally.failed_then[rows][wanted]
        cuts = np.flatnonzero(np.diff(failing) != 1) + 1
        service = int(tally.services[place])
        found += [
            Stretch(
                int(when[0]),
                int(when[-1]),
                place,
                service,
                int(clients.max()),
                held=tried[bisect_right(tried, int(when[-1]))] - 1,
            )
            for when, clients in zip(np.split(failing, cuts), np.split(failed, cuts), strict=True)
            if len(when)
        ]
    return found
