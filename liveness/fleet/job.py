"""Job of a fleet: what a worker needs to take one part of a census or survey, and how that ended."""

from typing import Any, Final, Literal

from msgspec import Struct

from liveness.clock import utc_now
from liveness.fleet.layout import of_job
from liveness.fleet.vantages import StorePlace

State = Literal["complete", "partial", "stopped", "failed", "refused", "lost"]
"""How a job ended. complete and partial (cancelled) are stored; stopped and failed may go on with the same command;
refused: it was not begun; lost: another worker has it."""

Kind = Literal["census", "survey"]

FINAL: Final = ("complete", "partial")


class Job(Struct, frozen=True, kw_only=True):
    """One part of a census or survey at one vantage point, self-contained: it is sent to a worker as JSON.

    `job` is ``<vantage>/<k>-of-<N>`` as planned; `vantage` is where it is done, which differs after a move.
    """

    census: str
    run: str
    job: str
    vantage: str
    shard: int
    shards: int
    start_at: str
    offset: str
    """How long after `start_at` this job begins."""
    config: dict[str, Any]
    """Config of the scan, without what is written at the vantage point: lists of targets, secret, output."""
    targets_sha256: str
    kind: Kind = "census"
    blocks_sha256: str = ""
    """Digest of the list of /24s of a survey."""
    replicated: bool
    version: str
    store: StorePlace
    directory: str
    command: tuple[str, ...]
    """What starts liveness there; empty for the liveness of the worker itself."""
    lease_s: float
    lost_after_s: float | None = None
    secret: str = ""
    """In hex; empty if there is none."""

    @property
    def prefix(self) -> str:
        """The prefix of the job's objects in the store."""
        return of_job(self.census, self.run, self.job)

    @property
    def key(self) -> str:
        """The name of the job among all jobs of a scheduler. A job that was moved has another one."""
        return f"{self.prefix}@{self.vantage}"

    def ended(self, state: State, code: int, message: str) -> "Outcome":
        """Return an outcome of this job, now."""
        return Outcome(job=self.job, vantage=self.vantage, state=state, exit_code=code, message=message, at=utc_now())

    @property
    def folder(self) -> str:
        """The name of the job's directory at the vantage point, below the directory of the census."""
        return f"{self.run}/{self.job.replace('/', '.')}"


class Outcome(Struct, frozen=True, kw_only=True):
    """How a job ended. `place` is the last part of the prefix below which the run is stored; empty if there is none."""

    job: str
    vantage: str
    state: State
    exit_code: int = 0
    message: str = ""
    place: str = ""
    manifest_sha256: str = ""
    opt_outs_sha256: str = ""
    """Digest of the published blocklists as they were when they were last applied to the stored run."""
    at: str = ""
