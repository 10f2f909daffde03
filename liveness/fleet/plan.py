"""Plan of a run of a fleet: which vantage point sends what, and when. It is kept in the store, and never changes."""

from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

from liveness.config.units import StartTime
from liveness.fleet.job import Kind


class PlannedJob(Struct, frozen=True, kw_only=True):
    """One part of the whole: its name, who sends it, which shard of how many, and how long after the start."""

    job: str
    vantage: str
    shard: int
    shards: int
    offset: str


class Plan(Struct, frozen=True, kw_only=True):
    """The plan as the store has it. `digest` says whether two commands mean the same run."""

    schema: int = 1
    census: str
    run: str
    mode: Literal["split", "replicate"]
    digest: str
    created: str
    start_at: str
    version: str
    targets: int
    targets_sha256: str
    blocks_sha256: str = ""
    """Digest of the list of /24s, if it is a run of a survey; empty for one of a census."""
    config: dict[str, Any]
    jobs: list[PlannedJob]
    vantages: list[dict[str, Any]]
    """The vantage points as the vantage file has them, without commands and directories."""

    @property
    def kind(self) -> Kind:
        """What is planned."""
        return "survey" if self.blocks_sha256 else "census"

    @property
    def moves(self) -> bool:
        """Whether another vantage point may take over the part of a lost one.

        Replicas stand for their places, and the rounds of a survey that have passed cannot be sent.
        """
        return self.mode == "split" and self.kind == "census"


def time_of(time_s: float) -> str:
    """Return a Unix time in s as configs have it."""
    return str(StartTime(datetime.fromtimestamp(time_s, UTC).isoformat()))
