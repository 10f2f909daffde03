"""Passive runs on disk: the classified traffic of a network, and the sets of its addresses."""

from pathlib import Path
from typing import Any

from pyroaring import BitMap

from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.files.reading import read_below
from liveness.ipsets.roaring import SET_BYTES, SetDigest, parse_roaring
from liveness.passive.manifest import load_manifest, load_results
from liveness.runs.kinds import MANIFEST_FILE
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines


class Passive:
    """Run of `liveness passive`: opened by `open_passive`. Nothing is changed on disk."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._manifest = load_manifest(self._path)

    def __repr__(self) -> str:
        return f"Passive({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._path

    @property
    def status(self) -> str:
        """The status of the run: `running`, `partial` or `complete`."""
        return self._manifest.status

    @property
    def local(self) -> Intervals:
        """The addresses of the network whose traffic the run classified. LivenessError if the manifest has none."""
        entries = self._manifest.config.get("local", [])
        try:
            return parse_lines([str(entry) for entry in entries])
        except (TypeError, UsageError) as problem:
            raise LivenessError(f"{self.path / MANIFEST_FILE}: config.local: no prefixes of a network") from problem

    @property
    def keys(self) -> tuple[str, ...]:
        """The kind of every set of the run: `two-way`, `one-way`, `grey`. Sets without a member are left out."""
        return tuple(entry.kind for entry in self._manifest.sets)

    def set(self, kind: str) -> BitMap:
        """Return the local addresses of one set, as numbers in host order.

        Raises UsageError for a kind that the run has no set of, and LivenessError for a damaged file.
        """
        for entry in self._manifest.sets:
            if entry.kind == kind:
                return self._read(entry.file, SetDigest(entry.cardinality, entry.sha256))
        raise UsageError(f"{self.path}: set {kind!r}: this run has {', '.join(self.keys) or 'none'}")

    def _read(self, name: str, expected: SetDigest) -> BitMap:
        try:
            with Directory.open(self.path) as directory:  # a name in a manifest leads nowhere else
                content = read_below(directory, name, SET_BYTES)
        except OSError as problem:
            raise LivenessError(f"{self.path / name}: cannot read this set: {problem.strerror}") from problem
        return parse_roaring(content, self.path / name, expected)

    def document(self) -> dict[str, Any]:
        """Return the results as `liveness passive report --json` prints them.

        Raises UsageError if the run has no results yet.
        """
        return load_results(self.path)


def open_passive(path: str | Path) -> Passive:
    """Return the passive run in a run directory. Raises UsageError if there is none in it."""
    return Passive(path)
