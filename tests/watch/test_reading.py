"""Readings: rates by hand, times to go, and which moments make one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.watch.reading import WINDOW_S, Meter
from tests.watch.readings import progress, reading


def test_rates_are_those_since_the_reading_before() -> None:
    found = reading(progress(1, 100, 10), progress(3, 300, 60))
    assert [probe.sent_pps for probe in found.probes] == [100, 200]
    assert [probe.replies_pps for probe in found.probes] == [25, 25]
    assert (found.sent_pps, found.replies_pps, found.replies) == (300, 50, 120)
    assert [probe.hit_rate for probe in found.probes] == [60 / 300, 60 / 600]
    assert found.hit_rate == 120 / 900


def test_before_the_first_frame_nothing_is_known() -> None:
    found = reading(progress(0, 0))
    assert (found.hit_rate, found.eta_s, found.sent_pps) == (None, None, 0)
    assert found.probes[0].hit_rate is None


def test_drops_are_those_of_every_place() -> None:
    assert reading(progress(1, 100, drops=5)).drops == 5 + 10 + 15


def test_the_time_to_go_is_by_the_pace_of_the_last_minute() -> None:
    meter = Meter()
    meter.read(progress(0, 0))
    meter.read(progress(10, 100))
    steady = meter.read(progress(20, 200))
    assert steady is not None
    assert steady.eta_s == pytest.approx(80)
    for second in range(21, 200):
        found = meter.read(progress(second, 200 + second - 20))
    assert found is not None
    assert found.eta_s == pytest.approx(1000 - 200 - 179)
    done = meter.read(progress(200 + WINDOW_S, 1000))
    assert done is not None
    assert done.eta_s == 0


def test_a_pause_longer_than_the_window_leaves_the_time_unknown() -> None:
    meter = Meter()
    meter.read(progress(0, 0))
    meter.read(progress(1, 500))
    found = None
    for second in range(2, 100):
        found = meter.read(progress(second, 500))
    assert found is not None
    assert found.eta_s is None


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=60))
def test_a_reading_a_second_and_one_at_the_end(pauses: list[float]) -> None:
    meter, now, taken = Meter(), 0.0, []
    for pause in pauses:
        now += pause
        if meter.read(progress(now, int(now))) is not None:
            taken.append(now)
    assert all(later - earlier >= 1 for earlier, later in pairwise(taken))
    assert len(taken) >= 1
    assert now - taken[-1] < 1
    assert meter.read(progress(now, int(now), sending=False)) is not None
