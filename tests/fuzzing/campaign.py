"""The campaign: batches of mutated golden packets through the matcher, and what it must never do with them.

Each packet is matched twice: at the very end of memory, and between bytes of another value, with other leftovers in the
scratch row and the record. Whatever is read or left over from outside the packet shows as a difference, and with
``NUMBA_BOUNDSCHECK=1`` (or as plain Python) as an IndexError. Strong evidence is checked by the oracle.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets.parse import ACCEPTED, FIELDS
from liveness.probes.match import match_frame
from liveness.probes.run_constants import RunConstants
from liveness.replies import REPLY_DTYPE, Rejection, Tier
from tests.frames import Scanner, address, intervals
from tests.fuzzing.mutation import DRAWS, LONGEST, mutate
from tests.fuzzing.oracle import TARGET, is_proven, truth
from tests.golden import sent
from tests.golden.captures import DIRECTORY, TABLES, read_capture

BATCH: Final = 8192
GUARD: Final = 128
TAIL: Final = 1 << 17
"""Bytes behind a frame: more than any length field of 16 bits can point to."""
TIME_NS: Final = sent.SENT_NS + 12_345_678
TARGETS: Final = intervals(*((address(low), address(high)) for low, high in sent.TARGETS))
CHECKED_DRAW: Final = DRAWS - 1
_STRONG: Final = int(Tier.STRONG)
_SOURCE: Final = address(sent.SCANNER)

PROVEN: Final = 1
UNPROVEN: Final = 2
"""What the kernel notes of a strong reply."""


def golden_frames() -> list[bytes]:
    """Return all golden packets."""
    return [frame for name in TABLES for _, frame in read_capture(DIRECTORY / f"{name}.pcap")]


@dataclass(frozen=True)
class Finding:
    """A packet that broke an invariant."""

    what: str
    frame: bytes


@dataclass
class Outcomes:
    """What became of a batch: status and record of each packet, and its frame's bytes by drawing it again."""

    statuses: NDArray[np.int64]
    records: NDArray[np.void]


@kernel
def run_batch(
    seeds: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    draws: NDArray[np.uint32],
    tight: NDArray[np.uint8],
    wide: NDArray[np.uint8],
    rows: NDArray[np.int64],
    constants: RunConstants,
    first: NDArray[np.uint32],
    last: NDArray[np.uint32],
    table: NDArray[np.int64],
    statuses: NDArray[np.int64],
    records: NDArray[np.void],
    verdicts: NDArray[np.int64],
    progress: NDArray[np.int64],
) -> None:
    """Mutate and match a batch; statuses and records are (2, batch), tight and wide hold a frame behind their guard."""
    for i in range(len(draws)):
        progress[0] = i
        length = mutate(tight[GUARD:], draws[i], seeds, lengths)
        for at in range(LONGEST):
            wide[GUARD + at] = tight[GUARD + at] if at < length else 0xFF
        rows[0, :] = 0
        rows[1, :] = 0x5A5A5A5A5A
        check = int64(draws[i, CHECKED_DRAW]) % 4 == 0
        for turn in range(2):
            memory = tight[: GUARD + length] if turn == 0 else wide
            statuses[turn, i] = match_frame(
                memory,
                GUARD,
                length,
                TIME_NS,
                check,
                check,
                constants,
                first,
                last,
                rows[turn],
                records[turn, i],
            )
        reply = records[0, i]
        verdicts[i] = 0
        if statuses[0, i] == ACCEPTED and int64(reply["tier"]) == _STRONG:
            kind, probe, attempt = int64(reply["kind"]), int64(reply["probe"]), int64(reply["attempt"])
            proven = int64(reply["target"]) == TARGET and is_proven(wide, GUARD, kind, probe, attempt, table)
            verdicts[i] = PROVEN if proven else UNPROVEN


