"""Partitions: observations on disk, a file an interval, so that an interval is in memory only while it is worked on.

A journal names the inputs that are read whole, with the length that each file then had: a run that is resumed cuts the
files to these lengths, and reads on with the next input.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, RefusedError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_bytes
from liveness.flows.record import Flows, Notes, encodable
from liveness.passive.below import appending, opened, reading, remove_all
from liveness.passive.gates import Gates
from liveness.passive.records import OBSERVATION_DTYPE, Observations

JOURNAL: Final = "journal.json"
SUFFIX: Final = ".observations"
PENDING_BYTES: Final = 64 << 20
"""So much waits in memory before it is appended to files."""
FEW_INTERVALS: Final = 64
BLOCK: Final = 1 << 16
"""So many observations are read back at a time."""
BLOCK_BYTES: Final = BLOCK * OBSERVATION_DTYPE.itemsize


Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Interval = Annotated[int, msgspec.Meta(gt=-(1 << 40), lt=1 << 40)]
WRONG: Final = "a damaged journal: start a new run"


class InputRecord(msgspec.Struct, kw_only=True):
    """An input that was read: its name, and what distinguishes it from another one of that name."""

    path: str
    bytes: int
    modified_ns: int
    records: int


class Journal(msgspec.Struct, kw_only=True):
    """What partitions hold after the last input that was read whole."""

    inputs: list[InputRecord] = []
    lengths: dict[Interval, Count] = {}
    counts: list[Count] = []
    late: int = 0
    exporters: list[str] = []
    exporter_records: dict[str, Count] = {}
    exporter_invalid: dict[str, Count] = {}
    sampling: dict[str, int] = {}
    undecoded: dict[str, int] = {}
    damage: list[str] = []
    newest_ns: int = 0


def digest_of(name: str) -> int:
    """Return a 32-bit digest of an exporter's name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")


