"""Instruments that are not the census, in a few lines each: they show that the engine has room for others."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveness.order.due import DRAWN, FROM, STRIPS, Due
from liveness.order.order import Position, Share
from liveness.order.permutation import Permutation
from liveness.order.ticks import MAX_TICKS
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.plan import Plan
from liveness.scan.receive.sink import Conclusion, Parts, Received, Sink, SinkContext, SinkKind, no_parts
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals


class CountingSink(Sink):
    """Counts accepted replies by target and probe, and keeps them in a file of its own."""

    def __init__(self, context: SinkContext) -> None:
        self._seat = context
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

    def open(self, context: SinkContext) -> CountingSink:
        return CountingSink(context)

    def conclude(self, plan: Plan, directory: RunDirectory, received: Received) -> Conclusion:
        del plan
        counts: Counter[str] = Counter()
        for path in directory.path.glob("counts-*.json"):
            counts.update(json.loads(path.read_text()))
        (directory.path / "counts.json").write_text(json.dumps(counts))
        return Conclusion({"messages": {"counted": {"all": received.tally.packets}}})


@dataclass(frozen=True)
class Round:
    """One round of a survey: every target once more."""

    name: str
    listed: Intervals

    @property
    def targets(self) -> int:
        return self.listed.count


class RoundWalk:
    """One sender's share of a round: each tick draws a target and probes it with everything at once."""

    reach = spacing = 0

    def __init__(self, number: int, indices: NDArray[np.uint32], probes: int, marks: NDArray[np.int64]) -> None:
        self.lanes = self.units = probes
        self.tick = 0
        self.end = len(indices)
        self._number = number
        self._indices = indices
        self._marks = marks

    @property
    def finished(self) -> bool:
        return self.tick == self.end

    @property
    def due(self) -> int:
        return self.tick * self.units

    @property
    def done(self) -> int:
        return self.tick

    def due_before(self, tick: int) -> int:
        return tick * self.units - 1

    def draw(self, due: Due, frames: int, until: int, now_ns: int) -> int:
        in_time = (until - self.due) // self.units + 1
        ticks = max(0, min(frames // self.lanes, in_time, self.end - self.tick, len(due.drawn), MAX_TICKS))
        self._hand_out(due, ticks)
        due.counts[STRIPS] = self.lanes if ticks else 0
        for probe in range(self.lanes):
            due.strips[probe] = self.tick, ticks, self.lanes, probe, 0
        if ticks and self.tick == 0:
            self._marks[:, 0] = now_ns
        self.tick += ticks
        return ticks * self.lanes

    def skip(self, due: Due, tick: int) -> bool:
        ticks = max(0, min(tick - self.tick, self.end - self.tick, len(due.drawn)))
        self._hand_out(due, ticks)
        due.counts[STRIPS] = 0
        self.tick += ticks
        return self.tick >= min(tick, self.end)

    def _hand_out(self, due: Due, ticks: int) -> None:
        due.counts[FROM], due.counts[DRAWN] = self.tick, ticks
        due.drawn[:ticks] = self._indices[self.tick : self.tick + ticks]

    def take_rate(self, rate_pps: float) -> bool:
        return rate_pps > 0

    def position(self) -> Position:
        return Position(block=self._number, tick=self.tick, lags=[0] * self.lanes, begins=[0] * self.lanes)

    def probed(self) -> NDArray[np.int64]:
        return np.full((self.lanes, 1), self.tick)


@dataclass(frozen=True)
class Rounds:
    """A survey in small: so many rounds over a list, each in an order of its own, one attempt each."""

    parts: Sequence[Round]
    probes: int
    seed: int
    mark_every: int = 1

    def _walk(self, part: int, share: Share, marks: NDArray[np.int64]) -> RoundWalk:
        permutation = Permutation.of_block(self.parts[part].targets, self.seed, self.parts[part].name)
        return RoundWalk(part, permutation.shard(share.index, share.of).indices(), self.probes, marks)

    def walk(
        self, part: int, share: Share, rate_pps: float, marks: NDArray[np.int64], start: Position | None = None
    ) -> RoundWalk:
        del rate_pps, start
        return self._walk(part, share, marks)

    def again(self, place: Position, share: Share) -> RoundWalk:
        return self._walk(place.block, share, np.zeros((self.probes, 1), np.int64))

    def most_targets(self, part: int, share: Share) -> int:
        return -(-self.parts[part].targets // share.of)

    def marks(self, part: int, share: Share) -> int:
        del part, share
        return 1

    def first_indices(self, count: int) -> NDArray[np.uint32]:
        return self._walk(0, Share(), np.zeros((self.probes, 1), np.int64))._indices[:count]

    def probed_in(self, addresses: Intervals) -> Intervals:
        return self.parts[0].listed.intersection(addresses)

    def count_in(self, addresses: Intervals) -> int:
        return len(self.parts) * self.probed_in(addresses).count


def rounds(count: int) -> Callable[[Plan], Rounds]:
    """Return what makes the order of a plan one of so many rounds."""

    def make(plan: Plan) -> Rounds:
        parts = tuple(Round(f"round {number}", plan.intervals) for number in range(count))
        return Rounds(parts, len(plan.probes), plan.config.seed)

    return make
