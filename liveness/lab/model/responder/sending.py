"""Replies on their way through the model's network: lost, delayed, doubled, and put into the delay queue."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.population.answer import (
    BOTH,
    BYTE_MASK,
    CODE_SHIFT,
    ERROR,
    FROM_ROUTER,
    ICMP,
    PAYLOAD,
    RESET,
    TYPE_SHIFT,
    WHAT_MASK,
    router_of,
)
from liveness.lab.model.responder import reply
from liveness.lab.model.responder import state as s
from liveness.lab.model.responder.bytes import copy
from liveness.lab.model.responder.draws import chance, draw, exponential_ns
from liveness.lab.model.responder.inspection import NUMBER, TARGET
from liveness.lab.model.responder.noise import noise
from liveness.lab.model.responder.paths import is_lost
from liveness.lab.model.responder.queue import schedule, take_slot
from liveness.lab.model.responder.state import Model
from liveness.lab.model.services.drawn import behaviour_of
from liveness.lab.services.behaviours import Behaviour
from liveness.lab.services.scripts import TARPIT_WINDOW
from liveness.lab.twins import dispatch
from liveness.mixing import mix64
from liveness.packets import headers as hdr
from liveness.replies import Kind

ECHO_REPLY_KIND: Final = int(Kind.ECHO_REPLY)
SYN_ACK_KIND: Final = int(Kind.SYN_ACK)
RST_KIND: Final = int(Kind.RST)
ANSWER_KIND: Final = int(Kind.ANSWER)
PAYLOAD_KIND: Final = int(Kind.PAYLOAD)
ERROR_KIND: Final = int(Kind.ERROR)
CLOSED_KIND: Final = int(Kind.CLOSED)
"""Of a reset after a SYN-ACK that was not lost: it ends a talk."""
_ZERO_WINDOW: Final = int(Behaviour.ZERO_WINDOW)
_TARPIT: Final = int(Behaviour.TARPIT)
_USUAL_WINDOW: Final = 65160
KIND_MASK: Final = 15
PROBE_SHIFT: Final = 4


@kernel
def kind_of(what: int, probe: int) -> int:
    """Return the kind of a reply (liveness.replies.Kind) for an answer code; of two replies the first."""
    if what == ERROR:
        return ERROR_KIND
    if what == RESET:
        return RST_KIND
    if what == PAYLOAD:
        return PAYLOAD_KIND
    if probe == ICMP:
        return ECHO_REPLY_KIND
    return ANSWER_KIND if dispatch.is_udp(probe) else SYN_ACK_KIND


@kernel
def lose(model: Model, probe: int, target: int, cause: int) -> None:
    """Count and record a lost packet: a probe that would have been answered, or a reply."""
    numbers = model.numbers
    model.lost[probe, cause] += 1
    at = numbers[s.LOST_COUNT]
    if at < len(model.lost_targets):
        model.lost_targets[at] = target
        model.lost_events[at] = probe << PROBE_SHIFT | cause
        numbers[s.LOST_COUNT] = at + 1


@kernel
def latency_ns(model: Model, target: int) -> int:
    """Return the round-trip time of one reply of this target."""
    settings, stream = model.settings, model.stream
    latencies = model.latency_ns
    # A hash of the /24 chooses its quantile: all its addresses share one base latency.
    place = mix64(uint64(settings[s.SEED]) ^ (uint64(target >> 8) << uint64(8))) % uint64(len(latencies))
    time_ns = latencies[int64(place)]
    if settings[s.JITTER_NS] > 0:
        time_ns += exponential_ns(stream, settings[s.JITTER_NS])
    if chance(stream, settings[s.SLOW]):
        time_ns += int64(draw(stream) >> uint64(1)) % (settings[s.SLOW_NS] + 1)
    if chance(stream, settings[s.REORDERED]):
        time_ns += int64(draw(stream) >> uint64(1)) % (settings[s.REORDERED_NS] + 1)
    return int64(time_ns)


@kernel
def _window(model: Model, answer: int) -> int:
    """Return the window of the SYN-ACK to the probe in model.row."""
    if answer & WHAT_MASK == BOTH:
        return _USUAL_WINDOW
    does = behaviour_of(model.population, model.row[TARGET], model.row[NUMBER])
    return 0 if does == _ZERO_WINDOW else TARPIT_WINDOW if does == _TARPIT else _USUAL_WINDOW


@kernel
def enqueue(model: Model, slot: int, now_ns: int, due_ns: int) -> None:
    """Queue the reply in a slot, which is complete, to be sent at `due_ns`, and by chance a duplicate of it."""
    numbers, settings, stream = model.numbers, model.settings, model.stream
    schedule(model.heads, model.tails, model.links, numbers, slot, now_ns, due_ns)
    # A duplicate is a copy in a slot of its own; it is not recorded, since its target already is.
    if chance(stream, settings[s.DUPLICATE]):
        twin = take_slot(model.free, numbers)
        if twin != s.NO_SLOT:
            begin = slot * s.SLOT_BYTES
            copy(model.frames, twin * s.SLOT_BYTES, model.frames, begin, begin + model.lengths[slot])
            model.lengths[twin] = model.lengths[slot]
            model.targets[twin] = model.targets[slot]
            model.events[twin] = s.UNRECORDED
            numbers[s.DUPLICATED] += 1
            later_ns = exponential_ns(stream, settings[s.REORDERED_NS] + 1)
            schedule(model.heads, model.tails, model.links, numbers, twin, now_ns, due_ns + later_ns)


@kernel
def _write(model: Model, slot: int, frame: NDArray[np.uint8], start: int, answer: int, kind: int) -> None:
    """Write the reply of one kind to the probe in model.row into a slot."""
    row, out, at = model.row, model.frames, slot * s.SLOT_BYTES
    target = row[TARGET]
    number = int64(draw(model.stream) & uint64(0xFFFF))
    if kind == ECHO_REPLY_KIND:
        end = reply.echo_reply(out, at, frame, start, row, number)
    elif kind == SYN_ACK_KIND:
        flags = hdr.TCP_FLAG_SYN | hdr.TCP_FLAG_ACK
        end = reply.segment(out, at, frame, start, row, flags, _window(model, answer), False, number)
    elif kind in (RST_KIND, CLOSED_KIND):
        after_syn = answer & WHAT_MASK == BOTH
        end = reply.segment(out, at, frame, start, row, hdr.TCP_FLAG_RST | hdr.TCP_FLAG_ACK, 0, after_syn, number)
    elif kind == ANSWER_KIND:
        end = reply.datagram(out, at, frame, start, row, number)
    elif kind == PAYLOAD_KIND:
        end = reply.wrong_payload(out, at, frame, start, row, number)
    else:
        source = router_of(model.population, target) if answer & FROM_ROUTER else target
        icmp_type, icmp_code = answer >> TYPE_SHIFT & BYTE_MASK, answer >> CODE_SHIFT & BYTE_MASK
        end = reply.error(out, at, frame, start, row, source, icmp_type, icmp_code, number)
    model.lengths[slot] = end - at
    model.targets[slot] = target
    model.events[slot] = row[NUMBER] << PROBE_SHIFT | kind


@kernel
def send(model: Model, frame: NDArray[np.uint8], start: int, answer: int, kind: int, now_ns: int, due_ns: int) -> bool:
    """Queue a reply to be sent at `due_ns`, or count it as lost; return whether it will be sent."""
    row, settings, stream = model.row, model.settings, model.stream
    probe, target = row[NUMBER], row[TARGET]
    if is_lost(model.path_until_ns, model.path_bad, settings, stream, 1, target, now_ns):
        lose(model, probe, target, s.BY_REPLY)
        return False
    slot = take_slot(model.free, model.numbers)
    if slot == s.NO_SLOT:
        lose(model, probe, target, s.BY_QUEUE)
        return False
    _write(model, slot, frame, start, answer, kind)
    enqueue(model, slot, now_ns, due_ns)
    return True


@kernel
def send_noise(model: Model, frame: NDArray[np.uint8], start: int, now_ns: int) -> None:
    """Queue a packet that is no reply, to be sent at once; without a free slot nothing is sent."""
    slot = take_slot(model.free, model.numbers)
    if slot == s.NO_SLOT:
        return
    at = slot * s.SLOT_BYTES
    model.lengths[slot] = noise(model.frames, at, frame, start, model.row, model.stream) - at
    model.events[slot] = s.UNRECORDED
    model.numbers[s.NOISY] += 1
    schedule(model.heads, model.tails, model.links, model.numbers, slot, now_ns, now_ns)
