"""Times in UTC as documents write them: ISO 8601 with ``Z``."""

import time
from datetime import UTC, datetime
from typing import Final

_DIGITS: Final = 9
_NS_PER_S: Final = 10**_DIGITS


def utc(time_ns: int, digits: int = 3) -> str:
    """Return a time in ns since 1970 as text, cut after `digits` decimals: ``2026-11-21T13:00:00.000Z``."""
    seconds, rest_ns = divmod(time_ns, _NS_PER_S)
    decimals = f".{rest_ns:0{_DIGITS}}"[: digits + 1] if digits else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{decimals}Z"


def utc_brief(time_ns: int, digits: int = 3) -> str:
    """Return a time as `utc` does, without decimals where those would all be 0."""
    text = utc(time_ns, digits)
    return utc(time_ns, 0) if text.endswith(f".{'0' * digits}Z") else text


def utc_now(digits: int = 3) -> str:
    """Return the time now."""
    return utc(time.time_ns(), digits)
