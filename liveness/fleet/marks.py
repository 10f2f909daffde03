"""Marks in the store by which an operator directs a fleet: cancelled runs, drained vantage points, moved jobs."""

from msgspec import Struct

from liveness.clock import utc_now
from liveness.fleet import layout
from liveness.fleet.lease import Move
from liveness.fleet.store import Store


class Cancelled(Struct, frozen=True, kw_only=True):
    """A run that is to end: scans stop, and what they have is stored."""

    at: str


class Ended(Struct, frozen=True, kw_only=True):
    """A run whose end a command has seen."""

    at: str


class Drained(Struct, frozen=True, kw_only=True):
    """A vantage point that begins no more jobs; with `now` it stops those at work; `lost`: it will not return."""

    at: str
    now: bool = False
    lost: bool = False


def cancel(store: Store, census: str, run: str) -> None:
    """Mark a run as cancelled."""
    store.put_document(layout.of_run(census, run, layout.CANCELLED), Cancelled(at=utc_now()))


def is_cancelled(store: Store, census: str, run: str) -> bool:
    """Return whether a run is cancelled."""
    return store.document(layout.of_run(census, run, layout.CANCELLED), Cancelled) is not None


def end(store: Store, census: str, run: str) -> None:
    """Mark a run as ended: the next command begins another one."""
    store.put_document(layout.of_run(census, run, layout.ENDED), Ended(at=utc_now()))


def is_ended(store: Store, census: str, run: str) -> bool:
    """Return whether a command has seen the end of a run."""
    return store.document(layout.of_run(census, run, layout.ENDED), Ended) is not None


def drain(store: Store, census: str, vantage: str, *, now: bool, lost: bool) -> None:
    """Mark a vantage point as drained."""
    store.put_document(layout.drained(census, vantage), Drained(at=utc_now(), now=now, lost=lost))


def undrain(store: Store, census: str, vantage: str) -> None:
    """Let a vantage point take jobs again."""
    store.remove(layout.drained(census, vantage))


def drained(store: Store, census: str, vantage: str) -> Drained | None:
    """Return the mark of a vantage point; None if it takes jobs."""
    return store.document(layout.drained(census, vantage), Drained)


def moved(store: Store, job: str) -> Move | None:
    """Return the vantage point that a job was moved to, None without a move. `job` is the prefix of its objects."""
    return store.document(f"{job}/{layout.MOVED}", Move)


def move(store: Store, job: str, lost: str, to: str, reason: str) -> None:
    """Move a job from a lost vantage point to another."""
    store.put_document(f"{job}/{layout.MOVED}", Move(lost=lost, to=to, reason=reason, at=utc_now()))
