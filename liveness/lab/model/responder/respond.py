"""The responder's kernels: frames are inspected and answered, and replies that are due leave the delay queue."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64, unowned
from liveness.lab.model.change.answers import answer_at, late_by_ns, wakes_in_ns
from liveness.lab.model.change.clock import model_time_ns
from liveness.lab.model.origin.hidden import is_hidden
from liveness.lab.model.population.answer import (
    ANSWERED,
    BOTH,
    FROM_ROUTER,
    SILENT,
    WHAT_MASK,
    router_of,
)
from liveness.lab.model.responder import state as s
from liveness.lab.model.responder.bytes import copy
from liveness.lab.model.responder.draws import chance
from liveness.lab.model.responder.inspection import NUMBER, TARGET, inspect
from liveness.lab.model.responder.paths import is_limited, is_lost, link_delay_ns
from liveness.lab.model.responder.queue import give_back, next_due
from liveness.lab.model.responder.sending import (
    ANSWER_KIND,
    CLOSED_KIND,
    ECHO_REPLY_KIND,
    RST_KIND,
    SYN_ACK_KIND,
    kind_of,
    latency_ns,
    lose,
    send,
    send_noise,
)
from liveness.lab.model.responder.state import Model
from liveness.lab.model.responder.talk import converse
from liveness.lab.model.responder.verdict import Verdict
from liveness.mixing import mix64
from liveness.packets.block import (
    capture_time_ns,
    captured_length,
    first_packet,
    frame_start,
    next_packet,
    packet_count,
    wire_length,
)

_PROBE: Final = int(Verdict.PROBE)
_TALK: Final = int(Verdict.TALK)
_TALKED: Final = 1 << 25
"""A bit of an answer: it is that to the SYN whose connection is talked on."""
NO_PROBE: Final = -1
_RESET_AFTER_NS: Final = 1_000_000
_LONGEST_US: Final = 0xFFFFFFFF


@kernel
def _log(model: Model, now_ns: int, outcome: int, delay_ns: int) -> None:
    """Add the probe in model.row to the log, if the model keeps one."""
    at = model.numbers[s.LOG_COUNT]
    if at >= len(model.log_ns):
        model.numbers[s.UNLOGGED] += 1
        return
    model.log_ns[at] = now_ns
    model.log_targets[at] = model.row[TARGET]
    model.log_delays_us[at] = min(delay_ns // 1000, _LONGEST_US)
    model.log_probes[at] = model.row[NUMBER]
    model.log_outcomes[at] = outcome
    model.numbers[s.LOG_COUNT] = at + 1


@kernel
def _idle_ns(model: Model, target: int, now_ns: int) -> int:
    """Return how long an address was not probed, in the model's time, and note that it is probed now."""
    # The table has no chains: an address that another one displaced counts as one that was never probed.
    place = int64(mix64(uint64(target)) % uint64(len(model.probed)))
    idle_ns = now_ns - model.probed_ns[place] if int64(model.probed[place]) == target else now_ns
    model.probed[place] = target
    model.probed_ns[place] = now_ns
    return int64(idle_ns)


