"""The watch on outages of a running survey: it judges each round soon after its last probe."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.live import BLOCK_BYTES, POSITIVE, SENT
from liveness.replies import CONTROL
from liveness.space.addresses import format_address
from liveness.survey.beliefs import CAME_BACK, WENT_DOWN, Beliefs
from liveness.survey.config import SurveyNotify
from liveness.survey.recorder import RoundRecorder

WAIT_NS: Final = 15_000_000_000
"""Time after a round for which replies are awaited before it is judged, at most an interval: few come later."""
CALM_NS: Final = 2_000_000_000
"""Time after a break of this host's own path before a round is judged: probes that it lost are known by then."""


@dataclass(frozen=True, slots=True)
class OutageChange:
    """A /24 that went down or came back in a round. Times are the starts of rounds, UTC."""

    block: str
    start: str
    """First round in which no address answered."""
    end: str | None
    """Round in which the first address answered again, None while the /24 is down."""
    ever: int
    """Addresses that have answered in this survey."""


@dataclass(frozen=True, slots=True)
class RoundOutages:
    """What a round has changed, in the order of addresses, and how many /24s were judged and are down now."""

    number: int
    went_down: list[OutageChange]
    came_back: list[OutageChange]
    judged: int
    down: int


@dataclass(slots=True)
class OutageWatch:
    """The watch of one session. Rounds of earlier sessions are judged again, from the stored ones, and not reported."""

    recorder: RoundRecorder
    chosen: NDArray[np.intp]
    """Indices of the /24s that are watched, ascending."""
    learning: int
    """Rounds of a /24 from which its availability is learned before it is judged."""
    reported_from: int = 0
    """First round whose changes are reported."""
    beliefs: Beliefs = field(init=False)
    next: int = field(default=0, init=False)
    """The next round to judge."""
    _calm_ns: int = field(default=0, init=False)
    """Time before which nothing is judged."""

    def __post_init__(self) -> None:
        """Begin with nothing known."""
        self.beliefs = Beliefs(len(self.chosen), self.learning)

    @classmethod
    def of(cls, recorder: RoundRecorder, notify: SurveyNotify, now_ns: int) -> "OutageWatch":
        """Return the watch of a session that begins now, on the /24s that `notify` chooses."""
        order = recorder.order
        watched = notify.watched_of(order.numbers)
        learning = max(1, -(-notify.learn.us * 1_000 // order.interval_ns))
        begun = order.round_at(now_ns) if order.start_ns else 0
        return cls(recorder, np.flatnonzero(watched), learning, reported_from=max(0, begun))

    def look(self, now_ns: int, *, paused: bool) -> RoundOutages | None:
        """Judge the next round if that is due, and return what it has changed; None if nothing was judged.

        With `paused`, this host's own path is broken: then nothing is judged until its losses are known.
        """
        if paused:
            self._calm_ns = now_ns + CALM_NS
        order = self.recorder.order
        over = order.round_at(now_ns - min(WAIT_NS, order.interval_ns)) if order.start_ns else 0
        if self.next >= min(over, order.rounds) or now_ns < self._calm_ns:
            return None
        number, self.next = self.next, self.next + 1
        try:
            planes = self.recorder.planes_of(number)
        except ValueError:  # the session was suspended for longer than the live planes reach
            return None
        changes, silent_from = self.beliefs.take(number, *self._united(planes), self._hour(number))
        found = RoundOutages(
            number,
            self._changes(changes == WENT_DOWN, silent_from, None),
            self._changes(changes == CAME_BACK, silent_from, number),
            self.beliefs.judged,
            self.beliefs.down,
        )
        return found if number >= self.reported_from else None

    def _united(self, planes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the planes of the watched /24s: sent and positive by any probe but the control."""
        places = [place for place, name in enumerate(self.recorder.probes) if name != CONTROL]
        by_block = planes.reshape(*planes.shape[:2], -1, BLOCK_BYTES)
        sent, positive = (
            np.bitwise_or.reduce(by_block[places, plane][:, self.chosen], axis=0) for plane in (SENT, POSITIVE)
        )
        return sent.ravel(), positive.ravel()

    def _hour(self, number: int) -> int:
        """Return the hour of the day (UTC) in the middle of a round."""
        order = self.recorder.order
        middle_ns = order.start_ns + number * order.interval_ns + order.interval_ns // 2
        return datetime.fromtimestamp(middle_ns / 1e9, UTC).hour

    def _changes(
        self, chosen: NDArray[np.bool_], silent_from: NDArray[np.int64], end: int | None
    ) -> list[OutageChange]:
        numbers = self.recorder.order.numbers[self.chosen]
        return [
            OutageChange(
                f"{format_address(int(numbers[index]) * BLOCK_ADDRESSES)}/24",
                self._time(int(silent_from[index])),
                None if end is None else self._time(end),
                int(self.beliefs.states.ever[index].sum()),
            )
            for index in np.flatnonzero(chosen).tolist()
        ]

    def _time(self, number: int) -> str:
        return utc(self.recorder.order.start_ns + number * self.recorder.order.interval_ns)
