"""Notification message of a census: one document for each end of a call, the same for all recipients."""

from pathlib import Path
from typing import ClassVar, Final

from msgspec import field

from liveness.census.record import Event, Record
from liveness.watch.message import MessageOf

SCHEMA: Final = 1


class Message(MessageOf, frozen=True, kw_only=True):
    """Message about a census. `events` are all that apply; `summary` is one line for users."""

    instrument: ClassVar = "census"

    schema: int = SCHEMA
    census: str
    run: str | None
    """Run id, or None if no run was started."""
    events: list[Event]
    summary: str
    alarms: list[str] = field(default_factory=list)
    exit_code: int = 0
    directory: str
    """Absolute path of the census directory."""
    record: Record | None = None

    @classmethod
    def of_record(cls, home: Path, record: Record) -> "Message":
        """Return the message of a run that has ended."""
        return cls(
            census=home.name,
            run=record.run_id,
            events=record.events,
            summary=record.summary,
            alarms=record.alarms,
            exit_code=record.exit_code,
            directory=str(home.absolute()),
            record=record,
        )

    @classmethod
    def of_failure(cls, home: Path, problem: str, exit_code: int) -> "Message":
        """Return the message of a call that failed without a run."""
        return cls(
            census=home.name,
            run=None,
            events=["failure"],
            summary=f"census {home.name}: failed: {problem}",
            exit_code=exit_code,
            directory=str(home.absolute()),
        )
