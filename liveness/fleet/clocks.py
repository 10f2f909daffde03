"""Clocks of vantage points: what chrony says of a machine's own clock, and the difference between two machines."""

import subprocess
from typing import Final

from msgspec import Struct

from liveness.clock import utc_now

CHRONYC: Final = ("chronyc", "-c", "-n", "tracking")
WAIT_S: Final = 3
STRATUM, OFFSET_S, LEAP = 2, 4, 13
"""Places in the line of `chronyc -c tracking`: stratum, system time less NTP time, leap status."""
UNSYNCHRONISED: Final = "Not synchronised"


class Clock(Struct, frozen=True, kw_only=True):
    """The state of a machine's clock: by how much it differs from NTP time, as chrony estimates it."""

    source: str
    offset_ms: float
    stratum: int
    checked: str


def read_clock() -> Clock | None:
    """Return the state of this machine's clock; None if no chrony keeps it, or chrony is not synchronised."""
    try:
        done = subprocess.run(CHRONYC, capture_output=True, text=True, timeout=WAIT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return clock_in(done.stdout) if done.returncode == 0 else None


def clock_in(line: str) -> Clock | None:
    """Return the clock that a line of `chronyc -c tracking` describes; None if it is not synchronised, or no such line.

    The fifth field is how far the system clock is slow (positive) of NTP time.
    """
    fields = line.strip().split(",")
    if len(fields) <= LEAP or fields[LEAP] == UNSYNCHRONISED:
        return None
    try:
        offset_s, stratum = float(fields[OFFSET_S]), int(fields[STRATUM])
    except ValueError:
        return None
    return Clock(source="chrony", offset_ms=round(offset_s * 1e3, 3), stratum=stratum, checked=utc_now())


def difference_s(before_s: float, there_s: float, after_s: float) -> float:
    """Return by how much another machine's clock is ahead of ours, within half the time that the question took."""
    return there_s - (before_s + after_s) / 2
