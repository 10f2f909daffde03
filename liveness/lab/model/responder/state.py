"""The memory of the model Internet for its kernels: settings as numbers, and all state that changes."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.change.section import TimeSection
from liveness.lab.model.origin.hidden import EVERYWHERE
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.responder.conditions import Conditions
from liveness.lab.model.responder.draws import threshold
from liveness.lab.model.responder.verdict import Verdict
from liveness.mixing import GOLDEN_GAMMA

SLOT_BYTES: Final = 1536
"""Bytes of a slot, enough for the longest Ethernet frame."""
SLOTS: Final = 1 << 17
"""Replies that may wait at the same time; the kernel does not allocate memory of slots that are never used."""
WHEEL: Final = 1 << 14
TICK_SHIFT: Final = 20
"""The delay queue has WHEEL places of 2**TICK_SHIFT ns each: 17 s in steps of a millisecond."""
LONG_WHEEL: Final = 1 << 22
"""Its places where replies may be late by more: 73 minutes."""
ROUTERS: Final = 1 << 18
WAKING: Final = 1 << 20
"""Places of the table of when addresses were probed last, for hosts that wake up."""
LOGGED: Final = 1 << 17
"""Capacity of the log of probes between two visits of the process that writes it to disk."""
LOSSES: Final = 1 << 16
"""Capacity for the losses of one block; a block of the ring holds fewer packets than a third of this."""
NO_SLOT: Final = -1

# settings, by index; probabilities are thresholds of `draws.chance`
LOSS, BURST_LOSS, BURST_SHARE, BURST_GOOD_NS, BURST_BAD_NS, PATH_SHIFT = 0, 1, 2, 3, 4, 5
JITTER_NS, SLOW, SLOW_NS, REORDERED, REORDERED_NS, DUPLICATE, NOISE = 6, 7, 8, 9, 10, 11, 12
LIMIT_NS, LIMIT_BURST_NS, LINK_NS, LINK_QUEUE_NS, SEED = 13, 14, 15, 16, 17
PLACE, RUN = 18, 19  # of the scanner, and which of its runs this is; the process sets the latter
SETTINGS: Final = 20

# numbers that change, by index
FREE, WAITING, TICK, LINK_BUSY_NS, LOST_COUNT, REPLIES, DUPLICATED, NOISY = 0, 1, 2, 3, 4, 5, 6, 7
LOG_COUNT, UNLOGGED = 8, 9
SLOWEST_TICKS: Final = 10  # how much after its time a reply was sent at most, in ticks of the delay queue
NUMBERS: Final = 11

# what became of a probe, in the log
NO_REPLY, POSITIVE, NEGATIVE, LOST_PACKET = 0, 1, 2, 3
LOG_FIELDS: Final = np.dtype(
    [("time_ns", "<i8"), ("target", "<u4"), ("delay_us", "<u4"), ("probe", "u1"), ("outcome", "u1")]
)
"""A row of the log: when a probe arrived, its target, how long the reply took, the probe's number, the outcome."""

# the clock of the model, by index
REAL_NS, MODEL_NS, SPEED = 0, 1, 2

# causes of loss; an event is probe << 4 | cause, or | kind of the reply that was sent
BY_LINK, BY_PROBE, BY_REPLY, BY_LIMIT, BY_QUEUE, BY_REQUEST = 0, 1, 2, 3, 4, 5
CAUSES: Final = ("link", "probe", "reply", "icmp-limit", "queue", "request")
UNRECORDED: Final = 0xFF
"""The event of noise and of duplicates, which are not recorded."""


class Model(NamedTuple):
    """State of a responder. Times are nanoseconds since the epoch, addresses in host order."""

    population: NDArray[Any]
    settings: NDArray[np.int64]
    numbers: NDArray[np.int64]
    stream: NDArray[np.uint64]
    latency_ns: NDArray[np.int64]
    frames: NDArray[np.uint8]  # flat: slot i begins at i * SLOT_BYTES
    lengths: NDArray[np.int64]
    targets: NDArray[np.uint32]  # the target of the reply in a slot
    events: NDArray[np.uint8]
    links: NDArray[np.int32]  # the next slot in the same list
    free: NDArray[np.int32]  # a stack of unused slots
    heads: NDArray[np.int32]  # the lists of the wheel, one per tick
    tails: NDArray[np.int32]
    path_until_ns: NDArray[np.int64]  # (2, paths): to the targets, back
    path_bad: NDArray[np.uint8]
    routers: NDArray[np.uint32]
    router_busy_ns: NDArray[np.int64]
    verdicts: NDArray[np.int64]  # (Verdict,)
    lost: NDArray[np.int64]  # (probes, CAUSES): lost packets that would have been answered
    lost_targets: NDArray[np.uint32]
    lost_events: NDArray[np.uint8]
    row: NDArray[np.int64]
    clock: NDArray[np.int64]  # the model's time MODEL_NS when it is REAL_NS here; SPEED seconds pass in one second
    probed: NDArray[np.uint32]  # the addresses in the table of last probes, and when these were, in the model's time
    probed_ns: NDArray[np.int64]
    log_ns: NDArray[np.int64]  # the log of probes; empty if nothing changes with time
    log_targets: NDArray[np.uint32]
    log_delays_us: NDArray[np.uint32]
    log_probes: NDArray[np.uint8]
    log_outcomes: NDArray[np.uint8]


