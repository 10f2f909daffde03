"""Owns what is told of a census: one document for each end of a call, whoever it goes to."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from liveness.census.record import Event, Record

SCHEMA: Final = 1


class Message(Struct, frozen=True, kw_only=True):
    """What has happened to a census; `events` are all that apply, `summary` is a line for people."""

    schema: int = SCHEMA
    census: str
    run: str | None
    """The run id; None where none has begun."""
    events: list[Event]
    summary: str
    alarms: list[str] = field(default_factory=list)
    exit_code: int = 0
    directory: str
    """Of the census, absolute."""
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
        """Return the message of a call that came to nothing."""
        return cls(
            census=home.name,
            run=None,
            events=["failure"],
            summary=f"census {home.name}: failed: {problem}",
            exit_code=exit_code,
            directory=str(home.absolute()),
        )

    def encoded(self) -> bytes:
        """Return the message as one JSON document."""
        return msgspec.json.encode(self)
