"""The order of a survey: every address of whole /24s once a round, each at its own time of day, round after round.

Round r of an address is due at ``start + r x interval + slot``. The slot is a pure function of seed and block list (see
`slots.py`), so a survey needs no state to continue after any pause: the clock says what is due.

A shard has a part of the /24s. Each of its slots is one of the whole survey, at the same time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liveness.order.due import DRAWN, STRIPS, Due
from liveness.order.order import Position, Share
from liveness.order.slots import BLOCKS_AT_ONCE, OCTETS, SlotTables, draw_slots
from liveness.space.intervals import Intervals


@dataclass(frozen=True)
class Survey:
    """The only part of the order: all rounds, without a pause between them."""

    listed: Intervals
    name: str = "rounds"

    @property
    def targets(self) -> int:
        """Number of addresses, each of which is probed once a round."""
        return self.listed.count


@dataclass(frozen=True, eq=False)
class Rounds:
    """The order of a survey of /24s (`numbers`: address >> 8, ascending), with all times in ns since 1970."""

    numbers: NDArray[np.uint32]
    tables: SlotTables
    """The permutations of the schedule: see `slots.py`."""
    start_ns: int
    interval_ns: int
    rounds: int
    marks_of_rounds: int
    """Number of attempts that probes can carry: round r is sent as attempt r modulo this number."""
    shard: int = 0
    shards: int = 1
    """Number of machines that share the survey; this one is number `shard`, from 0 on."""
    mark_every: int = 1

    @property
    def probes(self) -> int:
        """Number of probes that every address gets in a round."""
        return self.tables.probes

    @cached_property
    def parts(self) -> Sequence[Survey]:
        """The whole survey as one part."""
        first = self.numbers.astype(np.uint32) << np.uint32(8)
        return (Survey(Intervals.from_bounds(first, first | np.uint32(OCTETS - 1))),)

    @property
    def slots(self) -> int:
        """Number of slots in a round, one for each probe to each address."""
        return OCTETS * self.probes * len(self.numbers)

    @property
    def all_slots(self) -> int:
        """Number of slots in a round of the whole survey: those of all shards."""
        return OCTETS * self.probes * self.tables.listed

    @property
    def end(self) -> int:
        """Number of slots of the whole survey."""
        return self.slots * self.rounds

    @property
    def block_spacing_ns(self) -> float:
        """Time between two probes to one /24."""
        return self.interval_ns / (OCTETS * self.probes)

    @property
    def end_ns(self) -> int:
        """End of the last round."""
        return self.start_ns + self.rounds * self.interval_ns

    def due_ns(self, position: int) -> int:
        """Return when the slot of that number, counted from the start of the survey, is due."""
        number, slot = divmod(position, self.slots)
        place, turn = divmod(slot, len(self.numbers))
        of_all = place * self.tables.listed + self.shard + turn * self.shards
        return self.start_ns + number * self.interval_ns + of_all * self.interval_ns // self.all_slots

    def due_by(self, time_ns: int) -> int:
        """Return how many slots of the survey are due at a time: the inverse of `due_ns`."""
        number, slot = divmod(self._all_due_by(time_ns), self.all_slots)
        place, turn = divmod(slot, self.tables.listed)
        return number * self.slots + place * len(self.numbers) + len(range(self.shard, turn, self.shards))

    def _all_due_by(self, time_ns: int) -> int:
        """Return how many slots of the whole survey are due at a time."""
        since_ns = time_ns - self.start_ns
        if since_ns < 0:
            return 0
        number, within_ns = divmod(since_ns, self.interval_ns)
        due = number * self.all_slots + ((within_ns + 1) * self.all_slots - 1) // self.interval_ns + 1
        return min(self.all_slots * self.rounds, due)

    def slots_between(self, number: int, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Return the first slot of a round, as `address_slots` has it, that is due in a time, and the one after it.

        The time ends before `end_ns`. The two are equal if no slot of the round is due in it.
        """
        base = number * self.all_slots
        first, end = (self._all_due_by(time_ns - 1) - base for time_ns in (start_ns, end_ns))
        return max(0, first), min(self.all_slots, end)

    def round_at(self, time_ns: int) -> int:
        """Return the round in which a time lies; negative before the start."""
        return (time_ns - self.start_ns) // self.interval_ns

    def address_slots(self, probe: int, blocks: slice = slice(None)) -> NDArray[np.int64]:
        """Return the slot of every address of some blocks for one probe, (256 x blocks), addresses ascending.

        They are slots within a round of the whole survey.
        """
        tables = self.tables
        place = tables.places[blocks].astype(np.int64) * self.probes + probe
        return (place * tables.listed + tables.shifts[blocks, None]).ravel()

    def phases_ms(self) -> NDArray[np.uint32]:
        """Return when in a round each address gets its first probe: ms after the round's start."""
        phases = np.empty(OCTETS * len(self.numbers), np.uint32)
        for some in self.some_blocks():
            slots = self.address_slots(0, some)
            phases[OCTETS * some.start : OCTETS * some.stop] = slots * (self.interval_ns / self.all_slots) / 1e6
        return phases

    def some_blocks(self) -> Iterator[slice]:
        """Yield all blocks, a part of them at a time."""
        for first in range(0, len(self.numbers), BLOCKS_AT_ONCE):
            yield slice(first, min(first + BLOCKS_AT_ONCE, len(self.numbers)))

    def walk(
        self, part: int, share: Share, rate_pps: float, marks: NDArray[np.int64], start: Position | None = None
    ) -> "RoundsWalk":
        """Return a walk through the survey, before its first slot. The clock decides where it begins: see `skip_to`."""
        del part, rate_pps, marks, start
        if share.of != 1:
            raise ValueError("a survey has one sender on one machine")
        return RoundsWalk(self)

    def again(self, place: Position, share: Share) -> "RoundsWalk":
        """Return a walk like the first one: slots that have passed are not sent again."""
        return self.walk(place.block, share, 0.0, np.zeros((0, 0), np.int64))

    def most_targets(self, part: int, share: Share) -> int:
        """Return the number of slots of the survey."""
        del part, share
        return self.end

    def marks(self, part: int, share: Share) -> int:
        """Return 1: a survey keeps no record of lags."""
        del part, share
        return 1

    def first_indices(self, count: int) -> NDArray[np.uint32]:
        """Return the first addresses of a round, at most `count`."""
        tables, count = self.tables, min(count, OCTETS * len(self.numbers))
        slot = np.arange(count)
        block = tables.blocks[slot % len(self.numbers)]
        return (block * OCTETS + tables.octets[block, slot // len(self.numbers)]).astype(np.uint32)

    def probed_in(self, addresses: Intervals) -> Intervals:
        """Return the part of `addresses` that is probed."""
        return self.parts[0].listed.intersection(addresses)

    def count_in(self, addresses: Intervals) -> int:
        """Return how many of `addresses` are probed."""
        return self.probed_in(addresses).count


class RoundsWalk:
    """The walk through a survey. A tick is a slot: one probe to one address."""

    lanes = 1
    reach = 0
    spacing = 0

    def __init__(self, order: Rounds) -> None:
        self.units = order.probes  # one packet of one probe takes as many slots as there are probes
        self.tick = 0
        self.end = order.end
        self._order = order

    @property
    def finished(self) -> bool:
        """Whether every slot was drawn or has passed."""
        return self.tick >= self.end

    @property
    def due(self) -> int:
        """Number of the next slot, which is its virtual time."""
        return self.tick

    @property
    def done(self) -> int:
        """Slot before which all were drawn or have passed."""
        return self.tick

    def due_before(self, tick: int) -> int:
        """Return the virtual time of the slot before `tick`."""
        return tick - 1

    def draw(self, due: Due, frames: int, until: int, now_ns: int) -> int:
        """Put at most `frames` probes of slots up to `until`, all of one round, into `due`; return their number."""
        del now_ns
        order = self._order
        number, slot = divmod(self.tick, order.slots)
        count = max(0, min(frames, until + 1 - self.tick, order.slots - slot, self.end - self.tick, len(due.drawn)))
        due.counts[DRAWN] = due.counts[STRIPS] = 0
        if count:
            draw_slots(order.tables, slot, count, self.tick, number % order.marks_of_rounds, due)
            self.tick += count
        return count

    def skip(self, due: Due, tick: int) -> bool:
        """Leave out all slots before `tick`; nothing is drawn."""
        due.counts[DRAWN] = due.counts[STRIPS] = 0
        self.skip_to(tick)
        return True

    def skip_to(self, tick: int) -> int:
        """Leave out all slots before `tick`; return their number."""
        passed = max(0, min(tick, self.end) - self.tick)
        self.tick += passed
        return passed

    def take_rate(self, rate_pps: float) -> bool:
        """Return True: the interval is the rate."""
        del rate_pps
        return True

    def position(self) -> Position:
        """Return the number of the next slot."""
        return Position(block=0, tick=self.tick)

    def probed(self) -> NDArray[np.int64]:
        """Return zeros: the planes record what was sent."""
        return np.zeros((self._order.probes, self._order.marks_of_rounds), np.int64)
