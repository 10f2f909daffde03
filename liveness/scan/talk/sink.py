"""Sink that follows talks in one receiver: it hands events to the talker, and keeps what no packet alone shows."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.ipsets.collector import Collector
from liveness.kernel import fence
from liveness.packets.block import pack_block
from liveness.packets.parse import FIELDS
from liveness.probes.run_constants import RunConstants, build_constants
from liveness.probes.template import LinkAddresses
from liveness.replies import NO_DATA, REPLY_DTYPE, Kind, ReplyKey, Role, Tier
from liveness.runs.segment import PartKey, Tally
from liveness.scan.receive.collection import Collection
from liveness.scan.receive.first_data import FirstData
from liveness.scan.receive.set_sink import parts_of
from liveness.scan.receive.sink import Conclusion, Parts, Received, Sink, SinkContext, SinkKind
from liveness.scan.talk.follow import follow_block, open_connections
from liveness.scan.talk.shared import (
    COUNTS,
    VERDICT_ATTEMPT,
    VERDICT_PROBE,
    VERDICT_TARGET,
    WIDTH,
    TalkShared,
)

if TYPE_CHECKING:
    from liveness.runs.rundir import RunDirectory
    from liveness.scan.plan import Plan

GRACE_NS: Final = 60_000_000_000
"""Time after the end of a talk in which a reset still belongs to it: a busy talker ends talks late."""
BATCH: Final = 4096
REFUSED_SHARE: Final = 0.01
REFUSED_LEAST: Final = 100
"""SYN-ACKs that were refused, as a share of the talks and in all, above which a run says so."""


class TalkSink(Sink):
    """Follower of the talks in one receiver. Without `shared`, as in a replay, nobody talks: it only sorts replies."""

    def __init__(
        self,
        plan: "Plan",
        constants: RunConstants,
        shared: TalkShared | None,
        receiver: int,
        first_data: FirstData | None = None,
    ) -> None:
        self._constants = constants
        self._shared = shared
        self._receiver = receiver
        self._key: NDArray[np.uint64] = np.frombuffer(plan.key, "<u8")
        self._longest_ns = int(plan.config.talk.wait.seconds * 1e9) + GRACE_NS
        self._opened = open_connections()
        self._collection = Collection([probe.name for probe in plan.probes], plan.attempts)
        self._events = np.zeros((BATCH, WIDTH), np.int64)
        self._shut = np.zeros(BATCH, REPLY_DTYPE)
        self._row = np.zeros(FIELDS, np.int64)
        self._counted = np.zeros(len(COUNTS), np.int64)
        self._first_data = first_data or FirstData()
        self._first_data.keep(plan.config.talk.first_bytes)
        self._speakers: dict[tuple[int, int], Collector] = {}
        """Targets that sent data, by probe and number of the protocol."""

    def block(self, block: NDArray[np.uint8], packets: int, replies: NDArray[np.void]) -> None:
        """Follow the connections of a block: see `follow_block`."""
        del packets
        if len(replies) > len(self._shut):
            self._events = np.zeros((len(replies), WIDTH), np.int64)
            self._shut = np.zeros(len(replies), REPLY_DTYPE)
        first = self._first_data
        first.make_room(len(replies))
        events, shut = follow_block(
            block,
            replies,
            self._constants,
            self._key,
            self._opened,
            self._longest_ns,
            self._events,
            self._shut,
            self._row,
            first.protocols,
            first.lengths,
            first.data,
        )
        self._note_speakers(replies, first.protocols[: len(replies)])
        if shut:
            self._collection.add(self._shut[:shut])
        if self._shared is not None:
            self._hand_over(self._shared, self._events[:events])

    def _note_speakers(self, replies: NDArray[np.void], protocols: NDArray[np.uint8]) -> None:
        """Add the targets of a block whose data has a known protocol to the sets of that protocol."""
        known = np.flatnonzero((protocols != NO_DATA) & (protocols != 0))
        if not len(known):
            return
        probes, numbers, targets = replies["probe"][known], protocols[known], replies["target"][known]
        for probe, number in set(zip(probes.tolist(), numbers.tolist(), strict=True)):
            collector = self._speakers.setdefault((probe, number), Collector())
            collector.add(np.ascontiguousarray(targets[(probes == probe) & (numbers == number)]))

    def _hand_over(self, shared: TalkShared, rows: NDArray[np.int64]) -> None:
        """Put events into the ring of this receiver; those that find no room are counted and dropped."""
        ring, me = shared.events[self._receiver], self._receiver
        begin = int(shared.written[me])
        room = len(ring) - (begin - int(shared.read[me]))
        shared.lost[me] += max(0, len(rows) - room)
        rows = rows[:room]
        ring[np.arange(begin, begin + len(rows)) % len(ring)] = rows
        fence()
        shared.written[me] = begin + len(rows)

    def batch(self, replies: NDArray[np.void]) -> None:
        """Take the verdicts of the talker. The replies themselves are in the sets already."""
        del replies
        if self._shared is None or self._receiver != 0:
            return
        verdicts = self._shared.take_verdicts()
        if len(verdicts):
            mute = np.zeros(len(verdicts), REPLY_DTYPE)
            mute["source"] = mute["target"] = verdicts[:, VERDICT_TARGET]
            mute["probe"], mute["attempt"] = verdicts[:, VERDICT_PROBE], verdicts[:, VERDICT_ATTEMPT]
            mute["kind"], mute["tier"] = Kind.MUTE, Tier.STRONG
            self._collection.add(mute)

    @property
    def held(self) -> int:
        """Upper bound of the number of addresses in the sets."""
        return self._collection.held + sum(collector.held for collector in self._speakers.values())

    def take(self, tally: Tally) -> Parts:
        """Add the messages and counts of talks to a tally, and return a function that finishes the sets."""
        tally.add(self._tally())
        parts, speakers = parts_of(self._collection), self._speakers
        self._speakers = {}
        names = self._collection.probes

        def finished() -> Iterator[tuple[PartKey, BitMap]]:
            yield from parts()
            for (probe, number), collector in speakers.items():
                reply = ReplyKey(names[probe], Kind.PAYLOAD)
                yield PartKey(reply, Role.TARGET, 0, number), collector.finish()

        return finished

    def _tally(self) -> Tally:
        by_attempt, weak = self._collection.take_counts()
        talk = {}
        if self._shared is not None and self._receiver == 0:
            totals = self._shared.totals()
            talk = dict(zip(COUNTS, (totals - self._counted).tolist(), strict=True))
            self._counted = totals
        messages = {probe: {label: sum(n) for label, n in counts.items()} for probe, counts in by_attempt.items()}
        return Tally(messages=messages, weak=weak, by_attempt=by_attempt, talk=talk)


class TalkSinks(SinkKind):
    """Followers of talks, for configs with applications."""

    def open(self, context: SinkContext) -> TalkSink | None:
        """Return the follower of one receiver, or None if nobody is talked to."""
        if not context.plan.talks:
            return None
        talk = context.shared.talk
        return TalkSink(context.plan, context.constants, talk, context.receiver, context.first_data)

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernel that follows connections, if services are talked to."""
        if plan.talks:
            link = LinkAddresses(bytes(6), bytes(6))
            constants = build_constants(plan.probes, plan.cookie, link, (), applications=plan.config.applications)
            sink = TalkSink(plan, constants, None, 0)
            sink.block(pack_block([(time.time_ns(), bytes(60))]), 1, np.zeros(0, REPLY_DTYPE))

    def conclude(self, plan: "Plan", directory: "RunDirectory", received: Received) -> Conclusion:
        """Return the counts of talks for the manifest, and a line for each way in which the talker fell behind."""
        del directory
        counts = received.tally.talk
        return Conclusion({"talk": counts}, overload_of(counts)) if plan.talks else Conclusion()


def overload_of(counts: Mapping[str, int]) -> list[str]:
    """Return what the counts of talks say about a talker that could not keep up.

    Some SYN-ACKs are refused in each run, such as those that come after its end. Those of withdrawn targets say nothing
    about the talker.
    """
    lines = []
    lost, refused = counts.get("lost_events", 0) + counts.get("lost_verdicts", 0), counts.get("refused", 0)
    full, late = counts.get("no_room", 0), counts.get("late", 0)
    others = refused - full - counts.get("refused_withdrawn", 0)
    remedy = "raise talk.rate or lower the rate"
    if lost:
        lines.append(f"{lost:,} events of talks were lost because the talker could not keep up: {remedy}")
    if full:
        lines.append(
            f"{full:,} SYN-ACKs were not talked to because too many talks were under way: lower the rate or talk.wait"
        )
    if others > max(REFUSED_LEAST, REFUSED_SHARE * counts.get("talks", 0)):
        why = f"more than {REFUSED_SHARE:.0%} of the talks: {remedy}; a resumed run refuses some, too"
        lines.append(f"{others:,} SYN-ACKs were not talked to, {why}")
    if late:
        lines.append(f"{late:,} services waited longer than a second for the request: {remedy}")
    return lines