def make_model(
    population: NDArray[Any],
    seed: int,
    conditions: Conditions,
    time: TimeSection | None = None,
    now_ns: int = 0,
    place: int = EVERYWHERE,
) -> Model:
    """Return a model of this population (its tables) under these conditions, with an empty queue.

    `time` says what changes with time; the model's clock starts at `now_ns`. Such a model keeps a log of all probes.
    `place` is the number of the vantage point whose probes it answers.
    """
    bursts = conditions.bursts
    numbers = np.zeros(NUMBERS, np.int64)
    numbers[FREE] = SLOTS
    routers = ROUTERS if conditions.icmp_limit is not None else 1
    paths = 1 << bursts.path_prefix if bursts.share else 1
    late = time is not None and (time.late is not None or time.slow_first is not None)
    places = LONG_WHEEL if late else WHEEL
    waking = WAKING if time is not None and time.slow_first is not None else 1
    logged = LOGGED if time is not None else 0
    return Model(
        population=population,
        settings=_settings(conditions, seed, place),
        numbers=numbers,
        stream=np.array([(seed ^ (place + 1) * GOLDEN_GAMMA) & 0xFFFFFFFFFFFFFFFF], np.uint64),
        latency_ns=conditions.latency_quantiles_ns(),
        frames=np.zeros(SLOTS * SLOT_BYTES, np.uint8),
        lengths=np.zeros(SLOTS, np.int64),
        targets=np.zeros(SLOTS, np.uint32),
        events=np.zeros(SLOTS, np.uint8),
        links=np.full(SLOTS, NO_SLOT, np.int32),
        free=np.arange(SLOTS - 1, -1, -1, dtype=np.int32),
        heads=np.full(places, NO_SLOT, np.int32),
        tails=np.full(places, NO_SLOT, np.int32),
        path_until_ns=np.zeros((2, paths), np.int64),
        path_bad=np.zeros((2, paths), np.uint8),
        routers=np.zeros(routers, np.uint32),
        router_busy_ns=np.zeros(routers, np.int64),
        verdicts=np.zeros(len(Verdict), np.int64),
        lost=np.zeros((len(PROBES), len(CAUSES)), np.int64),
        lost_targets=np.zeros(LOSSES, np.uint32),
        lost_events=np.zeros(LOSSES, np.uint8),
        row=np.zeros(8, np.int64),
        clock=np.array((now_ns, now_ns if time is None else time.starts_ns, 1 if time is None else time.speed)),
        probed=np.zeros(waking, np.uint32),
        probed_ns=np.zeros(waking, np.int64),
        log_ns=np.zeros(logged, np.int64),
        log_targets=np.zeros(logged, np.uint32),
        log_delays_us=np.zeros(logged, np.uint32),
        log_probes=np.zeros(logged, np.uint8),
        log_outcomes=np.zeros(logged, np.uint8),
    )


def _settings(conditions: Conditions, seed: int, place: int) -> NDArray[np.int64]:
    latency, bursts, limit, link = conditions.latency, conditions.bursts, conditions.icmp_limit, conditions.link
    settings = np.zeros(SETTINGS, np.int64)
    settings[LOSS] = threshold(conditions.loss)
    bad_ns = max(1, bursts.mean.us * 1000)
    settings[BURST_SHARE] = threshold(bursts.share)
    settings[BURST_LOSS] = threshold(bursts.loss)
    settings[BURST_BAD_NS] = bad_ns
    settings[BURST_GOOD_NS] = max(1, int(bad_ns * (1 - bursts.share) / bursts.share)) if bursts.share else 1
    settings[PATH_SHIFT] = 32 - bursts.path_prefix
    settings[JITTER_NS] = latency.jitter.us * 1000
    settings[SLOW] = threshold(latency.slow)
    settings[SLOW_NS] = latency.slow_up_to.us * 1000
    settings[REORDERED] = threshold(conditions.reordered)
    settings[REORDERED_NS] = conditions.reordered_by.us * 1000
    settings[DUPLICATE] = threshold(conditions.duplicates)
    settings[NOISE] = threshold(conditions.noise)
    if limit is not None:
        settings[LIMIT_NS] = 1_000_000_000 // limit.rate_pps
        settings[LIMIT_BURST_NS] = settings[LIMIT_NS] * limit.burst
    if link is not None:
        settings[LINK_NS] = 1_000_000_000 // link.rate_pps
        settings[LINK_QUEUE_NS] = settings[LINK_NS] * link.queue
    settings[SEED] = seed & 0x7FFFFFFFFFFFFFFF
    settings[PLACE] = place
    return settings
