"""The run directory: one census on disk, `<output>/<name>/<run id>/` with its manifest, its sets and its key."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pyroaring import BitMap

from liveness.errors import LivenessError, RefusedError, UsageError
from liveness.files import locks
from liveness.files.directory import Directory
from liveness.files.reading import open_regular, read_below
from liveness.ipsets.roaring import SET_BYTES, parse_roaring, serialized
from liveness.replies import SetKey
from liveness.runs import kinds
from liveness.runs.manifest import Manifest
from liveness.runs.manifest_file import encode_manifest, load_manifest
from liveness.runs.segment import SegmentFile
from liveness.runs.set_entry import SetEntry
from liveness.space.intervals import Intervals
from liveness.space.prefixes import read_stream

MANIFEST_FILE = kinds.MANIFEST_FILE
PASSIVE_FILE = "passive.json"
"""The results of a passive run, which has a manifest of its own: no run of a census."""
KEY_FILE = "key"
TARGETS_FILE = "targets.txt"
SEGMENTS = "segments"
CHECKPOINT_FILE = "checkpoint.json"
LOCK_FILE = "lock"
_SEGMENT_NAME = re.compile(r"(\d+)-(?:level(\d+)-)?(\d+)\.segment")
_NUMBERED = re.compile(r"\d+-(?:level\d+-)?(\d+)\.segment")
KEY_BYTES = 16  # SipHash-2-4 takes 128 bits
RUN_ID = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]{1,255}")
"""The name of a run's directory as a file may give it: never a path, and not hidden."""


def new_run_id() -> str:
    """Return the default run id: the UTC time of now, to the second, without colons (they trouble shells and rsync)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")


def is_run_id(text: str) -> bool:
    """Return whether a text, perhaps from a file, can be the name of a run's directory."""
    return RUN_ID.fullmatch(text) is not None


