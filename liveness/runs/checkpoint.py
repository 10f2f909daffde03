"""The checkpoint: how far a run has come, so that it can be resumed after a crash. Its replies are in segments."""

from itertools import zip_longest
from pathlib import Path

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_below
from liveness.order.order import Position
from liveness.runs.course import PathEvent, RateChange, RateSearch, Timeline
from liveness.runs.losses import Losses
from liveness.runs.manifest import Manifest
from liveness.runs.manifest_file import check_manifest


class Totals(Struct, frozen=True, kw_only=True):
    """Session totals: what one session of a run counted, or all of them; pauses between sessions take no time."""

    elapsed_s: float = 0.0
    frames: int = 0
    errors: list[int] = field(default_factory=list)
    """Frames that were committed and never sent, by probe."""
    dropped: int = 0
    """Frames that the interface dropped."""
    repaired: int = 0
    """Frames that were sent because they were known to have been lost before."""
    given_up_s: float = 0.0
    """Time that senders could not keep up with the rate, on average of all senders."""
    interface_frames: int = 0
    nic_drops: int = 0
    rate_changes: list[RateChange] = field(default_factory=list)
    rate_search: RateSearch | None = None
    path: list[PathEvent] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)
    counters: dict[str, list[float]] | UnsetType = UNSET
    """Counters without a field of their own: one number, or one for each probe."""

    def followed_by(self, later: "Totals") -> "Totals":
        """Return the totals with those of a later session."""
        changes = [
            RateChange(after_s=round(self.elapsed_s + change.after_s, 3), rate_pps=change.rate_pps)
            for change in later.rate_changes
        ]
        search = later.rate_search or self.rate_search
        if self.rate_search is not None and later.rate_search is not None:
            search = self.rate_search.followed_by(later.rate_search, self.elapsed_s)
        earlier_errors = self.errors or [0] * len(later.errors)
        return Totals(
            elapsed_s=self.elapsed_s + later.elapsed_s,
            frames=self.frames + later.frames,
            errors=[mine + theirs for mine, theirs in zip(earlier_errors, later.errors, strict=True)],
            dropped=self.dropped + later.dropped,
            repaired=self.repaired + later.repaired,
            given_up_s=round(self.given_up_s + later.given_up_s, 3),
            interface_frames=self.interface_frames + later.interface_frames,
            nic_drops=self.nic_drops + later.nic_drops,
            rate_changes=self.rate_changes + changes,
            rate_search=search,
            path=self.path
            + [
                msgspec.structs.replace(event, after_s=round(self.elapsed_s + event.after_s, 3)) for event in later.path
            ],
            timeline=self.timeline.followed_by(later.timeline, self.elapsed_s),
            counters=_added(self.counters, later.counters),
        )


def _added(
    earlier: dict[str, list[float]] | UnsetType, later: dict[str, list[float]] | UnsetType
) -> dict[str, list[float]] | UnsetType:
    """Return the sums of counters by name; a counter that only one session knew keeps its numbers."""
    if not earlier or not later:
        return later or earlier
    names = dict.fromkeys((*earlier, *later))
    return {
        name: [sum(pair) for pair in zip_longest(earlier.get(name, []), later.get(name, []), fillvalue=0)]
        for name in names
    }


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Everything that is needed to resume a run.

    The positions are older than the checkpoint: every probe sent before them has had the run's cooldown to be answered,
    and all replies to it are in segments. Probes after the positions are sent again.
    """

    manifest: Manifest
    """As the run began: its config, its control port, the number of its senders."""
    positions: list[Position]
    sent: list[list[int]]
    """Targets sent to up to the positions, (probes, attempts)."""
    rate_pps: float
    totals: Totals = field(default_factory=Totals)
    losses: Losses = field(default_factory=Losses)
    """Known losses of the run, and which of them are to be repaired."""

    @property
    def block(self) -> int:
        """The first block that some sender has not drained."""
        return min(position.block for position in self.positions)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint by rename. Raises LivenessError that names the file."""
    write_atomically(path, msgspec.json.encode(checkpoint))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises LivenessError that names the file if it is missing or damaged."""
    try:
        with Directory.open(path.parent) as files:
            content = read_below(files, path.name)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read this checkpoint: {problem.strerror}") from problem
    checkpoint = decoded(content, Checkpoint, path, "a damaged checkpoint")
    check_manifest(checkpoint.manifest, path, "$.manifest")
    return checkpoint