@dataclass
class Campaign:
    """Runs batches; the same seed gives the same packets, compiled or not."""

    seed: int
    scanner: Scanner = field(default_factory=Scanner)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Rejection) + 2, np.int64))
    """Packets by rejection, then the weak and the strong replies."""

    def __post_init__(self) -> None:
        """Lay out the golden packets as seeds."""
        frames = golden_frames()
        self.seeds = np.zeros((len(frames), LONGEST), np.uint8)
        for row, frame in zip(self.seeds, frames, strict=True):
            row[: len(frame)] = np.frombuffer(frame, np.uint8)
        self.lengths = np.array([len(frame) for frame in frames], np.int64)
        self.table = truth()

    def draws(self, batch: int, count: int = BATCH) -> NDArray[np.uint32]:
        """Return the numbers that make the packets of a batch."""
        generator = np.random.default_rng([self.seed, batch])
        return generator.integers(0, 2**32, (count, DRAWS), np.uint32)

    def frame(self, batch: int, index: int) -> bytes:
        """Return a packet of a batch."""
        memory = np.zeros(LONGEST, np.uint8)
        length = mutate(memory, self.draws(batch)[index], self.seeds, self.lengths)
        return memory[:length].tobytes()

    def run(self, batch: int, count: int = BATCH) -> tuple[Outcomes, list[Finding]]:
        """Run the first `count` packets of a batch; return their outcomes and what was found."""
        draws = self.draws(batch)[:count]
        tight, wide = np.zeros(GUARD + LONGEST, np.uint8), np.full(GUARD + LONGEST + TAIL, 0xFF, np.uint8)
        statuses, verdicts, progress = np.zeros((2, count), np.int64), np.zeros(count, np.int64), np.zeros(1, np.int64)
        records = np.zeros((2, count), REPLY_DTYPE)
        records[1] = np.frombuffer(b"\xff" * REPLY_DTYPE.itemsize, REPLY_DTYPE)
        run = (self.scanner.constants, *TARGETS, self.table)
        rows = np.zeros((2, FIELDS), np.int64)
        outputs = (statuses, records, verdicts, progress)
        try:
            run_batch(self.seeds, self.lengths, draws, tight, wide, rows, *run, *outputs)
        except Exception as error:  # noqa: BLE001 - whatever a kernel raises is a finding
            finding = Finding(f"raised {error!r}", self.frame(batch, int(progress[0])))
            return Outcomes(statuses[0, :0], records[0, :0]), [finding]
        records[statuses != ACCEPTED] = 0
        self._count(statuses[0], records[0])
        return Outcomes(statuses[0], records[0]), list(self._findings(batch, statuses, records, verdicts))

    def _count(self, statuses: NDArray[np.int64], records: NDArray[np.void]) -> None:
        accepted = statuses == ACCEPTED
        self.counts[:-2] += np.bincount(statuses[~accepted], minlength=len(Rejection))
        self.counts[-2:] += np.bincount(records["tier"][accepted], minlength=len(Tier))

    def _findings(
        self, batch: int, statuses: NDArray[np.int64], records: NDArray[np.void], verdicts: NDArray[np.int64]
    ) -> Iterator[Finding]:
        bytes_of = records.view(np.uint8).reshape(*statuses.shape, -1)
        differs = (statuses[0] != statuses[1]) | np.any(bytes_of[0] != bytes_of[1], axis=1)
        for index in np.flatnonzero(differs).tolist():
            yield Finding("depends on what lies outside the packet", self.frame(batch, index))
        for index in np.flatnonzero(verdicts == UNPROVEN).tolist():
            yield Finding(f"strong without its cookie: {records[0, index]}", self.frame(batch, index))


def main() -> None:
    """Write the outcomes of a campaign's first packets to a file: arguments are seed, count and path."""
    seed, count, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    campaign, statuses, records = Campaign(seed), [], []
    for batch in range(-(-count // BATCH)):
        outcomes, findings = campaign.run(batch, min(BATCH, count - batch * BATCH))
        for finding in findings:
            sys.stderr.write(f"{finding.what}: {finding.frame.hex()}\n")
        statuses.append(outcomes.statuses)
        records.append(outcomes.records)
    np.savez(path, statuses=np.concatenate(statuses), records=np.concatenate(records).view(np.uint8))


if __name__ == "__main__":
    main()
