"""Lanes: one probe's one attempt each, and how far behind the drawn targets they go."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lane:
    """One probe's one attempt: it probes the target drawn `lag` ticks ago."""

    probe: int
    attempt: int
    lag: int


def plan_lanes(probes: int, attempts: int, queue: int, spacing: int, targets: int) -> tuple[Lane, ...]:
    """Return the lanes in the order of a tick: all probes' first attempts, then their second ones.

    `queue` and `spacing` are lags in targets. A queue longer than the block needs is cut to where the last original has
    left: repeats then follow at once, rather than after a pause in which nothing is sent. But the first repeat follows
    the last original to the same target by the spacing at least, however short the queue or the block.
    """
    repeat_lag = max(min(queue, targets + (probes - 1) * spacing), probes * spacing)
    return tuple(
        Lane(probe, attempt, attempt * repeat_lag + probe * spacing)
        for attempt in range(attempts)
        for probe in range(probes)
    )


def marks_for(targets: int, mark_every: int) -> int:
    """Return how many marks a lane can pass: one at every `mark_every` targets, and one at its end."""
    return -(-targets // mark_every) + 1


def widened(lane: Lane, ticks: int, probes: int) -> int:
    """Return by how much a lane's lag grows where the spacing grows by `ticks`."""
    return (lane.attempt * probes + lane.probe) * ticks
