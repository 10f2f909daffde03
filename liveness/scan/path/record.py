"""Record of the path to the targets: its state at the start and its changes, as the manifest keeps them."""

import time
from dataclasses import dataclass, field
from typing import Final

from liveness.clock import utc
from liveness.net.path.path import Path
from liveness.runs.course import PathEvent

MOST_EVENTS: Final = 1_000
"""Events that are recorded. Later ones are only counted, so that a flapping link does not fill the manifest."""


@dataclass(slots=True)
class PathRecord:
    """Path events of one session, which began at `started_s` of the monotonic clock."""

    started_s: float
    events: list[PathEvent] = field(default_factory=list)
    unrecorded: int = 0

    def add(self, what: str, detail: str, action: str, targets: int | None = None) -> None:
        """Record an event that has just happened."""
        if len(self.events) >= MOST_EVENTS:
            self.unrecorded += 1
            return
        after_s = round(max(0.0, time.monotonic() - self.started_s), 3)
        self.events.append(
            PathEvent(at=utc(time.time_ns()), after_s=after_s, what=what, detail=detail, action=action, targets=targets)
        )

    def begin(self, path: Path) -> None:
        """Record the path as it is at the start."""
        hops = ", ".join(f"{hop.name} ({hop.mac.hex(':')})" for hop in path.hops)
        self.add("route", f"{path.interface} by {hops}", "noted", sum(hop.targets.count for hop in path.hops))
        if len(path.near):
            silent = path.neighbours.unresolved.count
            found = f"{len(path.neighbours):,} targets on the link answer ARP, {silent:,} do not and are not probed"
            self.add("neighbour", found, "left-out" if silent else "noted", silent)
        for part in path.left_out:
            self.add("route", str(part), "left-out", part.targets.count)
        for note in path.notes:
            self.add("source" if "source" in note else "route", note, "noted")
