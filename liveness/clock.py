"""Times in UTC as documents write them: ISO 8601 with ``Z``."""

import time
from datetime import UTC, datetime


def utc(time_ns: int) -> str:
    """Return a time in ns since 1970, to the millisecond: ``2026-11-21T13:00:00.000Z``."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> str:
    """Return the time, to the millisecond."""
    return utc(time.time_ns())
