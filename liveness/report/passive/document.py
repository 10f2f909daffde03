"""The report document of a passive run, as tables and figures take it, and what they say alike."""

from collections.abc import Mapping
from typing import Any, Final

from liveness.analysis.numbers import percent

Document = Mapping[str, Any]
MOST_ROWS: Final = 20
UNKNOWN: Final = "unknown"


def share_of(part: int, whole: int) -> str:
    """Return a share as percent, a dash if the denominator is 0."""
    return percent(part / whole if whole else None)
