"""Record of a run of a census: a small file in the run's report directory, which is kept when the run is removed."""

from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from liveness.analysis.numbers import span
from liveness.errors import LivenessError
from liveness.files.documents import decoded

SCHEMA: Final = 1
Event = Literal["complete", "failure", "drops", "hit_rate"]
State = Literal["begun", "reported", "given-up", "removing", "removed"]
"""begun: not complete or not reported yet. given-up: cannot be resumed. removing: its removal was interrupted."""


class Record(Struct, frozen=True, kw_only=True):
    """Record of one run of a census. Times are UTC; unknown values are None."""

    schema: int = SCHEMA
    number: int
    """Counts the runs of the census from 1. Unlike start times, it is not affected by clock changes."""
    run_id: str
    state: State
    begun: str
    finished: str | None = None
    status: str | None = None
    """Status of the run's manifest."""
    reason: str | None = None
    targets: int | None = None
    alive: int | None = None
    """Addresses that sent a reply or an error: IPall of the analysis."""
    born: int | None = None
    died: int | None = None
    took_s: float | None = None
    """Scanning time in seconds, without the pauses between sessions."""
    sessions: int = 1
    """Number of sessions: more than one if the run was resumed."""
    hit_rates: dict[str, float] = field(default_factory=dict)
    """Hit rate by probe: share of its targets that anything answered for."""
    compared_with: str | None = None
    """Run id of the last complete run before this one."""
    events: list[Event] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    """Alarms, one line each."""
    exit_code: int = 0
    summary: str = ""
    notified: bool = field(default=False, name="told")
    """Whether notifications have been tried."""


def encode_record(record: Record) -> bytes:
    """Return a record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def decode_record(content: bytes, path: Path) -> Record:
    """Return the record in a file's content. Raises LivenessError that names the file if it is damaged or newer."""
    record = decoded(content, Record, path, "a damaged record")
    if record.schema != SCHEMA:
        raise LivenessError(f"{path}: $.schema: {record.schema}: this version reads schema {SCHEMA}")
    return record


def summary_line(census: str, record: Record, losses: int) -> str:
    """Return the summary of a run; `losses` is the number of its loss warnings."""
    parts = [f"{record.status}" + (f" ({record.reason})" if record.reason else "")]
    probed = f"{record.targets or 0:,} targets"
    sessions = f" of {record.sessions} sessions" if record.sessions > 1 else ""
    parts.append(probed if record.took_s is None else f"{probed} in {span(record.took_s)}{sessions}")
    if record.alive is not None:
        since = ""
        if record.born is not None and record.died is not None:
            since = f" (+{record.born:,} -{record.died:,} since {record.compared_with})"
        parts.append(f"{record.alive:,} alive{since}")
    parts.append(f"{losses} warnings of losses" if losses > 1 else "1 warning of losses" if losses else "no losses")
    return f"census {census}/{record.run_id}: {', '.join(parts)}"
