"""What a passive run leaves on disk: its manifest, and the report document, read and checked."""

from pathlib import Path
from typing import Any, Final

import msgspec

from liveness.errors import LivenessError, UsageError
from liveness.files.documents import decoded
from liveness.files.reading import read_bytes
from liveness.flows.record import encodable
from liveness.passive.partitions import InputRecord, Partitions
from liveness.passive.report_shape import Report
from liveness.passive.results import KIND
from liveness.runs.kinds import check_directory, check_kind
from liveness.runs.rundir import MANIFEST_FILE, PASSIVE_FILE

DOCUMENT_BYTES: Final = 1 << 30
ENDED: Final = ("complete", "partial")
"""Statuses of the report document of a run that has read all of its inputs."""


class SetRecord(msgspec.Struct, kw_only=True):
    """One set of local addresses."""

    probe: str
    kind: str
    role: str
    file: str
    cardinality: int
    sha256: str


class Manifest(msgspec.Struct, kw_only=True):
    """What a passive run was."""

    schema: int
    kind: str
    name: str
    run_id: str
    status: str
    version: str
    config: dict[str, Any]
    started: str
    finished: str | None = None
    forced: bool = False
    inputs: list[InputRecord] = []
    exporters: dict[str, int] = {}
    sampling: dict[str, int] = {}
    undecoded: dict[str, int] = {}
    damage: list[str] = []
    sets: list[SetRecord] = []

    def take_inputs(self, partitions: Partitions) -> None:
        """Take what was read so far, and what could not be decoded."""
        journal, notes = partitions.journal, partitions.notes
        self.inputs, self.exporters, self.sampling = journal.inputs, journal.exporter_records, journal.sampling
        self.undecoded, self.damage = dict(notes.undecoded), [encodable(line) for line in notes.damage]


def load_manifest(path: Path) -> Manifest:
    """Return the manifest of a passive run. UsageError if there is none or one of another kind; LivenessError."""
    check_directory(path, KIND)
    file = path / MANIFEST_FILE
    try:
        content = read_bytes(file, DOCUMENT_BYTES)
    except OSError as error:
        raise LivenessError(f"{file}: cannot read this manifest: {error.strerror}") from error
    check_kind(content, path, KIND)
    return decoded(content, Manifest, file, "a damaged manifest")


class _Status(msgspec.Struct):
    """The field of a report document that says whether its results are complete."""

    status: str = ""


def ended_status(path: Path) -> str:
    """Return the status of a run whose results are complete, although its manifest may not say so yet; else ""."""
    try:
        status = msgspec.json.decode(read_bytes(path / PASSIVE_FILE, DOCUMENT_BYTES), type=_Status).status
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return status if status in ENDED else ""


def load_results(path: Path) -> dict[str, Any]:
    """Return the report document of a run. UsageError if it has none yet."""
    manifest = load_manifest(path)
    file = path / PASSIVE_FILE
    try:
        content = read_bytes(file, DOCUMENT_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path}: no results yet: the run is {manifest.status}: liveness passive run --resume {path}"
        ) from error
    document = decoded(content, dict[str, Any], file, "damaged results")
    decoded(content, Report, file, "damaged results")  # of the report's shape
    return document