@kernel
def _host_delay_ns(model: Model, target: int, now_ns: int) -> int:
    """Return how much longer the reply of a host takes that wakes up first, or is late, in this machine's time."""
    clock = model.clock
    model_ns = model_time_ns(now_ns, clock[s.REAL_NS], clock[s.MODEL_NS], clock[s.SPEED])
    longer_ns = late_by_ns(model.population, target, model_ns)
    if len(model.probed) > 1:
        longer_ns += wakes_in_ns(model.population, target, _idle_ns(model, target, model_ns))
    return int64(longer_ns // clock[s.SPEED])


@kernel
def _answer(model: Model, frame: NDArray[np.uint8], start: int, answer: int, now_ns: int, waited_ns: int) -> None:
    """Pass the probe in model.row, which has an answer, through the network and queue the replies."""
    row, settings = model.row, model.settings
    probe, target, what = row[NUMBER], row[TARGET], answer & WHAT_MASK
    if is_lost(model.path_until_ns, model.path_bad, settings, model.stream, 0, target, now_ns):
        lose(model, probe, target, s.BY_PROBE)
        _log(model, now_ns, s.LOST_PACKET, 0)
        return
    if answer & FROM_ROUTER:
        router = router_of(model.population, target)
        if is_limited(model.routers, model.router_busy_ns, settings, router, now_ns):
            lose(model, probe, target, s.BY_LIMIT)
            _log(model, now_ns, s.LOST_PACKET, 0)
            return
    delay_ns = waited_ns + latency_ns(model, target)
    if len(model.log_ns) > 0 and answer & FROM_ROUTER == 0:
        delay_ns += _host_delay_ns(model, target, now_ns)
    kind = kind_of(what, probe)
    outcome = s.LOST_PACKET
    sent = send(model, frame, start, answer, kind, now_ns, now_ns + delay_ns)
    if sent:
        outcome = s.POSITIVE if kind in (ECHO_REPLY_KIND, SYN_ACK_KIND, ANSWER_KIND) else s.NEGATIVE
    if what == BOTH:  # to a scanner that talks, the reset ends a talk if the SYN-ACK came before it
        kind = CLOSED_KIND if sent else RST_KIND
        if send(model, frame, start, answer, kind, now_ns, now_ns + delay_ns + _RESET_AFTER_NS):
            outcome = s.NEGATIVE if outcome == s.LOST_PACKET else outcome
    _log(model, now_ns, outcome, delay_ns)


@kernel
def _meet(model: Model, frame: NDArray[np.uint8], start: int, answer: int, now_ns: int) -> None:
    """Pass the probe or part of a talk in model.row through the scanner's link, answer it and add noise to probes."""
    if answer & _TALKED:
        converse(model, frame, start, answer, now_ns)
        return
    row = model.row
    waited_ns = link_delay_ns(model.numbers, model.settings, now_ns)
    if waited_ns < 0:
        if answer & WHAT_MASK != SILENT:
            lose(model, row[NUMBER], row[TARGET], s.BY_LINK)
        _log(model, now_ns, s.LOST_PACKET, 0)
        return
    if answer & WHAT_MASK != SILENT:
        _answer(model, frame, start, answer, now_ns, waited_ns)
    else:
        _log(model, now_ns, s.NO_REPLY, 0)
    if chance(model.stream, model.settings[s.NOISE]):
        send_noise(model, frame, start, now_ns)


@kernel
def _question(
    population: NDArray[Any],
    settings: NDArray[np.int64],
    clock: NDArray[np.int64],
    verdicts: NDArray[np.int64],
    row: NDArray[np.int64],
    frame: NDArray[np.uint8],
    start: int,
    captured: int,
    length: int,
    now_ns: int,
) -> int:
    """Inspect one frame and return the answer of its target now to its sender; NO_PROBE if it is not a probe.

    Of a part of a talk it is the answer to its SYN, marked _TALKED; NO_PROBE if the port is not open any more.
    """
    verdict = inspect(frame, start, captured, length, row)
    verdicts[verdict] += 1
    if verdict not in (_PROBE, _TALK):
        return NO_PROBE
    model_ns = model_time_ns(now_ns, clock[s.REAL_NS], clock[s.MODEL_NS], clock[s.SPEED])
    answer = int64(answer_at(population, row[TARGET], row[NUMBER], model_ns))
    if answer > SILENT and is_hidden(population, settings[s.PLACE], settings[s.RUN], row[TARGET], row[NUMBER]):
        answer = SILENT
    if verdict == _TALK:
        return answer | _TALKED if answer & WHAT_MASK in (ANSWERED, BOTH) else NO_PROBE
    return answer


@kernel
def _handles_all(model: Model) -> bool:
    """Return whether probes without an answer matter: they occupy the link, cause noise, or are logged."""
    return bool(model.settings[s.LINK_NS] | model.settings[s.NOISE] | len(model.log_ns) != 0)


@kernel
def respond_block(model: Model, block: NDArray[np.uint8]) -> int:
    """Process every packet of a TPACKET_V3 block, at the time of its capture; return the number of packets."""
    model, block = unowned(model), unowned(block)
    population, settings, clock = model.population, model.settings, model.clock
    verdicts, row = model.verdicts, model.row
    all_meet = _handles_all(model)
    at = first_packet(block)
    count = packet_count(block)
    for _ in range(count):
        now_ns = capture_time_ns(block, at)
        start, captured, length = frame_start(block, at), captured_length(block, at), wire_length(block, at)
        answer = _question(population, settings, clock, verdicts, row, block, start, captured, length, now_ns)
        if answer > SILENT or (all_meet and answer == SILENT):
            _meet(model, block, start, answer, now_ns)
        at = next_packet(block, at)
    return count


@kernel
def respond_slots(
    model: Model,
    frames: NDArray[np.uint8],
    step: int,
    lengths: NDArray[np.uint16],
    first: int,
    count: int,
    now_ns: int,
) -> None:
    """Process `count` frames in slots of a ring from `first` on, `step` bytes apart, at time `now_ns`."""
    model, frames, lengths = unowned(model), unowned(frames), unowned(lengths)
    population, settings, clock = model.population, model.settings, model.clock
    verdicts, row = model.verdicts, model.row
    all_meet = _handles_all(model)
    for slot in range(first, first + count):
        length = int64(lengths[slot])
        answer = _question(population, settings, clock, verdicts, row, frames, slot * step, length, length, now_ns)
        if answer > SILENT or (all_meet and answer == SILENT):
            _meet(model, frames, slot * step, answer, now_ns)


@kernel
def emit(
    model: Model,
    now_ns: int,
    frames: NDArray[np.uint8],
    step: int,
    first: int,
    count: int,
    lengths: NDArray[np.uint16],
    targets: NDArray[np.uint32],
    events: NDArray[np.uint8],
) -> int:
    """Write up to `count` due replies into slots of a ring, from `first` on; return their number.

    `frames` are the ring's slots as flat bytes, `step` apart; the replies' targets and events are written to `targets`
    and `events`.
    """
    model, frames = unowned(model), unowned(frames)
    lengths, targets, events = unowned(lengths), unowned(targets), unowned(events)
    for sent in range(count):
        slot = next_due(model.heads, model.links, model.numbers, now_ns)
        if slot == s.NO_SLOT:
            return sent
        begin, length = slot * s.SLOT_BYTES, model.lengths[slot]
        copy(frames, (first + sent) * step, model.frames, begin, begin + length)
        lengths[first + sent] = length
        targets[sent] = model.targets[slot]
        events[sent] = model.events[slot]
        give_back(model.free, model.numbers, slot)
        model.numbers[s.REPLIES] += 1
    return count
