"""Services that fail now: what has changed from one look at the results of a run to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from liveness.passive.outages import Stretch


@dataclass(frozen=True, slots=True)
class Changes:
    """Stretches of failing intervals that began since the last look, and those that ended."""

    began: list[Stretch]
    ended: list[Stretch]

    def __bool__(self) -> bool:
        return bool(self.began or self.ended)


@dataclass(slots=True)
class FailingServices:
    """The services that fail in the newest interval with results. Each failure begins once and ends once."""

    now: dict[int, Stretch] = field(default_factory=dict)
    """By endpoint."""
    newest: int = -(1 << 62)
    """The newest interval that was looked at."""
    resumed: bool = False
    """Whether an earlier process has reported earlier events: the first look then reports only current failures."""

    def update(self, stretches: Sequence[Stretch], newest: int) -> Changes:
        """Take the stretches up to the newest interval with results; return what has changed.

        A service may have failed and recovered since the last look: both are returned. Stretches that ended before it
        are passed over, also where a service's median has changed what counts as failing in the past. A failure lasts
        through intervals without a client.
        """
        if newest <= self.newest:
            return Changes([], [])
        recent: dict[int, list[Stretch]] = {}
        least = newest if self.resumed else self.newest + 1
        self.resumed = False
        for stretch in _joined(stretches):
            if stretch.until(newest) >= least:
                recent.setdefault(stretch.service, []).append(stretch)
        changes = Changes([], [stretch for key, stretch in self.now.items() if key not in recent])
        for key, found in recent.items():
            before = self.now.get(key)
            for place, stretch in enumerate(found):
                # only the first one can be the one that is known already: it continues where the last look ended
                if place or before is None or stretch.first > self.newest + 1:
                    changes.began.append(stretch)
                if stretch.until(newest) < newest:
                    changes.ended.append(stretch)
            if before is not None and found[0].first > self.newest + 1:
                changes.ended.append(before)
        self.now = {key: found[-1] for key, found in recent.items() if found[-1].until(newest) == newest}
        self.newest = newest
        return changes


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return the stretches by service and time, those joined between which no client tried."""
    found: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda each: (each.service, each.first)):
        before = found[-1] if found else None
        if before is not None and before.service == stretch.service and before.held + 1 == stretch.first:
            clients = max(before.clients, stretch.clients)
            found[-1] = replace(stretch, first=before.first, clients=clients)
        else:
            found.append(stretch)
    return found
