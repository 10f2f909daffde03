"""Times as a run's documents write them."""

from datetime import UTC, datetime


def utc(time_ns: int) -> str:
    """Return a time in ns since the epoch as ISO 8601 in UTC, to the millisecond, with ``Z``."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
