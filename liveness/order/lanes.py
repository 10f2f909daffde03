"""Lanes: one attempt of one probe each, its lag behind the newest drawn target, and the margin of the spacing."""

from dataclasses import dataclass
from typing import Final

SHORTEST_MARGIN_S: Final = 0.002
LONGEST_MARGIN_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Lane:
    """One attempt of one probe. At each tick it probes the target that was drawn `lag` ticks ago."""

    probe: int
    attempt: int
    lag: int


def plan_lanes(probes: int, attempts: int, queue: int, spacing: int, targets: int) -> tuple[Lane, ...]:
    """Return the lanes in the order of a tick: the first attempts of all probes, then the second attempts, and so on.

    `queue` and `spacing` are lags in targets. A queue that is longer than the block is shortened, so that repeats begin
    as soon as the last original has left, without a pause in which nothing is sent. The first repeat always follows the
    last original to the same target by the spacing at least, also if the queue or the block is shorter.
    """
    repeat_lag = max(min(queue, targets + (probes - 1) * spacing), probes * spacing)
    return tuple(
        Lane(probe, attempt, attempt * repeat_lag + probe * spacing)
        for attempt in range(attempts)
        for probe in range(probes)
    )


def marks_for(targets: int, mark_every: int) -> int:
    """Return the number of marks that a lane can pass: one at every `mark_every` targets, and one at its end."""
    return -(-targets // mark_every) + 1


def widened(lane: Lane, ticks: int, probes: int) -> int:
    """Return by how many ticks the lag of a lane grows if the spacing grows by `ticks`."""
    return (lane.attempt * probes + lane.probe) * ticks


def spacing_margin_s(spacing_s: float) -> float:
    """Return the time in seconds that the schedule adds to the spacing of probes to one address.

    The margin is needed because frames leave in bursts, sleeps end late, and a sender catches up after a stall. It is
    half the spacing, but at least the duration of bursts and at most the longest stall that is caught up.
    """
    return min(LONGEST_MARGIN_S, max(spacing_s / 2, min(spacing_s, SHORTEST_MARGIN_S)))
