"""The checkpoint: how far a run has come, so that it can go on after a power cut. Its replies lie in segments."""

from pathlib import Path

import msgspec
from msgspec import Struct, field

from liveness.errors import LivenessError
from liveness.ipsets.atomic import write_atomically
from liveness.store.manifest import Manifest, RateChange


class Position(Struct, frozen=True, kw_only=True):
    """Where a sender stands: the block's number, and the tick in it from which on it sends."""

    block: int
    tick: int
    lags: list[int] = field(default_factory=list)
    """Of each lane, in ticks; they change with the rate where that is searched for. Empty: as planned."""
    begins: list[int] = field(default_factory=list)
    """The tick at which each lane begins, or goes on after a pause. Empty: when its lag is over."""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Everything a run needs to go on.

    The positions are those of a while ago: every probe sent before them has had the run's cooldown to be answered, and
    all replies until then are in segments. What was sent since is sent again.
    """

    manifest: Manifest
    """As the run began: its config, its control port, the number of its senders."""
    elapsed_s: float
    """How long the run had been going, pauses between its sessions left out."""
    positions: list[Position]
    sent: list[list[int]]
    """Targets sent to up to the positions, (probes, attempts)."""
    frames: int = 0
    """Frames that left, those sent after the positions too."""
    errors: int = 0
    interface_frames: int = 0
    nic_drops: int = 0
    rate_pps: float
    rate_changes: list[RateChange] = field(default_factory=list)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint by rename. Raises LivenessError that names the file."""
    write_atomically(path, msgspec.json.encode(checkpoint))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises LivenessError that names the file if it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read this checkpoint: {problem.strerror}") from problem
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise LivenessError(f"{path}: a damaged checkpoint: {problem}") from problem
