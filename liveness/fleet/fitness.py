"""Fitness of a vantage point for a run: the version of its program, and its clock."""

from typing import Final

from liveness.fleet.placement import Facts
from liveness.version import __version__

WARN_MS: Final = 50.0
"""Clocks that differ more are reported."""
REPLICATE_MS: Final = 1_000.0
"""Runs that are compared must have begun together: a clock that is further off is refused."""
SPLIT_MS: Final = 2_000.0
"""Leases hold by the clocks of their owners: one that is further off is refused."""


def why_unfit(found: Facts, mode: str) -> str | None:
    """Return why a vantage point with these facts cannot take part in a run of this mode; None if it can."""
    limit_ms = REPLICATE_MS if mode == "replicate" else SPLIT_MS
    off_ms = skew_ms(found)
    if found.version != __version__:
        return f"liveness {found.version} there, {__version__} here: install the same version"
    if abs(off_ms) > limit_ms:
        return f"its clock is {off_ms:+,.0f} ms off, {limit_ms:,.0f} ms are the most: set it (chrony)"
    return None


def clock_warning(found: Facts) -> str | None:
    """Return a warning about a clock that is off, None for one that is right."""
    off_ms = skew_ms(found)
    return f"its clock is {off_ms:+,.0f} ms off: starts differ by as much" if abs(off_ms) > WARN_MS else None


def skew_ms(found: Facts) -> float:
    """Return by how much a clock is off at least: as its machine knows, else as the network shows."""
    return found.ahead_ms if found.offset_ms is None else found.offset_ms
