"""Leases: which worker owns a job. A job has one owner at a time, wherever its workers are.

A lease is an object of the store that can be created once. Its owner renews it by writing it again. A worker that takes
a job over creates the lease of the next generation: of several that try, the store lets one succeed. Only conditional
creation is needed, which every store has. An owner that finds a later generation has lost the job, and stops.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from msgspec import Struct

from liveness.clock import utc
from liveness.errors import RefusedError
from liveness.fleet.layout import MOVED, lease_name
from liveness.fleet.store import Store

State = Literal["waiting", "scanning", "storing", "stopped", "done"]

GRACE_S: Final = 2.0
"""Clocks of two machines may differ by this much."""


class Lease(Struct, frozen=True, kw_only=True):
    """A lease as the store has it: its owner, until when it holds, and how far the job is. Times are Unix time, s."""

    vantage: str
    machine: str
    """Identity of the machine and of the directory that the job is in there."""
    instance: str
    """A random word for each process that owned the job."""
    host: str
    pid: int
    taken_s: float
    expires_s: float
    state: State = "waiting"
    share: float | None = None
    """Share of the probes that have been sent."""
    note: str = ""


class Move(Struct, frozen=True, kw_only=True):
    """A job that another vantage point takes over, because its own is lost."""

    lost: str
    to: str
    reason: str
    at: str


class LostError(RefusedError):
    """Another worker has taken the job over."""


@dataclass(slots=True)
class Holder:
    """Owner of a job: takes its lease, renews it, and notices if it was taken over. `clock` returns Unix time, s."""

    store: Store
    job: str
    """Prefix of the objects of the job."""
    vantage: str
    machine: str
    instance: str
    host: str
    pid: int
    length_s: float
    clock: Callable[[], float] = time.time
    generation: int = 0
    lease: Lease | None = field(default=None, init=False)

    def take(self) -> int:
        """Take the lease, and return its generation.

        A lease that has not expired is taken over from a process of the same machine only: the caller holds the lock of
        the job there, so that process has ended. One that has expired is taken over by the same vantage point, or by
        the one to which the job was moved. Raises RefusedError that names the owner.
        """
        newest = newest_lease(self.store, self.job)
        generation, last = newest if newest is not None else (0, None)
        if last is not None:
            self._check(last)
        lease = Lease(
            vantage=self.vantage,
            machine=self.machine,
            instance=self.instance,
            host=self.host,
            pid=self.pid,
            taken_s=self.clock(),
            expires_s=self.clock() + self.length_s,
        )
        if not self.store.create_document(f"{self.job}/{lease_name(generation + 1)}", lease):
            raise RefusedError(f"{self.job}: another worker has taken this job at the same moment: it is at work there")
        self.generation, self.lease = generation + 1, lease
        return self.generation

    def _check(self, last: Lease) -> None:
        """Raise RefusedError if the lease of another process still holds, or is not for this vantage point."""
        owner = f"{last.vantage} (host {last.host}, process {last.pid})"
        moved = self.store.document(f"{self.job}/{MOVED}", Move)
        if moved is not None and moved.to != self.vantage:
            raise RefusedError(
                f"{self.job}: moved from {moved.lost} to {moved.to}: {self.vantage} may not go on with it"
            )
        if moved is None and last.vantage != self.vantage:
            raise RefusedError(f"{self.job}: belongs to {owner}: no other vantage point may take it over")
        if last.machine == self.machine and last.vantage == self.vantage:
            return
        if last.expires_s + GRACE_S > self.clock():
            until = utc(int(last.expires_s * 1e9))
            raise RefusedError(f"{self.job}: {owner} is at work on it, until {until} at least: wait for its end")

    def renew(self, state: State, share: float | None = None, note: str = "") -> None:
        """Renew the lease, with how far the job is. Raises LostError if another worker has taken the job over."""
        if self.lease is None:
            raise RefusedError(f"{self.job}: this process does not own it")
        self.check()
        until = self.clock() + self.length_s
        self.lease = msgspec.structs.replace(self.lease, expires_s=until, state=state, share=share, note=note)
        self.store.put_document(f"{self.job}/{lease_name(self.generation)}", self.lease)

    def check(self) -> None:
        """Raise LostError if another worker has taken the job over, or is to do so."""
        moved = self.store.document(f"{self.job}/{MOVED}", Move)
        if moved is not None and moved.to != self.vantage:
            raise LostError(f"{self.job}: moved to {moved.to}: {moved.reason}")
        if self.store.tag(f"{self.job}/{lease_name(self.generation + 1)}") is not None:
            raise LostError(f"{self.job}: another worker has taken it over")


def newest_lease(store: Store, job: str) -> tuple[int, Lease] | None:
    """Return the generation of the newest lease of a job, and the lease; None if nobody had one yet."""
    generation, found = 0, None
    while (lease := store.document(f"{job}/{lease_name(generation + 1)}", Lease)) is not None:
        generation, found = generation + 1, lease
    return None if found is None else (generation, found)
