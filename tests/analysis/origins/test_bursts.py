"""Bursts: outages of one vantage point, of all together, and a vantage point that falls silent."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from liveness.replies import Kind
from liveness.runs.course import Timeline
from tests.analysis.origins.support import Scan, compared

INTERVALS = 120
SENT = 5000


def course(place: int, *, hit: float = 0.2, without: Sequence[tuple[int, int, float]] = (), slow: int = 1) -> Timeline:
    """Draw the timeline of a run; `without` are intervals of the order and the share of replies that is lost there."""
    random = np.random.default_rng(place)
    rates = hit * np.where(np.arange(INTERVALS) < INTERVALS // 2, 1.0, 0.6)  # a second block of sparser targets
    for first, last, lost in without:
        rates[first:last] *= 1 - lost
    accepted = random.binomial(SENT, rates)
    # A slower machine takes more intervals of time for the same stretch of the order.
    sent = np.full(INTERVALS * slow, SENT // slow)
    return Timeline(
        end_s=[float(end + 1) for end in range(INTERVALS * slow)],
        sent=sent.tolist(),
        accepted=[int(part) for total in accepted for part in np.diff(np.linspace(0, total, slow + 1).round())],
    )


def bursts(*courses: Timeline) -> list[dict[str, Any]]:
    scans = [
        Scan(f"place{place}", {("icmp", Kind.ECHO_REPLY): [1]}, second=place, changes={"timeline": timeline})
        for place, timeline in enumerate(courses)
    ]
    results = compared(scans)
    found: list[dict[str, Any]] = results.document()["bursts"][0]["bursts"]
    return found


def test_places_that_differ_by_chance_have_no_burst() -> None:
    for seed in range(20):
        assert bursts(*(course(3 * seed + place) for place in range(3))) == []


@pytest.mark.parametrize("places", [2, 3, 4])
@pytest.mark.parametrize("slow", [1, 3])
def test_an_outage_of_one_place_is_its_own(places: int, slow: int) -> None:
    outage = course(0, without=[(30, 36, 0.8)], slow=slow)
    found = bursts(outage, *(course(place) for place in range(1, places)))
    assert [(burst["vantage"], burst["silent_to_end"]) for burst in found] == [("place0", False)]
    assert found[0]["begin"] == pytest.approx(30 / INTERVALS)
    assert found[0]["end"] == pytest.approx(36 / INTERVALS)
    assert (found[0]["from_s"], found[0]["to_s"]) == pytest.approx((30 * slow, 36 * slow))
    assert found[0]["lacking"] == pytest.approx(0.8, abs=0.1)
    assert found[0]["replies"] == pytest.approx(6 * SENT * 0.2 * 0.8, rel=0.15)


def test_an_outage_of_targets_is_no_one_places_own() -> None:
    found = bursts(*(course(place, without=[(70, 73, 0.7)]) for place in range(3)))
    assert [burst["vantage"] for burst in found] == [None]
    assert (found[0]["begin"], found[0]["end"]) == pytest.approx((70 / INTERVALS, 73 / INTERVALS))


@pytest.mark.parametrize("since", [0, 10, 60, 110])
def test_a_place_that_falls_silent_is_named_with_the_time(since: int) -> None:
    scans = [
        Scan(f"place{place}", {("icmp", Kind.ECHO_REPLY): [1]}, second=place,
             changes={"timeline": course(place, without=[(since, INTERVALS, 1.0)] if place == 1 else ())})
        for place in range(3)
    ]  # fmt: skip
    results = compared(scans)
    [burst] = results.document()["bursts"][0]["bursts"]
    assert (burst["vantage"], burst["silent_to_end"], burst["end"]) == ("place1", True, 1)
    assert burst["begin"] == pytest.approx(since / INTERVALS)
    [warning] = results.warnings()
    assert warning.startswith("weekly/place1-1: vantage point place1 was silent")
    assert ("from the start" if since == 0 else "after its start") in warning


@pytest.mark.parametrize(
    "damaged", [{}, {"sent": [5] * 9}, {"accepted": []}, {"end_s": [2.0, 1.0]}, {"accepted": [-1] * INTERVALS}]
)
def test_runs_without_a_whole_timeline_have_no_bursts(damaged: dict[str, list[float]]) -> None:
    broken = structs.replace(course(1), **damaged) if damaged else Timeline()
    scans = [
        Scan(name, {("icmp", Kind.ECHO_REPLY): [1]}, changes={"timeline": timeline})
        for name, timeline in (("ams1", course(0)), ("fra1", broken))
    ]
    assert compared(scans).document()["bursts"] is None


@pytest.mark.parametrize("places", [2, 3])
@pytest.mark.parametrize("since", [20, 60, 100])
def test_two_places_suffice_to_see_which_of_them_is_silent(places: int, since: int) -> None:
    courses = [course(place, hit=0.1 * (place + 1)) for place in range(places)]
    courses[1] = course(1, hit=0.15, without=[(since, INTERVALS, 1.0)])
    assert [(burst["vantage"], burst["silent_to_end"]) for burst in bursts(*courses)] == [("place1", True)]
