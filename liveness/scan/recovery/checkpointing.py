"""Checkpoints of a run: its progress, written to disk at intervals, so that it can be resumed from there."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.order.order import Position
from liveness.runs.checkpoint import Checkpoint, Totals, write_checkpoint
from liveness.runs.losses import Losses
from liveness.runs.rundir import RunDirectory
from liveness.scan.agreed_start import late_ms, shard_record
from liveness.scan.block_starts import BlockStarts
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared

EVERY_S: Final = 0.25
GRACE_S: Final = 1.0
"""Longest time between the arrival of a packet and the matching of its block."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """The position of each sender at a time, in seconds since the session began, and the counts sent by then."""

    at_s: float
    positions: Sequence[Position]
    sent: NDArray[np.int64]
    """(senders, probes, attempts)"""


@dataclass(slots=True)
class Milestones:
    """Recent milestones, as far back as late replies are awaited.

    By them a checkpoint can name positions whose replies are all on disk.
    """

    wait_s: float
    """Time for which the replies to a probe are awaited: the cooldown, and the talk that a late one begins."""
    first: Milestone
    """The last milestone returned by `answered`; at first, the beginning of the session."""
    _recent: deque[Milestone] = field(default_factory=deque)

    def note(self, at_s: float, shared: Shared) -> None:
        """Add a milestone with the current positions of senders, unless the last one is younger than EVERY_S."""
        if at_s >= (self._recent[-1].at_s if self._recent else self.first.at_s) + EVERY_S:
            self._recent.append(Milestone(at_s, shared.positions_now(), shared.sent_in_all))

    def answered(self, received_s: float) -> Milestone:
        """Return the last milestone whose probes all had their time for replies, if replies are on disk up to a time.

        `received_s` is the time up to which all packets received are on disk, in seconds since the session began.
        """
        while self._recent and self._recent[0].at_s <= received_s - self.wait_s - GRACE_S:
            self.first = self._recent.popleft()
        return self.first


@dataclass(slots=True)
class Checkpointing:
    """The checkpoints of one session of a run, which began with the checkpoint `first`."""

    plan: Plan
    directory: RunDirectory
    first: Checkpoint
    shared: Shared
    started_s: float
    """When the session began, by the monotonic clock."""
    starts: BlockStarts
    """The agreed starts of the blocks."""
    problem: str | None = field(default=None, init=False)
    """Why the last checkpoint could not be written (the previous one is then still in place), or None."""
    _milestones: Milestones = field(init=False)
    _due_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Take the beginning of the session as the first milestone."""
        beginning = Milestone(0.0, self.first.positions, self.shared.sent_in_all)
        talk_s = self.plan.config.talk.wait.seconds if self.plan.talks else 0.0
        self._milestones = Milestones(self.plan.cooldown_s + talk_s, beginning)

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
        shard = shard_record(self.plan, late_ms(self.plan, self.shared, self.first.manifest))
        checkpoint = Checkpoint(
            manifest=msgspec.structs.replace(
                self.first.manifest, shard=shard, blocks=self.starts.added_to(self.first.manifest.blocks)
            ),
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
