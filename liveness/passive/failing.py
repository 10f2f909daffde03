"""Services that fail now: what has changed from one look at the results of a run to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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

    def update(self, stretches: Sequence[Stretch], newest: int) -> Changes:
        """Take the stretches up to the newest interval with results; return what has changed.

        A service may have failed and recovered since the last look: both are returned. Stretches that ended before it
        are passed over, also where a service's median has changed what counts as failing in the past.
        """
        if newest <= self.newest:
            return Changes([], [])
        recent: dict[int, list[Stretch]] = {}
        for stretch in sorted(stretches, key=lambda each: (each.service, each.first)):
            if stretch.last > self.newest:
                recent.setdefault(stretch.service, []).append(stretch)
        changes = Changes([], [stretch for key, stretch in self.now.items() if key not in recent])
        for key, found in recent.items():
            before = self.now.get(key)
            for place, stretch in enumerate(found):
                # only the first one can be the one that is known already: it goes on where that one ended
                if place or before is None or stretch.first > before.last + 1:
                    changes.began.append(stretch)
                if stretch.last < newest:
                    changes.ended.append(stretch)
            if before is not None and found[0].first > before.last + 1:
                changes.ended.append(before)
        self.now = {key: found[-1] for key, found in recent.items() if found[-1].last == newest}
        self.newest = newest
        return changes
