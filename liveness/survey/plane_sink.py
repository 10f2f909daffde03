"""Sink that sets the bits of replies in the live planes: each reply proves its round by itself."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.order.rounds import Rounds
from liveness.order.slots import SlotTables, slot_of
from liveness.planes.live import LATE, LISTENED_NS, NEGATIVE, POSITIVE, START_NS, LivePlanes
from liveness.replies import REPLY_DTYPE, Kind, ReplyKey
from liveness.runs.segment import Tally
from liveness.scan.receive.sink import Parts, Sink, SinkContext, SinkKind, no_parts
from liveness.survey import beliefs, sender

if TYPE_CHECKING:
    from liveness.scan.plan import Plan

QUIET_NS: Final = 100_000_000
"""A ring that had nothing to return was empty this long ago: the kernel returns a block within 20 ms."""

PLACED: Final = 0
NO_ROUND: Final = 1
"""The reply proves no round: a port on its way was rewritten."""
OUTSIDE: Final = 2
"""The round that it names is none of this survey, or its planes are stored already."""
OUTCOMES: Final = 3

_ECHO_REPLY: Final = int(Kind.ECHO_REPLY)
_SYN_ACK: Final = int(Kind.SYN_ACK)
_ANSWER: Final = int(Kind.ANSWER)


@kernel
def block_of(numbers: NDArray[np.uint32], number: int) -> int:
    """Return the index of a /24 among sorted ones, -1 if it is not among them."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if int64(numbers[middle]) < number:
            low = middle + 1
        else:
            high = middle
    return low if low < len(numbers) and int64(numbers[low]) == number else -1


@kernel
def round_named(attempt: int, marks: int, since_ns: float, interval_ns: float) -> int:
    """Return the newest round that a mark can mean, `since_ns` after the address was due in round 0.

    Half an interval is added, so that a clock that is set back by less does not turn a reply into one of an hour ago.
    """
    newest = int64(np.floor((since_ns + interval_ns / 2) / interval_ns))
    named: int = newest - (newest - attempt) % marks
    return named


@kernel
def place_replies(
    replies: NDArray[np.void],
    numbers: NDArray[np.uint32],
    tables: SlotTables,
    start_ns: int,
    interval_ns: int,
    rounds: int,
    marks: int,
    tags: NDArray[np.int64],
    bits: NDArray[np.uint8],
    outcomes: NDArray[np.int64],
) -> None:
    """Set the bit of every reply in `bits`, (depth, probes, planes, bytes), and count `outcomes`.

    A reply is late if it came more than an interval after its probe: by the send time that an echo reply returns, else
    by the slot of the probe.
    """
    slots = 256 * tables.probes * tables.listed
    for i in range(len(replies)):
        reply = replies[i]
        target, probe, attempt = int64(reply["target"]), int64(reply["probe"]), int64(reply["attempt"])
        block = block_of(numbers, target >> 8)
        if attempt >= marks or block < 0:
            outcomes[NO_ROUND] += 1
            continue
        slot = slot_of(tables, block, target & 0xFF, probe)
        since_ns = float(int64(reply["time_ns"]) - start_ns) - slot * (interval_ns / slots)
        named = round_named(attempt, marks, since_ns, float(interval_ns))
        place = named % len(tags)
        if named < 0 or named >= rounds or tags[place] != named:
            outcomes[OUTSIDE] += 1
            continue
        kind, delay_ns = int64(reply["kind"]), since_ns - named * float(interval_ns)
        if int64(reply["rtt_ns"]) >= 0:
            delay_ns = float(int64(reply["rtt_ns"]))
        plane = NEGATIVE
        if delay_ns > interval_ns:
            plane = LATE
        elif (kind in (_ECHO_REPLY, _SYN_ACK, _ANSWER)) and reply["source"] == reply["target"]:
            plane = POSITIVE
        index = block * 256 + (target & 0xFF)
        bits[place, probe, plane, index >> 3] |= np.uint8(1 << (index & 7))
        outcomes[PLACED] += 1


class PlaneSink(Sink):
    """Bits of the replies that one receiver accepts, set as soon as a block of packets is matched."""

    def __init__(
        self, order: Rounds, live: LivePlanes, probes: Sequence[str] = (), now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._order = order
        self._live = live
        self._now_ns = now_ns
        self._quiet = False
        """Whether no block came since the last call of `batch`."""
        self._probes = tuple(probes)
        self._messages: Counter[int] = Counter()
        """Replies by probe, kind, ICMP type and code, a byte each."""
        self.outcomes: NDArray[np.int64] = np.zeros(OUTCOMES, np.int64)

    def block(self, block: NDArray[np.uint8], packets: int, replies: NDArray[np.void]) -> None:
        """Set the bits of the accepted replies of a block."""
        del block, packets
        self._quiet = False
        if not len(replies):
            return
        keys = np.zeros(len(replies), np.uint32)
        for field in ("probe", "kind", "icmp_type", "icmp_code"):
            keys = keys << np.uint32(8) | replies[field]
        found, counts = np.unique(keys, return_counts=True)
        self._messages.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        start_ns = int(self._live.header[START_NS])
        if start_ns:
            self.place(replies, start_ns)
        self._listened(int(replies["time_ns"].max()))

    def place(self, replies: NDArray[np.void], start_ns: int) -> None:
        """Set the bits of replies."""
        order = self._order
        place_replies(
            replies,
            order.numbers,
            order.tables,
            start_ns,
            order.interval_ns,
            order.rounds,
            order.marks_of_rounds,
            self._live.tags,
            self._live.bits,
            self.outcomes,
        )

    def batch(self, replies: NDArray[np.void]) -> None:
        """Note that the ring is empty, if no block came since the last call."""
        del replies
        if self._quiet:
            self._listened(self._now_ns() - QUIET_NS)
        self._quiet = True

    def take(self, tally: Tally) -> Parts:
        """Add the messages since the last call to the tally of a segment."""
        messages: dict[str, dict[str, int]] = {}
        for key, count in self._messages.items():
            probe, kind, icmp_type, icmp_code = key.to_bytes(4, "big")
            of_error = (icmp_type, icmp_code) if kind == Kind.ERROR else (None, None)
            label = ReplyKey(self._probes[probe], Kind(kind), *of_error).label
            messages.setdefault(self._probes[probe], {})[label] = count
        self._messages.clear()
        tally.add(Tally(messages=messages))
        return no_parts

    def _listened(self, until_ns: int) -> None:
        self._live.header[LISTENED_NS] = max(until_ns, int(self._live.header[LISTENED_NS]))


class PlaneSinks(SinkKind):
    """Bits of replies in the live planes of a survey."""

    def __init__(self, order: Rounds, live: LivePlanes, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._order = order
        self._live = live
        self._now_ns = now_ns

    def open(self, context: SinkContext) -> PlaneSink:
        """Return the sink of the receiver."""
        return PlaneSink(self._order, self._live, [probe.name for probe in context.plan.probes], self._now_ns)

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernels that only a survey has, or load them from the cache: of bits, slots and beliefs."""
        del plan
        sender.warm_up()
        beliefs.warm_up()
        PlaneSink(self._order, self._live).place(np.zeros(0, REPLY_DTYPE), 0)
