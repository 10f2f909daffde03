"""Talks at the far end: what a port sends, by its behaviour, when a segment follows its SYN-ACK.

No connection is remembered. The segment itself shows by its numbers where the connection is: a client that sends its
request again gets the same segments again, as a host would send them again.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.population.answer import BOTH, WHAT_MASK
from liveness.lab.model.responder import state as s
from liveness.lab.model.responder.bytes import copy
from liveness.lab.model.responder.draws import draw
from liveness.lab.model.responder.inspection import END, NUMBER, TARGET, TRANSPORT_AT
from liveness.lab.model.responder.numbers import initial_sequence
from liveness.lab.model.responder.paths import is_lost, link_delay_ns
from liveness.lab.model.responder.queue import take_slot
from liveness.lab.model.responder.reply import REPLY_AT, pseudo_sum, put_ip
from liveness.lab.model.responder.sending import PROBE_SHIFT, enqueue, latency_ns, lose
from liveness.lab.model.responder.state import Model
from liveness.lab.model.responder.verdict import Verdict
from liveness.lab.model.services.drawn import behaviour_of, place_of
from liveness.lab.services.behaviours import PORTS, Behaviour
from liveness.lab.services.scripts import TARPIT_WINDOW, Acknowledges, script_of
from liveness.lab.services.voices import Voice, text_of
from liveness.packets import headers as hdr
from liveness.packets.bytes import put_be16, put_be32, read_be16, read_be32
from liveness.packets.checksum import checksum

_TALK: Final = int(Verdict.TALK)
_TALK_WINDOW: Final = int(Verdict.TALK_WINDOW)
_ZERO_WINDOW: Final = int(Behaviour.ZERO_WINDOW)
_REFUSES: Final = int(Behaviour.REFUSES)
_PART: Final = int(Acknowledges.PART)
_ALL: Final = int(Acknowledges.ALL)
_NOTHING: Final = int(Acknowledges.NOTHING)
_DONT_FRAGMENT: Final = 0x4000
_WINDOW: Final = 65160
_WIDE: Final = 0xFFFFFFFF

_FLAGS, _ACKNOWLEDGES, _BEGIN, _BYTES, _SENT, _AFTER_NS, _ONLY_PUSHED, _EVENT, _WIDTH = range(9)
"""Columns of a step. _BEGIN and _BYTES say where its text is; _EVENT is its kind, UNRECORDED if it shows nothing."""


def _texts() -> tuple[NDArray[np.uint8], dict[tuple[int, Voice], int]]:
    """Return all texts one after the other, and where each begins."""
    begins, text = {}, b""
    for port in PORTS.values():
        for voice in Voice:
            begins[port, voice] = len(text)
            text += text_of(port, voice)
    return np.frombuffer(text, np.uint8).copy(), begins


def _scripts(begins: dict[tuple[int, Voice], int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the steps of each port and behaviour, (ports, behaviours, steps, _WIDTH), and their numbers."""
    scripts = [[script_of(behaviour, port) for behaviour in Behaviour] for port in PORTS.values()]
    longest = max(len(script) for by_behaviour in scripts for script in by_behaviour)
    steps = np.zeros((len(PORTS), len(Behaviour), longest, _WIDTH), np.int64)
    counts = np.array([[len(script) for script in by_behaviour] for by_behaviour in scripts], np.int64)
    for place, port in enumerate(PORTS.values()):
        for behaviour in Behaviour:
            for number, step in enumerate(scripts[place][behaviour]):
                kind, voice = step.kind(port), step.voice
                steps[place, behaviour, number] = (
                    step.flags,
                    step.acknowledges,
                    0 if voice is None else begins[port, voice],
                    0 if voice is None else len(text_of(port, voice)),
                    step.sent,
                    step.after_us * 1000,
                    step.only_pushed,
                    s.UNRECORDED if kind is None else kind,
                )
    return steps, counts


_TEXT, _BEGINS = _texts()
_STEPS, _COUNTS = _scripts(_BEGINS)


