"""The `Order` protocol: which target index is due when, for sender k of N on machine m of M.

An order consists of parts: the blocks of a census, the rounds of a survey. A part is sent, the rings are drained and
late replies are awaited before the next part begins. A sender gets its walk through a part from the order, and the
probes that are due from the walk; it needs to know neither blocks nor rounds. Orders name targets by their index in the
target list of the part, never by address.

Time within a walk is virtual: one packet of one probe takes `units` units at the rate, and the sender decides what the
rate is. A walk counts its progress in ticks; each tick draws at most one target.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from liveness.order.due import Due
from liveness.space.intervals import Intervals

if TYPE_CHECKING:
    from collections.abc import Iterable


class Position(Struct, frozen=True, kw_only=True):
    """Position of a sender: the number of the part (the block of a census), and the tick from which it sends."""

    block: int
    tick: int
    lags: list[int] = field(default_factory=list)
    """Lag of each lane in ticks. Lags change with the rate if the rate is searched for. Empty: as planned."""
    begins: list[int] = field(default_factory=list)
    """Tick at which each lane begins, or resumes after a pause. Empty: each lane begins when its lag is over."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of an order that one sender sends.

    Sender k of N on machine m of M takes every (N x M)-th target.
    """

    sender: int = 0
    senders: int = 1
    machine: int = 0
    machines: int = 1

    @property
    def index(self) -> int:
        """Number of this share. The targets of a machine do not depend on its number of senders."""
        return self.machine + self.machines * self.sender

    @property
    def of(self) -> int:
        """Number of shares into which the order is divided."""
        return self.senders * self.machines


class Part(Protocol):
    """One part of an order, as code outside the order sees it."""

    @property
    def name(self) -> str:
        """Name of the part in records; in a census, the prefix of the block."""

    @property
    def targets(self) -> int:
        """Number of targets that are probed in this part."""

    @property
    def listed(self) -> Intervals:
        """Target list that converts indices to addresses. It may contain targets that are not probed."""


class Walk(Protocol):
    """The walk of one sender through one part."""

    lanes: int
    """Largest number of probes in a tick: probes times attempts."""
    units: int
    """Virtual time that one packet of one probe takes at the rate."""
    reach: int
    """Largest distance of a strip's position behind the newest drawn target, in targets."""

    @property
    def tick(self) -> int:
        """Number of the current tick."""

    @property
    def end(self) -> int:
        """A tick after which the walk has no probe."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to send."""

    @property
    def spacing(self) -> int:
        """Ticks between two probes to one target; 0 if no spacing is required."""

    @property
    def due(self) -> int:
        """Virtual time at which the next probe is due."""

    @property
    def done(self) -> int:
        """Tick before which every probe has been returned."""

    def due_before(self, tick: int) -> int:
        """Return a virtual time by which no probe of `tick` or later is due, but most earlier ones are."""

    def draw(self, due: Due, frames: int, until: int, now_ns: int) -> int:
        """Put at most `frames` probes that are due by the virtual time `until` into `due`; return their number.

        `now_ns` is the time of a monotonic clock, for the record of when each mark was passed.
        """

    def skip(self, due: Due, tick: int) -> bool:
        """Advance towards a tick; put drawn targets, but no probes, into `due`; return whether `tick` is reached.

        False means that `due` is full: the caller takes the drawn targets out of it and calls again.
        """

    def take_rate(self, rate_pps: float) -> bool:
        """Adapt the spacing to another rate of each probe; return False if the caller has to try again later."""

    def position(self) -> Position:
        """Return the position of the walk."""

    def probed(self) -> NDArray[np.int64]:
        """Return the number of targets probed before the current tick, (probes, attempts)."""


class Order(Protocol):
    """Which target index is due when. The same seed and target list give the same order on every machine."""

    @property
    def parts(self) -> Sequence[Part]:
        """Parts in the order in which they are sent."""

    def walk(
        self, part: int, share: Share, rate_pps: float, marks: NDArray[np.int64], start: Position | None = None
    ) -> Walk:
        """Return a walk through a part, before its first tick.

        The walk writes the times at which lanes pass marks to `marks`, (lanes, `marks(part, share)`), 0 where a mark is
        not passed yet. `start` is the position that an earlier session reached in this part: the walk gets its lags,
        and the caller skips the walk to its tick.
        """

    def again(self, place: Position, share: Share) -> Walk:
        """Return a walk that repeats an earlier one at the lags of `place`; the caller skips it to the first tick."""

    def most_targets(self, part: int, share: Share) -> int:
        """Return the largest number of targets of a part that one sender can have."""

    def marks(self, part: int, share: Share) -> int:
        """Return the number of marks that a lane of one sender can pass; the first is at the part's first target."""

    def first_indices(self, count: int) -> NDArray[np.uint32]:
        """Return the first targets of the first part, at most `count`."""

    @property
    def mark_every(self) -> int:
        """Targets between two marks, counted over all senders."""

    def probed_in(self, addresses: Intervals) -> Intervals:
        """Return the part of `addresses` that is probed."""

    def count_in(self, addresses: Intervals) -> int:
        """Return how many of `addresses` are probed, without a list of them in memory."""


def targets_of(parts: "Iterable[Part]") -> int:
    """Return the total number of targets of some parts."""
    return sum(part.targets for part in parts)
