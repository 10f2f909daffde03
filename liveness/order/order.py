"""The `Order` protocol: which target index is due when, for sender k of N on machine m of M.

An order has parts, one after the other: a part is sent, drained and awaited before the next begins (the blocks of a
census, the rounds of a survey). A sender asks for its walk through a part, and the walk for what is due; it knows
neither blocks nor rounds. Orders name targets by their index in the part's target list, never by address.

Time within a walk is virtual. Its unit is such that one packet of one probe takes `units` of them at the rate; who
sends decides what the rate is. Ticks are what a walk counts its progress in: each draws a target at most.
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
    """Where a sender stands: the part's number (a census calls it block), and the tick in it from which on it sends."""

    block: int
    tick: int
    lags: list[int] = field(default_factory=list)
    """Of each lane, in ticks; they change with the rate where that is searched for. Empty: as planned."""
    begins: list[int] = field(default_factory=list)
    """The tick at which each lane begins, or resumes after a pause. Empty: when its lag is over."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of an order that one sender sends: sender k of N on machine m of M takes every (N x M)-th target."""

    sender: int = 0
    senders: int = 1
    machine: int = 0
    machines: int = 1

    @property
    def index(self) -> int:
        """The first target of this share in the order. Each machine's targets are the same however many senders."""
        return self.machine + self.machines * self.sender

    @property
    def of(self) -> int:
        """Into how many shares the order is divided."""
        return self.senders * self.machines


class Part(Protocol):
    """One part of an order, as everybody but the order sees it."""

    @property
    def name(self) -> str:
        """The name in records; a census names the prefix of the block."""

    @property
    def targets(self) -> int:
        """How many targets are probed in this part."""

    @property
    def listed(self) -> Intervals:
        """The target list, which turns indices into addresses; not every target of it needs to be probed."""


class Walk(Protocol):
    """One sender's way through one part."""

    lanes: int
    """How many probes a tick has at most: the attempts of all probes."""
    units: int
    """Virtual time that one packet of one probe takes at the rate."""
    reach: int
    """How many positions before the newest drawn target a strip may name."""

    @property
    def tick(self) -> int:
        """The current tick."""

    @property
    def end(self) -> int:
        """A tick that no probe of this walk comes after."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to send."""

    @property
    def spacing(self) -> int:
        """Ticks between two probes to one target; 0 where nothing has to hold them apart."""

    @property
    def due(self) -> int:
        """Virtual time at which the next probe is due."""

    @property
    def done(self) -> int:
        """The tick before which every probe has been handed out."""

    def due_before(self, tick: int) -> int:
        """Return a virtual time by which nothing of `tick` or of a later one is due, and most before it is."""

    def draw(self, due: Due, frames: int, until: int, now_ns: int) -> int:
        """Hand out what is due by `until`, at most `frames` probes; return how many.

        `now_ns` is the time of a steady clock, for the record of when which target was reached.
        """

    def skip(self, due: Due, tick: int) -> bool:
        """Go on towards a tick, handing out drawn targets and no probe; return whether that is reached.

        False asks for another call, once the targets drawn have been taken.
        """

    def take_rate(self, rate_pps: float) -> bool:
        """Make room for another rate of each probe; return False to be asked again a little later."""

    def position(self) -> Position:
        """Return where the walk stands."""

    def probed(self) -> NDArray[np.int64]:
        """Return how many targets were handed out before the current tick, (probes, attempts)."""


class Order(Protocol):
    """Which target index is due when. The same seed and target list give the same order on every machine."""

    @property
    def parts(self) -> Sequence[Part]:
        """The parts, in the order in which they are sent."""

    def walk(
        self, part: int, share: Share, rate_pps: float, marks: NDArray[np.int64], start: Position | None = None
    ) -> Walk:
        """Return a walk through a part, before its first tick.

        `marks` takes the times at which lanes pass marks, (lanes, `marks(part, share)`), 0 where not yet. `start` is
        where an earlier session stood in this part: the walk has its lags, and is to be skipped to its tick.
        """

    def again(self, place: Position, share: Share) -> Walk:
        """Return a walk through a part as it was walked before, at the lags of `place`; to be skipped to its tick."""

    def most_targets(self, part: int, share: Share) -> int:
        """Return how many targets of a part one sender has at most."""

    def marks(self, part: int, share: Share) -> int:
        """Return how many marks a lane of one sender can pass; the first is passed at the part's first target."""

    def first_indices(self, count: int) -> NDArray[np.uint32]:
        """Return the first targets of the first part, at most `count`."""

    @property
    def mark_every(self) -> int:
        """Targets between two marks, of all senders together."""

    def probed_in(self, addresses: Intervals) -> Intervals:
        """Return which of some addresses are probed."""

    def count_in(self, addresses: Intervals) -> int:
        """Return how many of some addresses are probed, without a list of them."""


def targets_of(parts: "Iterable[Part]") -> int:
    """Return how many targets some parts have, all together."""
    return sum(part.targets for part in parts)
