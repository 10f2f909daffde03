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
    heard_until_ns: int,
) -> BlockTruth:
    """Return the truth about a block for probe `number`; replies after `heard_until_ns` may have come too late."""
    shape = BLOCK_ADDRESSES, rounds
    rows, cells = arrivals.rows, (arrivals.index, arrivals.number)
    targets, model_ns = (
        np.ascontiguousarray(rows["target"]),
        clock.model_ns + (rows["time_ns"] - clock.real_ns) * clock.speed,
    )
    answers, events = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    answers_at(tables, targets, number, model_ns, answers)
    events_at(tables, targets, model_ns, events)
    what = answers & WHAT_MASK
    direct = (what == ANSWERED) | (what == BOTH)
    outcome, delay_ns = rows["outcome"], rows["delay_us"].astype(np.int64) * 1000
    said = np.select([what == SILENT, direct], [NO_REPLY, POSITIVE], NEGATIVE)
    both_and_late = (what == BOTH) & (outcome == NEGATIVE)  # the SYN-ACK was lost, the reset after it was not
    contradicts = (outcome != said) & ~((outcome == LOST_PACKET) & (said != NO_REPLY)) & ~both_and_late
    late = delay_ns > interval_ns
    near = abs(delay_ns - interval_ns) < min(100_000_000, interval_ns // 10)
    state = np.select([outcome == POSITIVE, outcome == NEGATIVE], [UP_STATE, DOWN_STATE], QUIET)
    state[late & (state != QUIET)] = LATE_STATE
    arrived = np.zeros(shape, np.uint8)
    np.add.at(arrived, cells, 1)

    def spread(values: NDArray[Any], empty: int, kind: type) -> NDArray[Any]:
        whole: NDArray[Any] = np.full(shape, empty, kind)
        whole[cells] = values
        return whole

    return BlockTruth(
        arrived=arrived,
        positive=spread(direct & ~late, 0, np.bool_),
        expected=spread(state, QUIET, np.uint8),
        open=spread(near | (rows["time_ns"] + delay_ns > heard_until_ns), 0, np.bool_),
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


def behaviour_at(tables: NDArray[np.uint64], slash24: int, now_ns: int) -> tuple[int, float | None]:
    """Return the kind of behaviour of the hosts that a /24 has at a time, and the UTC hour in the middle of theirs.

    The hour is None unless they keep hours.
    """
    at = int(tables[AT_TIME])
    host = int(host_address(tables, at, slash24 << 8, now_ns)) if at else NOBODY
    kind = int(kind_of(tables, host >> 8)) if host != NOBODY else -1
    if kind < 0:
        return t.ALWAYS, None
    site = int(tables[int(tables[AT_KINDS]) + kind * KIND_WORDS + KIND_MIX])
    words = int(behaviour_of(tables, at, host >> 8, site))
    if words == NO_BEHAVIOUR or int(tables[words + t.KIND]) != t.DIURNAL:
        return t.ALWAYS if words == NO_BEHAVIOUR else int(tables[words + t.KIND]), None
    middle_ns = int(tables[words + t.BEGINS]) + int(tables[words + t.LASTS]) // 2 - int(zone_ns(tables, at, host >> 16))
    return t.DIURNAL, middle_ns % t.DAY_NS / t.HOUR_NS
