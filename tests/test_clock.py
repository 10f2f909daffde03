"""Times in UTC as text, by the standard library's reading of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.clock import utc, utc_brief, utc_now

NS = 10**9
TIMES = st.integers(-(10**18), 2**63)
"""From 1938 to 2262."""


@given(TIMES, st.sampled_from([0, 3, 6, 9]))
def test_a_text_is_its_time_cut_after_its_decimals(time_ns: int, digits: int) -> None:
    text = utc(time_ns, digits)
    whole, _, decimals = text.removesuffix("Z").partition(".")
    assert len(decimals) == digits
    seconds = int((datetime.fromisoformat(f"{whole}+00:00") - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
    shown_ns = seconds * NS + int(decimals.ljust(9, "0"))
    assert 0 <= time_ns - shown_ns < 10 ** (9 - digits)


@given(TIMES, st.sampled_from([3, 6, 9]))
def test_a_brief_text_is_the_same_time_without_zeros(time_ns: int, digits: int) -> None:
    brief = utc_brief(time_ns, digits)
    assert ("." in brief) == (time_ns // 10 ** (9 - digits) % 10**digits != 0)
    assert brief in (utc(time_ns, digits), utc(time_ns, 0))


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_763_730_000_123_999_999, "2025-11-21T13:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_examples(time_ns: int, text: str) -> None:
    assert utc(time_ns) == text


def test_now_is_now() -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert before <= datetime.fromisoformat(utc_now()) <= datetime.now(UTC)
