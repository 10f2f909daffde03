"""Owns what a census notes of each of its runs: one small file beside the run's report, which outlives the run."""

from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from liveness.errors import LivenessError
from liveness.files.documents import decoded

SCHEMA: Final = 1
Event = Literal["complete", "failure", "drops", "hit_rate"]
State = Literal["begun", "reported", "given-up", "removing", "removed"]
"""begun: scanning, cut off, or not reported yet. given-up: it cannot go on. removing: its removal has been cut off."""


class Record(Struct, frozen=True, kw_only=True):
    """One run of a census. Times are UTC; what is not known yet is None."""

    schema: int = SCHEMA
    number: int
    """Counts the runs of the census from 1 on: clocks jump, this does not."""
    run_id: str
    state: State
    begun: str
    finished: str | None = None
    status: str | None = None
    """As in the run's manifest."""
    reason: str | None = None
    targets: int | None = None
    alive: int | None = None
    """Addresses that sent a reply or an error: IPall of the analysis."""
    born: int | None = None
    died: int | None = None
    took_s: float | None = None
    """Time spent scanning, without the pauses between sessions."""
    sessions: int = 1
    """More than one where the run was cut off and went on."""
    hit_rates: dict[str, float] = field(default_factory=dict)
    """By probe, the share of targets that anything answered for."""
    compared_with: str | None = None
    """The run id of the last complete run before it."""
    events: list[Event] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    """What to worry about, a line each."""
    exit_code: int = 0
    summary: str = ""
    told: bool = False
    """Whether notifications have been tried."""


def encode_record(record: Record) -> bytes:
    """Return a record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def decode_record(content: bytes, path: Path) -> Record:
    """Return what a record's content says. Raises LivenessError that names the file if it is damaged, or newer."""
    record = decoded(content, Record, path, "a damaged record")
    if record.schema != SCHEMA:
        raise LivenessError(f"{path}: $.schema: {record.schema}: this version reads schema {SCHEMA}")
    return record
