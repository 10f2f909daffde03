"""Messages of a passive run: services that fail or recover, and the end of the run. They name no remote address."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Literal

from msgspec import Struct, field

from liveness.errors import count_of
from liveness.passive.failing import Changes
from liveness.passive.outages import Stretch
from liveness.passive.services import service_name
from liveness.watch.message import MOST_LISTED, MessageOf, first_of

SCHEMA: Final = 1

Event = Literal["complete", "failure", "outage", "recovery"]


class ServiceChange(Struct, frozen=True, kw_only=True):
    """A service that failed: from the start of the first failing interval to the end of the last one so far."""

    service: str
    start: str
    end: str
    clients: int
    """Most distinct remotes that failed in one interval."""


class PassiveMessage(MessageOf, frozen=True, kw_only=True):
    """A message about a passive run. `events` are all that apply; `summary` is one line for users."""

    instrument: ClassVar = "passive"

    schema: int = SCHEMA
    passive: str
    """The name of the config."""
    run: str | None
    """Run id, or None if no run was begun."""
    events: list[Event]
    summary: str
    outages: list[ServiceChange] = field(default_factory=list)
    """The first services that began to fail, in the order of addresses."""
    recoveries: list[ServiceChange] = field(default_factory=list)
    began_to_fail: int = 0
    recovered: int = 0
    failing: int | None = None
    """Number of services that fail now."""
    exit_code: int = 0
    directory: str
    """Absolute path of the run, or of its parent if no run was begun."""

    @classmethod
    def of_changes(
        cls, name: str, run: str, directory: str, changes: Changes, failing: int, time_of: Callable[[int], str]
    ) -> "PassiveMessage":
        """Return the message about services that began to fail or recovered; `time_of` gives an interval's start."""
        began, ended = (_listed(stretches, time_of) for stretches in (changes.began, changes.ended))
        events: list[Event] = ["outage"] if began else []
        events += ["recovery"] if ended else []
        parts = [f"{_names(began)} began to fail"] if began else []
        parts += [f"{_names(ended)} recovered"] if ended else []
        return cls(
            passive=name,
            run=run,
            events=events,
            summary=f"passive {name}/{run}: {'; '.join(parts)}; {count_of(failing, 'service')} failing",
            outages=began[:MOST_LISTED],
            recoveries=ended[:MOST_LISTED],
            began_to_fail=len(began),
            recovered=len(ended),
            failing=failing,
            directory=directory,
        )

    @classmethod
    def of_end(cls, name: str, run: str, directory: str, status: str, records: int) -> "PassiveMessage":
        """Return the message of a run that has ended without an error."""
        return cls(
            passive=name,
            run=run,
            events=["complete"],
            summary=f"passive {name}/{run}: {status}, {count_of(records, 'record')}",
            directory=directory,
        )

    @classmethod
    def of_failure(cls, name: str, run: str | None, directory: str, problem: str, exit_code: int) -> "PassiveMessage":
        """Return the message of a run that failed, or ended early."""
        return cls(
            passive=name,
            run=run,
            events=["failure"],
            summary=f"passive {name}: failed: {problem}",
            exit_code=exit_code,
            directory=directory,
        )


def _listed(stretches: Sequence[Stretch], time_of: Callable[[int], str]) -> list[ServiceChange]:
    return [
        ServiceChange(
            service=service_name(each.service),
            start=time_of(each.first),
            end=time_of(each.last + 1),
            clients=each.clients,
        )
        for each in sorted(stretches, key=lambda each: (each.service, each.first))
    ]


def _names(changes: Sequence[ServiceChange]) -> str:
    """Return some services in words, such as "198.51.100.25/tcp/25 and 2 more"."""
    return first_of([f"{each.service} ({count_of(each.clients, 'client')})" for each in changes])
