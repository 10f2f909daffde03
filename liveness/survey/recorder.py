"""The recorder of a survey's rounds: it counts each round when its replies have come, and stores it when it is final.

A round has three ages. While it is sent and for an interval more its bits may become positive or negative. Then it is
counted. Late replies may come for as long as they can name it; after that the round is appended to the stored ones.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from liveness.clock import utc
from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.files.reading import MIB, read_below
from liveness.order.rounds import Rounds
from liveness.planes.live import BOOT, LATE, LISTENED_NS, NEGATIVE, POSITIVE, SENT, START_NS, SYNCED_NS, LivePlanes
from liveness.planes.matrix import ONES
from liveness.planes.stored import StoredRounds
from liveness.space.intervals import Intervals
from liveness.survey.gaps import Gap, Gaps, read_gaps, unsent_bits, write_gaps

SYNC_EVERY_S: Final = 60.0
"""Time after which what was received survives a power failure; a shorter interval is synced every round."""
SETTLING_NS: Final = 500_000_000
"""A round is counted and stored this long after its time, so that the last replies are taken off the ring."""
RECORD: Final = "rounds.jsonl"
MOST_RECORD_BYTES: Final = 256 * MIB
"""Of the record: MAX_ROUNDS lines of one probe."""
FEWER: Final = 0.5
"""A round with less than this share of the positive replies of the round before is worth a warning."""
NOTABLE: Final = 100
"""Positive replies of a round below which their number is left to chance."""


class ProbeCount(Struct, frozen=True, kw_only=True):
    """Addresses of one round: to how many a probe left, and how many replied within the interval."""

    sent: int
    positive: int
    negative: int


class RoundCount(Struct, frozen=True, kw_only=True):
    """A line of the record of rounds."""

    round: int
    start: str
    probes: dict[str, ProbeCount]


@dataclass(slots=True)
class RoundRecorder:
    """The rounds of one session of a survey."""

    run: Path
    order: Rounds
    probes: Sequence[str]
    live: LivePlanes
    stored: StoredRounds
    notice: Callable[[str], None]
    gaps: Gaps = field(default_factory=Gaps)
    counted: int = 0
    """Rounds that are counted, in all sessions."""
    last: RoundCount | None = None
    _synced_s: float = field(default_factory=time.monotonic)

    def open(self, now_ns: int) -> None:
        """Take over what an earlier session left, and note what its end made uncertain.

        No receiver has run since its last replies were taken, so every probe of the interval before that and later
        counts as not sent. After a failure of power the same holds from the last replies that are certainly on disk.
        """
        self.gaps = read_gaps(self.run)
        header = self.live.header
        here = boot_hash()
        heard_ns = min(now_ns, int(header[LISTENED_NS] if header[BOOT] == here else header[SYNCED_NS]))
        if header[START_NS]:
            since_ns = max(heard_ns - self.order.interval_ns, self.order.start_ns)
            self.cut(since_ns, now_ns, "nobody listened between two sessions")
        header[BOOT] = here
        self.counted = max((line.round + 1 for line in rounds_of_record(self.run)), default=0)

    def cut(self, start_ns: int, end_ns: int, cause: str, targets: Sequence[str] = ()) -> None:
        """Count all probes due in an interval of time as not sent. LivenessError if that cannot be written."""
        gaps = self.gaps.with_gap(Gap(start_ns=start_ns, end_ns=end_ns, cause=cause, targets=list(targets)))
        if gaps is not self.gaps:
            self.gaps = gaps
            write_gaps(self.run, gaps)

    def withdraw(self, at_ns: int, targets: Intervals) -> None:
        """Note that addresses opted out. LivenessError if that cannot be written."""
        gaps = self.gaps.with_withdrawal(at_ns, targets)
        if gaps is not self.gaps:
            self.gaps = gaps
            write_gaps(self.run, gaps)

    def look(self, now_ns: int) -> None:
        """Count, store and write through what is due. LivenessError if the disk refuses."""
        if now_ns < self.order.start_ns:
            return
        while self.counted < min(self._ended(now_ns), self.order.rounds):
            self._count(self.counted)
            self.counted += 1
        self._store_to(min(self._final(now_ns), self.order.rounds))
        every_s = min(SYNC_EVERY_S, self.order.interval_ns / 1e9)
        if time.monotonic() >= self._synced_s + max(every_s, 1.0):
            self._synced_s = time.monotonic()
            self.live.sync()

    def _store_to(self, rounds: int) -> None:
        """Store all rounds before the round `rounds`; those of a long pause, in which nothing was sent, at once."""
        while self.live.stored < rounds:
            if rounds - self.live.stored > self.live.depth and not self.live.bits.any():
                self.stored.append_nothing(rounds - self.live.stored)
                self.live.begin_at(rounds)
                return
            self.store(self.live.stored)

    def _ended(self, now_ns: int) -> int:
        """Return the number of rounds to which no timely reply can come any more."""
        return self.order.round_at(now_ns - SETTLING_NS) - 1

    def _final(self, now_ns: int) -> int:
        """Return the number of rounds to which no reply can come any more."""
        return self.order.round_at(now_ns - SETTLING_NS) - self.order.marks_of_rounds - 1

    def settled(self, number: int) -> NDArray[np.uint8]:
        """Return the planes of a live round, (probes, planes, bytes), as they count.

        Probes in gaps are not sent. A timely positive reply outweighs a negative one, both outweigh a late one.
        """
        planes = self.live.of_round(number).copy()
        unsent = unsent_bits(self.order, number, self.gaps)
        if unsent is not None:
            planes[:, SENT] &= ~unsent
        planes[:, POSITIVE] &= planes[:, SENT]
        planes[:, NEGATIVE] &= planes[:, SENT] & ~planes[:, POSITIVE]
        planes[:, LATE] &= planes[:, SENT] & ~planes[:, POSITIVE] & ~planes[:, NEGATIVE]
        return planes

    def planes_of(self, number: int) -> NDArray[np.uint8]:
        """Return the planes of a round, stored or live, as they count. ValueError if the session never recorded it."""
        return self.stored.of_round(number) if number < self.stored.rounds else self.settled(number)

    def store(self, number: int) -> None:
        """Append the oldest live round to the stored ones, and make room for another. LivenessError names a file."""
        self.stored.append(self.settled(number))
        self.live.release(number)

    def _count(self, number: int) -> None:
        """Add a round to the record, and warn if replies fell."""
        try:
            planes = self.settled(number)
        except ValueError:  # the session was suspended for longer than the live planes reach
            return
        counts = ONES[planes[:, :LATE]].sum(axis=2, dtype=np.int64).tolist()
        line = RoundCount(
            round=number,
            start=utc(self.order.start_ns + number * self.order.interval_ns),
            probes={
                name: ProbeCount(sent=sent, positive=positive, negative=negative)
                for name, (sent, positive, negative) in zip(self.probes, counts, strict=True)
            },
        )
        with suppress(OSError), Directory.open(self.run) as directory:  # a full disk is reported with the planes
            descriptor = directory.append_to(RECORD)
            try:
                os.write(descriptor, msgspec.json.encode(line) + b"\n")
            finally:
                os.close(descriptor)
        self._compare(line)
        self.last = line

    def _compare(self, line: RoundCount) -> None:
        if self.last is None or line.round != self.last.round + 1:
            return
        for name, count in line.probes.items():
            before = self.last.probes[name]
            if before.positive < NOTABLE or count.sent < before.sent / 2:
                continue
            share, share_before = count.positive / count.sent, before.positive / before.sent
            if share < FEWER * share_before:
                self.notice(
                    f"WARNING: round {line.round}: {name}: {share:.1%} of the probes got a positive reply,"
                    f" {share_before:.1%} in the round before: this host lost its connection, or many networks failed"
                )


def boot_hash() -> int:
    """Return a number that identifies this boot of the machine."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        name = b""
    return int.from_bytes(hashlib.sha256(name).digest()[:7], "little")


def rounds_of_record(run: Path) -> list[RoundCount]:
    """Return the record of rounds; a line that was cut short is left out."""
    try:
        with Directory.open(run) as directory:
            lines = read_below(directory, RECORD, MOST_RECORD_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise LivenessError(f"{run / RECORD}: cannot read the record of rounds: {problem.strerror}") from problem
    found = []
    for content in lines:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found.append(msgspec.json.decode(content, type=RoundCount))
    return found
