"""Owns the margin of `probe_spacing`: how much further apart than they have to be probes are scheduled."""

from typing import Final

SHORTEST_MARGIN_S: Final = 0.002
LONGEST_MARGIN_S: Final = 0.2


def spacing_margin_s(spacing_s: float) -> float:
    """Return by how much the schedule spaces the probes to one address further apart than they have to be, in seconds.

    Frames leave in bursts, a sleep ends late, and what a stall left undone is caught up: half the spacing is left for
    that, at least what bursts take and at most what is ever caught up.
    """
    return min(LONGEST_MARGIN_S, max(spacing_s / 2, min(spacing_s, SHORTEST_MARGIN_S)))