def check_names(name: str, run_id: str | None) -> None:
    """Raise UsageError for the name of a census or a run id that cannot be the name of a directory."""
    for word, meaning in ((name, "name"), (run_id, "run id")):
        if word is not None and not is_run_id(word):
            raise UsageError(
                f"{meaning} {word!r} cannot be the name of a directory: no slashes, no control characters, no dot"
                " first, at most 255 characters"
            )


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The place of one run; it remembers nothing but its path.

    Files are written, locked and removed by descriptor: no link below `within` (by default the run itself) is followed.
    For reading, links are followed, so parts of a run may be elsewhere.
    """

    path: Path
    within: Path | None = field(default=None, compare=False)

    @classmethod
    def create(cls, output: Path, name: str, run_id: str | None = None) -> "RunDirectory":
        """Make a new run directory. Raises UsageError that names the path if it exists or cannot be made."""
        run_id = new_run_id() if run_id is None else run_id
        check_names(name, run_id)
        return cls.create_at(output / name / run_id)

    @classmethod
    def create_at(cls, path: Path) -> "RunDirectory":
        """Make a new run directory at a path. Raises UsageError that names it if it exists or cannot be made."""
        try:
            with (
                Directory.make(path.parent) as above,
                above.make_directory(path.name, exist_ok=False) as directory,
            ):
                directory.make_directory("sets").close()
                directory.make_directory(SEGMENTS).close()
        except FileExistsError as problem:
            raise UsageError(f"{path}: this run exists already: give another run id") from problem
        except OSError as problem:
            if path.parent.is_file():
                raise UsageError(f"{path}: cannot make a run directory here: a file is in the way") from problem
            raise UsageError(f"{path}: cannot make this run directory: {problem.strerror}") from problem
        return cls(path, path.parent)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Return an existing run directory. Raises UsageError if there is no manifest in it."""
        kinds.check_directory(path, kinds.CENSUS)
        return cls(path)

    def write_set(self, key: SetKey, addresses: BitMap) -> SetEntry:
        """Write one set under its usual name and return its manifest entry.

        Raises ValueError for an empty set, which a manifest leaves out, and LivenessError when the disk refuses.
        """
        if not addresses:
            raise ValueError(f"{key.file}: a set with no member is left out of a run")
        content, digest = serialized(addresses)
        self._write(key.file, content)
        return SetEntry.of(key, digest)

    def read_set(self, entry: SetEntry) -> BitMap:
        """Read and verify one set. Raises LivenessError that names the file if it is missing or damaged."""
        path = self.path / entry.file
        try:
            with self.files() as directory:
                content = read_below(directory, entry.file, SET_BYTES)
        except OSError as problem:
            raise LivenessError(f"{path}: cannot read this set: {problem.strerror}") from problem
        return parse_roaring(content, path, entry.digest)

    def files(self) -> Directory:
        """Open the directory of this run, for operations below it. Raises OSError."""
        base = self.path if self.within is None else self.within
        return Directory.open(base, self.path.relative_to(base))

    def _write(self, name: str, content: bytes, mode: int = 0o666) -> None:
        """Replace a file of this run by rename. Raises LivenessError that names it."""
        try:
            with self.files() as directory:
                directory.write(name, content, mode)
        except OSError as problem:
            raise LivenessError(f"{self.path / name}: cannot write: {problem.strerror}") from problem

    def lock(self) -> int:
        """Take this run for writing; return the lock's descriptor. RefusedError if another process has it."""
        work, remedy = "a scan is at work on this run", "wait for its end, or stop it"
        try:
            with self.files() as directory:
                return locks.take(directory, LOCK_FILE, self.path, work, remedy)
        except OSError as problem:
            raise LivenessError(f"{self.path}: cannot lock this run: {problem.strerror}") from problem

    def segment_path(self, receiver: int, number: int, level: int = 0) -> Path:
        """Return where a receiver puts its segment of that number; the level says how often it was compacted."""
        between = f"level{level}-" if level else ""
        return self.path / SEGMENTS / f"{receiver}-{between}{number:06d}.segment"

    def segment_names(self) -> list[tuple[int, int, int]]:
        """Return receiver, level and number of every segment."""
        names = (_SEGMENT_NAME.fullmatch(path.name) for path in (self.path / SEGMENTS).glob("*.segment"))
        return [(int(name[1]), int(name[2] or 0), int(name[3])) for name in names if name]

    def segments(self, damaged: Callable[[LivenessError, Path], None] | None = None) -> list[SegmentFile]:
        """Open the whole segments that count: those that others replace are left out.

        Raises LivenessError that names one that is damaged, or passes that and its path to `damaged` and continues.
        """
        found: dict[str, SegmentFile] = {}
        for path in sorted((self.path / SEGMENTS).glob("*.segment")):
            try:
                found[path.name] = SegmentFile(path)
            except LivenessError as error:
                if damaged is None:
                    raise
                damaged(error, path)
        replaced = {name for segment in found.values() for name in segment.replaces}
        return [segment for name, segment in found.items() if name not in replaced]

    def next_segment(self) -> int:
        """Return a number that no segment of this run has."""
        names = (_NUMBERED.match(path.name) for path in (self.path / SEGMENTS).glob("*.segment*"))
        return max((int(name[1]) + 1 for name in names if name), default=0)

    def remove_traces(self) -> None:
        """Remove the files that only a run which has not ended needs: segments, checkpoint and lock."""
        with suppress(OSError), self.files() as directory:
            with suppress(OSError):
                directory.remove_tree(SEGMENTS)
            for file in (CHECKPOINT_FILE, LOCK_FILE):
                directory.remove(file)

    def remove_lock(self) -> None:
        """Remove the lock file, whose lock the caller holds, of a run that is complete."""
        with suppress(OSError), self.files() as directory:
            directory.remove(LOCK_FILE)

    def set_aside(self, segment: Path) -> None:
        """Rename a damaged segment so that it no longer counts. Raises OSError."""
        with self.files() as directory:
            directory.move(f"{SEGMENTS}/{segment.name}", f"{SEGMENTS}/{segment.stem}.damaged")

    @property
    def checkpoint_path(self) -> Path:
        """The path of the checkpoint of a run that has not ended."""
        return self.path / CHECKPOINT_FILE

    def write_key(self, key: bytes) -> None:
        """Keep the cookie key of the run where only its owner can read it (mode 0600)."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a cookie key has {KEY_BYTES} bytes, not {len(key)}")
        self._write(KEY_FILE, key, mode=0o600)

    def read_key(self) -> bytes:
        """Return the cookie key of the run, `KEY_BYTES` long. Raises LivenessError that names the file."""
        path = self.path / KEY_FILE
        try:
            with self.files() as directory:
                key = read_below(directory, KEY_FILE)
        except OSError as problem:
            remedy = ": copy it from where the scan ran: without it no reply can be proven" * (not path.exists())
            raise LivenessError(f"{path}: cannot read the key of this run: {problem.strerror}{remedy}") from problem
        if len(key) != KEY_BYTES:
            raise LivenessError(f"{path}: damaged: a key has {KEY_BYTES} bytes, this file {len(key)}")
        return key

    def write_targets(self, entries: Iterable[str]) -> None:
        """Keep what the run was to probe, an entry a line: lists named in its config may change or go."""
        try:
            with self.files() as directory, directory.replaced(TARGETS_FILE) as file:
                file.writelines(f"{entry}\n".encode() for entry in entries)
        except OSError as problem:
            raise LivenessError(f"{self.path / TARGETS_FILE}: cannot write: {problem.strerror}") from problem

    def targets_digest(self) -> str | None:
        """Return the SHA-256 of the file of targets in hex; None if there is none that can be read."""
        try:
            with self.files() as directory, os.fdopen(directory.open_file(TARGETS_FILE), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    def check_targets(self, expected: str | None) -> None:
        """Raise RefusedError if the file of targets is not what it was when the run began; None is not checked."""
        if expected is None or (found := self.targets_digest()) in (None, expected):
            return  # reading the file reports that it cannot be read
        raise RefusedError(
            f"{self.path / TARGETS_FILE}: changed since the run began: its SHA-256 is {found}, the manifest says"
            f" {expected}: put back the file as it was, or begin a new run"
        )

    def read_targets(self) -> Intervals:
        """Read what the run was to probe. Raises UsageError that names the file and the line."""
        path = self.path / TARGETS_FILE
        try:
            with open_regular(path) as stream:  # opening a pipe in its place would block
                return read_stream(stream, str(path))
        except OSError as problem:
            raise UsageError(f"{path}: cannot read this address list: {problem.strerror or problem}") from problem

    def discard(self) -> None:
        """Remove the directory of a run that never began, and the directory of its name if that is empty."""
        with suppress(OSError), Directory.open(self.path.parent) as above:
            above.remove_tree(self.path.name)
        with suppress(OSError):
            self.path.parent.rmdir()

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest by rename. Raises LivenessError that names the file."""
        self._write(MANIFEST_FILE, encode_manifest(manifest))

    def read_manifest(self) -> Manifest:
        """Read and validate the manifest. Raises LivenessError that names the file and the path inside it."""
        return load_manifest(self.path / MANIFEST_FILE)
