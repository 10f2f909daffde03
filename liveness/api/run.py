"""Runs on disk: their manifest, their sets and their log of replies."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.replies import Kind, roles_of
from liveness.runs import finding
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.runs.set_entry import SetEntry

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation


class Key(NamedTuple):
    """What one set of a run holds; `run.set(*key)` reads it."""

    probe: str
    """The probe that was answered: `icmp`, `tcp/443`, `dns`."""
    kind: str
    """The kind of the replies: `echo-reply`, `syn-ack`, `rst`, `answer`, `payload` or `error`.

    Those of talks with TCP services are also `closed`, `acked`, `mute` and `zero-window`.
    """
    role: str
    """Whose addresses these are: `source`, `target` or `direct`."""
    icmp: tuple[int, int] | None
    """ICMP type and code of errors, None for other kinds."""


class Run:
    """A run directory: what was planned, sent and received, and the addresses that replied.

    A run is opened by `open_run` or `find_runs`. Nothing is changed on disk.
    """

    def __init__(self, path: str | Path) -> None:
        self._directory = RunDirectory.open(Path(path))
        self._manifest: Manifest | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._directory.path

    @property
    def manifest(self) -> Manifest:
        """The content of `manifest.json`, read once; its attributes are named as the members of that file.

        Raises LivenessError that names the file and the place in it that is wrong.
        """
        if self._manifest is None:
            self._manifest = self._directory.read_manifest()
        return self._manifest

    @property
    def keys(self) -> tuple[Key, ...]:
        """The key of every set of the run, in the order of the manifest. Sets without a member are left out."""
        return tuple(Key(entry.probe, entry.kind, str(entry.role), entry.error) for entry in self.manifest.sets)

    def set(self, probe: str, kind: str, role: str = "source", icmp: tuple[int, int] | None = None) -> BitMap:
        """Return the addresses of one set, as numbers in host order; empty if nobody replied so.

        `icmp` is the type and code of an error, such as `(3, 13)`. Without it, `kind="error"` returns the union of the
        errors of all types and codes. Every file is compared with its digest in the manifest.

        Raises UsageError for a probe, kind or role that the run cannot have, and LivenessError for a damaged file.
        """
        self._check(probe, kind, role, icmp)
        addresses = BitMap()
        for entry in self.manifest.sets:
            if (entry.probe, entry.kind, entry.role) == (probe, kind, role) and icmp in (None, entry.error):
                addresses |= self._read(entry)
        return addresses

    def replies(self) -> "DuckDBPyRelation":
        """Return the log of replies as a DuckDB relation, a row for every accepted packet.

        Its columns are those of the view `replies`; `relation.query("replies", "SELECT …")` runs SQL over it, and
        `.df()`, `.pl()` or `.arrow()` hand it to other libraries. Queries reach the log and no other file.

        Raises UsageError if the run keeps no log (config: `replies: parquet`).
        """
        from liveness.replylog.replytable import ReplyTable  # noqa: PLC0415 - loads DuckDB

        return ReplyTable(self.path).relation()

    def _read(self, entry: SetEntry) -> BitMap:
        return self._directory.read_set(entry)

    def _check(self, probe: str, kind: str, role: str, icmp: tuple[int, int] | None) -> None:
        """Raise UsageError for what no set of this run can be."""
        probes = dict.fromkeys([*self.manifest.probes, *(entry.probe for entry in self.manifest.sets)])
        if probe not in probes:
            raise UsageError(f"{self.path}: probe {probe!r}: this run sent {', '.join(probes)}")
        kinds = {known.label: known for known in Kind}
        if kind not in kinds:
            raise UsageError(f"kind {kind!r}: expected one of {', '.join(kinds)}")
        roles = roles_of(kinds[kind])
        if role not in roles:
            raise UsageError(f"role {role!r} of {kind}: expected one of {', '.join(roles)}")
        if icmp is not None and kinds[kind] is not Kind.ERROR:
            raise UsageError(f"icmp {icmp!r}: only errors have an ICMP type and code, not {kind}")


def open_run(path: str | Path) -> Run:
    """Return the run in a run directory. Raises UsageError if there is no manifest in it."""
    return Run(path)


def find_runs(folder: str | Path) -> list[Run]:
    """Return the run in a folder, or every run at any depth below it, sorted by path.

    Symbolic links are followed. Raises UsageError if there is no run, or a folder that cannot be read.
    """
    return [Run(directory.path) for directory in finding.find_runs(Path(folder))]
