"""Checkpointing: a run writes its progress to disk at intervals, so that it can be resumed from there."""

from dataclasses import dataclass, field

from liveness.errors import LivenessError
from liveness.runs.checkpoint import Checkpoint, Totals, write_checkpoint
from liveness.runs.losses import Losses
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import Plan
from liveness.scan.recovery.milestones import Milestone, Milestones
from liveness.scan.shared import Shared


@dataclass(slots=True)
class Checkpointing:
    """The checkpoints of one session of a run, which began with the checkpoint `first`."""

    plan: Plan
    directory: RunDirectory
    first: Checkpoint
    shared: Shared
    started_s: float
    """When the session began, by the monotonic clock."""
    problem: str | None = field(default=None, init=False)
    """Why the last checkpoint could not be written (the previous one is then still in place), or None."""
    _milestones: Milestones = field(init=False)
    _due_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Take the beginning of the session as the first milestone."""
        beginning = Milestone(0.0, self.first.positions, self.shared.sent_in_all)
        self._milestones = Milestones(self.plan.cooldown_s, beginning)

    def due(self, elapsed_s: float) -> bool:
        """Note the positions of senders, `elapsed_s` into the session, and return whether a checkpoint is due."""
        self._milestones.note(elapsed_s, self.shared)
        return elapsed_s >= self._due_s

    def write(self, totals: Totals, losses: Losses) -> None:
        """Write a checkpoint with the session's `totals` and the run's `losses` so far.

        If writing fails, the run continues, and `problem` says why.
        """
        self._due_s = totals.elapsed_s + self.plan.config.checkpoint.seconds
        received_s = int(self.shared.on_disk_ns.min()) / 1e9 - self.started_s
        milestone = self._milestones.answered(received_s)
        checkpoint = Checkpoint(
            manifest=self.first.manifest,
            positions=list(milestone.positions),
            sent=milestone.sent.sum(axis=0).tolist(),
            rate_pps=float(self.shared.rate_pps[0]),
            totals=self.first.totals.followed_by(totals),
            losses=losses,
        )
        try:
            write_checkpoint(self.directory.checkpoint_path, checkpoint)
            self.problem = None
        except LivenessError as error:
            self.problem = str(error)
