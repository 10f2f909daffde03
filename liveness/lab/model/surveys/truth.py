"""The truth about one block of a survey, from the model's functions at the times at which its probes arrived."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.change import layout as t
from liveness.lab.model.change.answers import answers_at
from liveness.lab.model.change.clock import ModelClock
from liveness.lab.model.change.hosts import NO_BEHAVIOUR, behaviour_of, zone_ns
from liveness.lab.model.change.networks import NOBODY, UP, host_address, network_state
from liveness.lab.model.origin.view import View
from liveness.lab.model.population.answer import (
    ANSWERED,
    AT_KINDS,
    AT_TIME,
    BOTH,
    KIND_MIX,
    KIND_WORDS,
    SILENT,
    WHAT_MASK,
    kind_of,
)
from liveness.lab.model.responder.state import LOST_PACKET, NEGATIVE, NO_REPLY, POSITIVE
from liveness.lab.model.surveys.arrivals import Arrivals
from liveness.lab.model.surveys.listening import Listening
from liveness.planes.blocks import BLOCK_ADDRESSES

NONE_YET: Final = -1
QUIET, UP_STATE, DOWN_STATE, LATE_STATE = range(4)
"""What a round of an address has to be in the planes: silent, positive, negative, late."""


@dataclass(frozen=True, slots=True)
class BlockTruth:
    """The truth about one block, by address and round: (256, rounds) each."""

    arrived: NDArray[np.uint8]
    """How many probes arrived."""
    positive: NDArray[np.bool_]
    """Whether the address itself replies positively and in time, if nothing is lost."""
    expected: NDArray[np.uint8]
    """What the planes have to say: the reply that was delivered."""
    open: NDArray[np.bool_]
    """Whether silence, or a reply in time instead of a late one and the reverse, is right too."""
    lost: NDArray[np.bool_]
    """Whether a probe that would have been answered positively, or its reply, was lost."""
    event: NDArray[np.bool_]
    """Whether the network did not answer as usual: an outage, a move, a firewall."""
    model_ns: NDArray[np.int64]
    """The model's time at the arrival, -1 without one."""
    contradictions: int
    """Probes to which the far end replied otherwise than the model says: a fault of the lab."""