@kernel
def _write(
    out: NDArray[np.uint8],
    at: int,
    frame: NDArray[np.uint8],
    start: int,
    row: NDArray[np.int64],
    step: NDArray[np.int64],
    number: int,
) -> int:
    """Write the segment of a step, in reply to the one at frame[start]; return the index after its end."""
    begin, asked = at + REPLY_AT, row[TRANSPORT_AT]
    data = row[END] - asked - hdr.TCP_MIN_LENGTH
    first = read_be32(frame, asked + hdr.TCP_SEQUENCE)
    sequence = initial_sequence((first - 1) & _WIDE, row[TARGET]) + 1 + step[_SENT]
    acknowledges, acknowledgment = step[_ACKNOWLEDGES], first
    if acknowledges == _ALL:
        acknowledgment += data
    elif acknowledges == _PART:
        acknowledgment += min(data, TARPIT_WINDOW)
    elif acknowledges == _NOTHING:
        acknowledgment = 0
    put_be16(out, begin, read_be16(frame, asked + 2))
    put_be16(out, begin + 2, read_be16(frame, asked))
    put_be32(out, begin + hdr.TCP_SEQUENCE, sequence & _WIDE)
    put_be32(out, begin + hdr.TCP_ACKNOWLEDGMENT, acknowledgment & _WIDE)
    out[begin + hdr.TCP_DATA_OFFSET] = hdr.TCP_MIN_LENGTH << 2
    out[begin + hdr.TCP_FLAGS] = step[_FLAGS]
    shut = step[_FLAGS] & hdr.TCP_FLAG_RST != 0 or acknowledges == _PART
    put_be16(out, begin + hdr.TCP_WINDOW, 0 if shut else _WINDOW)
    put_be32(out, begin + hdr.TCP_CHECKSUM, 0)  # the urgent pointer too
    text = begin + hdr.TCP_MIN_LENGTH
    end = copy(out, text, _TEXT, step[_BEGIN], step[_BEGIN] + step[_BYTES])
    put_ip(out, at, frame, start, row[TARGET], hdr.PROTOCOL_TCP, _DONT_FRAGMENT, number, end)
    put_be16(out, begin + hdr.TCP_CHECKSUM, checksum(pseudo_sum(out, at, hdr.PROTOCOL_TCP, end)))
    return end


@kernel
def _send(
    model: Model, frame: NDArray[np.uint8], start: int, step: NDArray[np.int64], now_ns: int, due_ns: int
) -> None:
    """Queue the segment of a step to be sent at `due_ns`, or count it as lost."""
    row, settings, stream = model.row, model.settings, model.stream
    probe, target = row[NUMBER], row[TARGET]
    if is_lost(model.path_until_ns, model.path_bad, settings, stream, 1, target, now_ns):
        lose(model, probe, target, s.BY_REPLY)
        return
    slot = take_slot(model.free, model.numbers)
    if slot == s.NO_SLOT:
        lose(model, probe, target, s.BY_QUEUE)
        return
    at = slot * s.SLOT_BYTES
    number = int64(draw(stream) & uint64(0xFFFF))
    model.lengths[slot] = _write(model.frames, at, frame, start, row, step, number) - at
    model.targets[slot] = target
    event = step[_EVENT]
    model.events[slot] = s.UNRECORDED if event == s.UNRECORDED else probe << PROBE_SHIFT | event
    enqueue(model, slot, now_ns, due_ns)


@kernel
def converse(model: Model, frame: NDArray[np.uint8], start: int, answer: int, now_ns: int) -> None:
    """Pass the part of a talk in model.row, with a port that answers a SYN with `answer`, through the network."""
    row, settings = model.row, model.settings
    probe, target = row[NUMBER], row[TARGET]
    does = _REFUSES if answer & WHAT_MASK == BOTH else behaviour_of(model.population, target, probe)
    if does == _ZERO_WINDOW:
        model.verdicts[_TALK] -= 1
        model.verdicts[_TALK_WINDOW] += 1
        return
    waited_ns = link_delay_ns(model.numbers, settings, now_ns)
    if waited_ns < 0:
        lose(model, probe, target, s.BY_LINK)
        return
    if is_lost(model.path_until_ns, model.path_bad, settings, model.stream, 0, target, now_ns):
        lose(model, probe, target, s.BY_REQUEST)
        return
    pushed = int64(frame[row[TRANSPORT_AT] + hdr.TCP_FLAGS]) & hdr.TCP_FLAG_PSH != 0
    due_ns = now_ns + waited_ns + latency_ns(model, target)
    place = place_of(probe)
    for number in range(_COUNTS[place, does]):
        step = _STEPS[place, does, number]
        if pushed or step[_ONLY_PUSHED] == 0:
            _send(model, frame, start, step, now_ns, due_ns + step[_AFTER_NS])
