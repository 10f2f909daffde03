"""Scripts: the segments that a port sends by its behaviour when the first segment after the handshake comes."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

from liveness.lab.services.behaviours import SERVER_FIRST, Behaviour
from liveness.lab.services.voices import Voice, is_answer, text_of
from liveness.packets.headers import TCP_FLAG_ACK, TCP_FLAG_FIN, TCP_FLAG_PSH, TCP_FLAG_RST, TCP_FLAG_SYN
from liveness.replies import TALK, Kind

REPETITIONS: Final = 7
"""SYN-ACKs that are sent again where the handshake is never completed (7.8 on average: Izhikevich et al. 2021)."""
FLOOD_SEGMENTS: Final = 8
TARPIT_WINDOW: Final = 10
GAP_US: Final = 20_000
"""Time between segments of which the second is sent after the first was handed to the network."""
REPEATED_US: Final = 100_000
"""Time between SYN-ACKs: far less than the seconds of real hosts, so that a census need not wait for them."""


class Acknowledges(IntEnum):
    """What a segment acknowledges."""

    NOTHING = 0  # no ACK flag
    SYN = 1
    PART = 2  # TARPIT_WINDOW bytes of the data
    ALL = 3


@dataclass(frozen=True, slots=True)
class Step:
    """A segment: it leaves `after_us` after the one that it answers.

    `sent` is how much of the port's data came before it, -1 for a SYN-ACK, whose number is before the first byte.
    """

    flags: int
    acknowledges: Acknowledges
    voice: Voice | None = None
    sent: int = 0
    after_us: int = 0
    only_pushed: bool = False
    """Whether it answers segments with PSH only."""

    def kind(self, port: int) -> Kind | None:
        """Return the kind of reply that it is to a client that talks on this port; None if it shows nothing."""
        if self.flags & TCP_FLAG_SYN:
            return None
        if self.flags & TCP_FLAG_RST:
            return Kind.CLOSED
        if self.voice is not None:
            return Kind.ANSWER if is_answer(port, self.voice) else Kind.PAYLOAD
        if self.flags & TCP_FLAG_FIN:
            return Kind.CLOSED
        return Kind.ACKED if self.acknowledges is Acknowledges.ALL and port not in SERVER_FIRST else None


_PUSH: Final = TCP_FLAG_PSH | TCP_FLAG_ACK
_FIN: Final = TCP_FLAG_FIN | TCP_FLAG_ACK
_RESET: Final = TCP_FLAG_RST | TCP_FLAG_ACK


def _syn_acks(count: int) -> list[Step]:
    flags = TCP_FLAG_SYN | TCP_FLAG_ACK
    return [Step(flags, Acknowledges.SYN, sent=-1, after_us=place * REPEATED_US) for place in range(count)]


def _speaks(voice: Voice = Voice.RIGHT, *, sent: int = 0, after_us: int = 0, only_pushed: bool = False) -> Step:
    return Step(_PUSH, Acknowledges.ALL, voice, sent, after_us, only_pushed)


def _flood(port: int) -> list[Step]:
    begun, length = len(text_of(port, Voice.RIGHT)), len(text_of(port, Voice.FLOOD))
    return [
        Step(TCP_FLAG_ACK, Acknowledges.ALL, Voice.FLOOD, begun + place * length, GAP_US)
        for place in range(FLOOD_SEGMENTS)
    ]


@cache
def script_of(behaviour: Behaviour, port: int) -> tuple[Step, ...]:
    """Return the segments that a port with this behaviour sends, in order."""
    acknowledgment = Step(TCP_FLAG_ACK, Acknowledges.ALL)
    steps = {
        Behaviour.SPEAKS: [_speaks()],
        Behaviour.OTHER: [acknowledgment, _speaks(Voice.OTHER)],
        Behaviour.ACKS: [acknowledgment],
        Behaviour.TARPIT: [Step(TCP_FLAG_ACK, Acknowledges.PART)],
        Behaviour.IGNORES: _syn_acks(REPETITIONS),
        Behaviour.CLOSES: [Step(_FIN, Acknowledges.SYN)],
        Behaviour.CLOSES_LATER: [acknowledgment, Step(_FIN, Acknowledges.ALL, after_us=GAP_US)],
        Behaviour.RESETS: [Step(_RESET, Acknowledges.SYN)],
        Behaviour.RESETS_LATER: [Step(_RESET, Acknowledges.ALL, after_us=GAP_US)],
        Behaviour.ENDLESS: [_speaks(), *_flood(port)],
        Behaviour.SPLIT: [_speaks(Voice.HEAD), _speaks(Voice.REST, sent=1, after_us=GAP_US)],
        Behaviour.PUSHED: [_speaks(only_pushed=True)],
        Behaviour.REPEATS: [*_syn_acks(2), _speaks(after_us=REPEATED_US)],
        Behaviour.REFUSES: [Step(TCP_FLAG_RST, Acknowledges.NOTHING)],
    }.get(behaviour, [])
    if port in SERVER_FIRST:  # a client that sends no data gets no bare acknowledgment
        steps = [step for step in steps if step.flags != TCP_FLAG_ACK or step.voice is not None]
    return tuple(steps)


def first_of(kinds: set[Kind]) -> Kind:
    """Return what a talk comes to in which segments of these kinds came; `mute` if none did."""
    return next((kind for kind in TALK if kind in kinds), Kind.MUTE)


@cache
def outcome(behaviour: Behaviour, port: int) -> Kind:
    """Return what a talk comes to if no packet is lost."""
    if behaviour is Behaviour.ZERO_WINDOW:
        return Kind.ZERO_WINDOW
    return first_of({kind for step in script_of(behaviour, port) if (kind := step.kind(port)) is not None})