@dataclass(slots=True, eq=False)
class Partitions:
    """Takes batches of flow records, and keeps their observations by interval."""

    folder: Path
    gates: Gates
    interval_ns: int
    forced: bool
    """Whether sampled records are taken as they are."""
    journal: Journal = field(default_factory=Journal)
    notes: Notes = field(default_factory=Notes)
    closed: int = -(1 << 62)
    """The newest interval that takes no records any more: what comes for it is late."""
    _pending: dict[int, list[Observations]] = field(default_factory=dict)
    _pending_bytes: int = 0
    _lengths: Counter[int] = field(default_factory=Counter)
    _digests: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    _seen: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def resume(self) -> None:
        """Go back to the journal of an earlier session: cut every file to the length it names."""
        path = self.folder / JOURNAL
        if not path.is_file():
            remove_all(self.folder, SUFFIX)  # of an input that was not read whole: it is read again from its beginning
            return
        try:
            self.journal = decoded(read_bytes(path), Journal, path, WRONG)
        except OSError as error:
            raise LivenessError(f"{path}: {WRONG}: {error.strerror or error}") from error
        if len(self.journal.counts) != len(self.gates.counts):
            raise LivenessError(f"{path}: $.counts: {WRONG}: it has {len(self.journal.counts)} of them")
        self._lengths = Counter(self.journal.lengths)
        self.gates.counts[:] = self.journal.counts
        self.notes.undecoded.update(self.journal.undecoded)
        self.notes.damage += self.journal.damage
        for name in self.journal.exporters:
            self.notes.exporter(name)
        self._seen = np.array(
            [self.journal.exporter_records.get(name, 0) for name in self.notes.exporter_names()], np.int64
        )
        self.gates.invalid = np.array(
            [self.journal.exporter_invalid.get(name, 0) for name in self.notes.exporter_names()], np.int64
        )
        wanted = {f"{number}{SUFFIX}": length for number, length in self._lengths.items() if length}
        with opened(self.folder) as folder:
            for name in folder.names():
                if name.endswith(SUFFIX) and name not in wanted:
                    folder.remove(name)
            for name, length in wanted.items():
                self._shorten(folder, name, length)

    def _shorten(self, folder: Directory, name: str, length: int) -> None:
        """Cut a file to the length that the journal names. LivenessError where it is shorter, or no file of ours."""
        try:
            with os.fdopen(folder.open_to_map(name), "r+b") as stream:
                if os.fstat(stream.fileno()).st_size < length:
                    raise LivenessError(
                        f"{self.folder / JOURNAL}: {WRONG}: {name} has less than the {length:,} bytes it names"
                    )
                stream.truncate(length)
        except OSError as error:
            raise LivenessError(f"{self.folder / name}: cannot be resumed: {error.strerror or error}") from error

    @property
    def several(self) -> bool:
        """Whether records came from more than one exporter."""
        return int((self._seen > 0).sum()) > 1

    @property
    def intervals(self) -> list[int]:
        """The intervals that hold observations, in ascending order."""
        return sorted(self._lengths.keys() | self._pending.keys())

    @property
    def largest(self) -> int:
        """How many observations the largest interval has."""
        waiting = {number: sum(map(len, parts)) for number, parts in self._pending.items()}
        size = OBSERVATION_DTYPE.itemsize
        return max((self._lengths[number] // size + waiting.get(number, 0) for number in self.intervals), default=0)

    def take(self, flows: Flows) -> None:
        """Take a batch. RefusedError for records of a sample, unless forced."""
        if not len(flows):
            return
        self._note_exporters(flows)
        observations = self.gates.passing(flows, self._digests)
        if not len(observations):
            return
        self.journal.newest_ns = max(self.journal.newest_ns, int(observations["start_ns"].max()))
        numbers = observations["start_ns"] // self.interval_ns
        first, last = int(numbers.min()), int(numbers.max())
        if first == last:
            self._add(first, observations)
        elif last - first < FEW_INTERVALS:
            for number in range(first, last + 1):
                self._add(number, observations[numbers == number])
        else:
            order = np.argsort(numbers, kind="stable")
            found, at = np.unique(numbers[order], return_index=True)
            for number, part in zip(found.tolist(), np.split(order, at[1:]), strict=True):
                self._add(number, observations[part])
        if self._pending_bytes > PENDING_BYTES:
            self.flush()

    def _note_exporters(self, flows: Flows) -> None:
        names = self.notes.exporter_names()
        if len(names) != len(self._digests):
            self._digests = np.array([digest_of(name) for name in names], np.uint32)
            self._seen = np.concatenate((self._seen, np.zeros(len(names) - len(self._seen), np.int64)))
        self._seen += np.bincount(flows["exporter"], minlength=len(names))
        sampled = flows["sampling"] > 1
        if not sampled.any():
            return
        worst = flows[sampled][0]
        name, rate = names[int(worst["exporter"])], int(worst["sampling"])
        self.journal.sampling[name] = rate
        if not self.forced:
            raise RefusedError(
                f"exporter {name}: looks at 1 of {rate:,} packets: most flows lack their other direction, pairing says"
                " nothing: export without sampling, or take it as it is with --force"
            )

    def _add(self, number: int, observations: Observations) -> None:
        if number <= self.closed:
            self.journal.late += len(observations)
        elif len(observations):
            self._pending.setdefault(number, []).append(observations)
            self._pending_bytes += observations.nbytes

    def flush(self) -> None:
        """Append what waits to the files."""
        if not self._pending:
            return
        with opened(self.folder) as folder:
            for number, parts in self._pending.items():
                with appending(folder, f"{number}{SUFFIX}") as file:
                    for part in parts:
                        file.write(np.ascontiguousarray(part).tobytes())
                        self._lengths[number] += part.nbytes
        self._pending.clear()
        self._pending_bytes = 0

    def commit(self, record: InputRecord) -> None:
        """Note that an input is read whole."""
        self.journal.inputs.append(record)
        self.save()

    def save(self) -> None:
        """Write the journal."""
        self.flush()
        journal = self.journal
        journal.lengths = dict(self._lengths)
        journal.counts = self.gates.counts.tolist()
        journal.exporters = self.notes.exporter_names()
        seen = [*self._seen.tolist(), *[0] * (len(journal.exporters) - len(self._seen))]
        journal.exporter_records = dict(zip(journal.exporters, seen, strict=True))
        journal.exporter_invalid = self._invalid()
        journal.undecoded = dict(self.notes.undecoded)
        journal.damage = [encodable(line) for line in self.notes.damage]
        write_atomically(self.folder / JOURNAL, msgspec.json.encode(journal))

    def _invalid(self) -> dict[str, int]:
        """Return how many invalid records each exporter has sent."""
        counts = self.gates.invalid.tolist()
        return {name: number for name, number in zip(self.notes.exporter_names(), counts, strict=False) if number}

    def health(self) -> list[dict[str, Any]]:
        """Return what is known of each exporter: records, invalid ones among them, sampling."""
        journal, invalid = self.journal, self._invalid()
        return [
            {
                "exporter": name,
                "records": count,
                "invalid": invalid.get(name, 0),
                "sampling": journal.sampling.get(name),
            }
            for name, count in sorted(journal.exporter_records.items())
        ]

    def observations(self, number: int) -> "StoredBlocks":
        """Return the observations of an interval, which are read as they are needed."""
        self.flush()
        return StoredBlocks(self.folder / f"{number}{SUFFIX}")


@dataclass(frozen=True, slots=True)
class StoredBlocks:
    """The observations in a file, in blocks of bounded length; none if there is no such file."""

    path: Path

    def __iter__(self) -> Iterator[Observations]:
        """Read the blocks in order. LivenessError if the disk refuses."""
        with opened(self.path.parent) as folder:
            if folder.status(self.path.name) is None:
                return
            with reading(folder, self.path.name) as file:
                for _ in range(0, os.fstat(file.fileno()).st_size, BLOCK_BYTES):
                    yield np.fromfile(file, OBSERVATION_DTYPE, BLOCK)
