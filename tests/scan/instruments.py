"""Instruments that are not the census, in a few lines each: they show that the engine has room for others."""

import json
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.plan import Plan
from liveness.scan.receive.sink import Conclusion, Parts, Received, Seat, Sink, SinkKind, no_parts
from liveness.space.addresses import format_address


class CountingSink(Sink):
    """Counts accepted replies by target and probe, and keeps them in a file of its own."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._counts: Counter[str] = Counter()

    def batch(self, replies: NDArray[np.void]) -> None:
        names = [probe.name for probe in self._seat.plan.probes]
        pairs = zip(replies["target"].tolist(), replies["probe"].tolist(), strict=True)
        self._counts.update(f"{format_address(target)} {names[probe]}" for target, probe in pairs)

    def take(self, tally: Tally) -> Parts:
        del tally
        path = self._seat.directory.path / f"counts-{self._seat.receiver}.json"
        path.write_text(json.dumps(self._counts))
        return no_parts


class CountingSinks(SinkKind):
    """Replies by target, one file for each receiver, which become one file of the run."""

    def open(self, seat: Seat) -> CountingSink:
        return CountingSink(seat)

    def conclude(self, plan: Plan, directory: RunDirectory, received: Received) -> Conclusion:
        del plan
        counts: Counter[str] = Counter()
        for path in directory.path.glob("counts-*.json"):
            counts.update(json.loads(path.read_text()))
        (directory.path / "counts.json").write_text(json.dumps(counts))
        return Conclusion({"messages": {"counted": {"all": received.tally.packets}}})
