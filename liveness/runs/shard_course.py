"""The course of a united run: timeline, lags, losses, events and blocks of its shards on one clock."""

from collections.abc import Sequence

import msgspec
import numpy as np

from liveness.runs.course import Lag, LanePassing, PathEvent, Timeline, lag_of
from liveness.runs.losses import LossRecord
from liveness.runs.manifest import BlockStatus, Manifest
from liveness.runs.shards import ShardRun


def united_losses(runs: Sequence[ShardRun]) -> list[LossRecord]:
    """Return the losses of all shards by time, in seconds since the start of the earliest shard."""
    moved = [
        msgspec.structs.replace(
            loss,
            from_s=round(loss.from_s + run.after_s, 3),
            to_s=round(loss.to_s + run.after_s, 3),
            cause=f"{run.label}: {loss.cause}",
        )
        for run in runs
        for loss in run.manifest.losses
    ]
    return sorted(moved, key=lambda loss: loss.from_s)


def united_path(runs: Sequence[ShardRun]) -> list[PathEvent]:
    """Return the events of all paths by time, in seconds since the start of the earliest shard."""
    moved = [
        msgspec.structs.replace(
            event, after_s=round(event.after_s + run.after_s, 3), detail=f"{run.label}: {event.detail}"
        )
        for run in runs
        for event in run.manifest.path
    ]
    return sorted(moved, key=lambda event: event.after_s)


def united_timeline(runs: Sequence[ShardRun]) -> Timeline:
    """Return the counts by interval: the intervals of the shard with most, to which those of others are added.

    An interval of another shard counts where it ends. The sums are exact.
    """
    lines = [run.manifest.timeline for run in runs]
    longest = max(range(len(runs)), key=lambda at: len(lines[at].end_s))
    end_s = [round(end + runs[longest].after_s, 3) for end in lines[longest].end_s]
    if not end_s:
        return Timeline()
    last = max(round(end + run.after_s, 3) for run, line in zip(runs, lines, strict=True) for end in line.end_s)
    if last > end_s[-1]:
        end_s.append(last)
    names = [name for name in Timeline.__struct_fields__ if name != "end_s"]
    columns = {name: np.zeros(len(end_s), np.int64) for name in names}
    for run, line in zip(runs, lines, strict=True):
        places = np.searchsorted(end_s, [round(end + run.after_s, 3) for end in line.end_s])
        for name in names:
            counts = np.array(getattr(line, name), np.int64)
            np.add.at(columns[name], places[: len(counts)], counts)
    return Timeline(end_s=end_s, **{name: column.tolist() for name, column in columns.items()})


def united_lag(runs: Sequence[ShardRun]) -> Lag:
    """Return the lag record of the whole census: a mark is passed when every shard has passed it."""
    passed: dict[tuple[str, str, int], list[list[float | None]]] = {}
    for run in runs:
        for lane in run.manifest.lag.lanes:
            times = [None if at is None else round(at + run.after_s, 6) for at in lane.passed_s]
            passed.setdefault((lane.block, lane.probe, lane.attempt), []).append(times)
    lanes = []
    firsts: dict[str, list[list[float | None]]] = {}
    for (block, probe, attempt), times_of in passed.items():
        shortest = min(map(len, times_of))  # a shard of fewer targets may lack the last mark
        united = [_latest(times) for times in zip(*(times[:shortest] for times in times_of), strict=True)]
        lanes.append(LanePassing(block=block, probe=probe, attempt=attempt, passed_s=united))
        if attempt == 0:
            firsts.setdefault(block, []).append(united)
    spreads = [
        max(known) - min(known)
        for of_block in firsts.values()
        for marks in zip(*of_block, strict=False)
        if len(known := [at for at in marks if at is not None]) == len(marks)
    ]
    return lag_of(runs[0].manifest.lag.every_targets, lanes, np.array(spreads, np.float64))


def _latest(times: Sequence[float | None]) -> float | None:
    known = [at for at in times if at is not None]
    return max(known) if len(known) == len(times) else None


def united_blocks(manifests: Sequence[Manifest]) -> list[BlockStatus]:
    """Return the blocks of all shards in the order of their addresses, with all their targets."""
    found: dict[str, list[BlockStatus]] = {}
    for one in manifests:
        for block in one.blocks:
            found.setdefault(block.block, []).append(block)

    def address(name: str) -> list[int]:
        return [int(part) for part in name.split("/", maxsplit=1)[0].split(".") if part.isdecimal()]

    united = []
    for name in sorted(found, key=address):
        states = {block.status for block in found[name]}
        status = states.pop() if len(states) == 1 else "partial"
        united.append(BlockStatus(block=name, targets=sum(block.targets for block in found[name]), status=status))
    return united
