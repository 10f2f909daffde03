"""The margin of `probe_spacing`: the time that the schedule adds to the least time between two probes."""

from typing import Final

SHORTEST_MARGIN_S: Final = 0.002
LONGEST_MARGIN_S: Final = 0.2


def spacing_margin_s(spacing_s: float) -> float:
    """Return the time in seconds that the schedule adds to the spacing of probes to one address.

    The margin is needed because frames leave in bursts, sleeps end late, and a sender catches up after a stall. It is
    half the spacing, but at least the duration of bursts and at most the longest stall that is caught up.
    """
    return min(LONGEST_MARGIN_S, max(spacing_s / 2, min(spacing_s, SHORTEST_MARGIN_S)))