def truth_of_block(
    tables: NDArray[np.uint64],
    number: int,
    clock: ModelClock,
    arrivals: Arrivals,
    rounds: int,
    interval_ns: int,
    listening: Listening,
    slowest_ns: int,
    view: View | None = None,
) -> BlockTruth:
    """Return the truth about a block for probe `number`. Late replies that nobody could receive are open to be missed.

    The far end sent replies up to `slowest_ns` after their time: near the interval, that decides which are late. `view`
    is the place from which the survey was sent, where not all see the same.
    """
    shape = BLOCK_ADDRESSES, rounds
    rows, cells = arrivals.rows, (arrivals.index, arrivals.number)
    targets, model_ns = (
        np.ascontiguousarray(rows["target"]),
        clock.model_ns + (rows["time_ns"] - clock.real_ns) * clock.speed,
    )
    answers, events = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    answers_at(tables, targets, number, model_ns, answers)
    if view is not None:
        answers[view.hidden(tables, targets, number)] = SILENT
    events_at(tables, targets, model_ns, events)
    what = answers & WHAT_MASK
    direct = (what == ANSWERED) | (what == BOTH)
    outcome, delay_ns = rows["outcome"], rows["delay_us"].astype(np.int64) * 1000
    said = np.select([what == SILENT, direct], [NO_REPLY, POSITIVE], NEGATIVE)
    both_and_late = (what == BOTH) & (outcome == NEGATIVE)  # the SYN-ACK was lost, the reset after it was not
    contradicts = (outcome != said) & ~((outcome == LOST_PACKET) & (said != NO_REPLY)) & ~both_and_late
    late = delay_ns > interval_ns
    near = abs(delay_ns - interval_ns) < min(100_000_000, interval_ns // 10) + slowest_ns
    state = np.select([outcome == POSITIVE, outcome == NEGATIVE], [UP_STATE, DOWN_STATE], QUIET)
    state[late & (state != QUIET)] = LATE_STATE
    places = arrivals.index * rounds + arrivals.number
    arrived = np.minimum(np.bincount(places, minlength=BLOCK_ADDRESSES * rounds), 255).astype(np.uint8).reshape(shape)

    def spread(values: NDArray[Any], empty: int, kind: type) -> NDArray[Any]:
        whole: NDArray[Any] = np.full(shape, empty, kind)
        whole[cells] = values
        return whole

    return BlockTruth(
        arrived=arrived,
        positive=spread(direct & ~late, 0, np.bool_),
        expected=spread(state, QUIET, np.uint8),
        open=spread(near | (late & ~listening.heard(rows["time_ns"], rows["time_ns"] + delay_ns)), 0, np.bool_),
        lost=spread(direct & (outcome != POSITIVE), 0, np.bool_),
        event=spread(events, 0, np.bool_),
        model_ns=spread(model_ns, NONE_YET, np.int64),
        contradictions=int(contradicts.sum()),
    )


@kernel
def events_at(
    tables: NDArray[np.uint64], addresses: NDArray[np.uint32], times_ns: NDArray[np.int64], out: NDArray[np.bool_]
) -> None:
    """Write whether the network of each address does not answer as usual at each time of the model."""
    at = int64(tables[AT_TIME])
    for index in range(len(addresses)):
        address, now_ns = int64(addresses[index]), int64(times_ns[index])
        out[index] = at != 0 and (
            network_state(tables, at, address, now_ns) != UP or host_address(tables, at, address, now_ns) == NOBODY
        )


@dataclass(frozen=True, slots=True)
class Habit:
    """How the hosts of a /24 behave; the times are those of hosts that keep hours, local ones of a zone."""

    kind: int = t.ALWAYS
    begins_ns: int = 0
    lasts_ns: int = 0
    zone_ns: int = 0
    day_bits: int = 0
    """The weekdays on which they are up; bit 0 is Monday."""
    renews_ns: int = 0
    """The time after which the hosts of a pool change, or sessions begin and end; 0 for others."""

    @property
    def diurnal(self) -> bool:
        """Whether the hosts keep hours."""
        return self.kind == t.DIURNAL

    @property
    def peak_hour_utc(self) -> float | None:
        """The hour in the middle of theirs, None unless they keep hours."""
        middle_ns = self.begins_ns + self.lasts_ns // 2 - self.zone_ns
        return middle_ns % t.DAY_NS / t.HOUR_NS if self.diurnal else None

    def is_off(self, model_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return at which times of the model the hosts would be up on other days of the week, and are not."""
        local_ns = model_ns + self.zone_ns
        off = np.zeros(model_ns.shape, np.bool_)
        if self.diurnal:
            for day in (local_ns // t.DAY_NS - 1, local_ns // t.DAY_NS):
                since_ns = local_ns - day * t.DAY_NS - self.begins_ns
                off |= (since_ns >= 0) & (since_ns < self.lasts_ns) & (self.day_bits >> (day + 3) % 7 & 1 == 0)
        return off


def habit_of(tables: NDArray[np.uint64], slash24: int, now_ns: int) -> Habit:
    """Return how the hosts behave that a /24 (address >> 8) has at a time of the model."""
    at = int(tables[AT_TIME])
    host = int(host_address(tables, at, slash24 << 8, now_ns)) if at else NOBODY
    kind = int(kind_of(tables, host >> 8)) if host != NOBODY else -1
    if kind < 0:
        return Habit()
    site = int(tables[int(tables[AT_KINDS]) + kind * KIND_WORDS + KIND_MIX])
    words = int(behaviour_of(tables, at, host >> 8, site))
    if words == NO_BEHAVIOUR:
        return Habit()
    behaviour = int(tables[words + t.KIND])
    if behaviour != t.DIURNAL:
        place = {t.POOL: t.LEASE, t.SESSIONS: t.SLOT}.get(behaviour)
        return Habit(behaviour, renews_ns=0 if place is None else int(tables[words + place]))
    begins_ns, lasts_ns, day_bits = (int(tables[words + one]) for one in (t.BEGINS, t.LASTS, t.DAY_BITS))
    return Habit(t.DIURNAL, begins_ns, lasts_ns, int(zone_ns(tables, at, host >> 16)), day_bits)
