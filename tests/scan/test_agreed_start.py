"""An agreed start: a scan waits for it, and one that comes too late says so and begins."""

import time

import pytest

from liveness.config.model import Config, TargetLists
from liveness.config.units import StartTime
from liveness.scan.agreed_start import START_LEAD_S, await_start
from liveness.scan.plan import Plan
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

START = StartTime("2026-12-01T00:00:00Z")


def plan_of(start: StartTime | None) -> Plan:
    config = Config(name="shared", targets=TargetLists(allow=("10.0.0.0/30",)), control=False, start_at=start)
    targets = Targets.build(Intervals.from_bounds([10 << 24], [(10 << 24) + 3]), Intervals.empty(), lab=True)
    return Plan(config, targets, None, bytes(16))


@pytest.mark.parametrize(
    ("before_s", "notices"),
    [
        (3600.5, ["waiting until 2026-12-01T00:00:00.000Z"]),
        (1.0, []),
        (-7.5, ["the agreed start was 7.5 s ago (2026-12-01T00:00:00.000Z): sending begins at once"]),
    ],
)
def test_a_scan_is_ready_shortly_before_its_start(
    monkeypatch: pytest.MonkeyPatch, before_s: float, notices: list[str]
) -> None:
    clock_s = [START.seconds - before_s]
    monkeypatch.setattr(time, "time", lambda: clock_s[0])
    monkeypatch.setattr(time, "sleep", lambda span_s: clock_s.__setitem__(0, clock_s[0] + span_s))
    said: list[str] = []
    assert await_start(plan_of(START), said.append)
    assert said == notices
    assert START.seconds - clock_s[0] == pytest.approx(min(before_s, START_LEAD_S))


def test_the_search_for_the_highest_rate_ends_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s, search_s = [START.seconds - 3600], 40.0

    def search(*_: object) -> float:
        clock_s[0] += search_s
        return 150.0

    monkeypatch.setattr(time, "time", lambda: clock_s[0])
    monkeypatch.setattr(time, "sleep", lambda span_s: clock_s.__setitem__(0, clock_s[0] + span_s))
    monkeypatch.setattr("liveness.scan.plan.ceiling_pps", search)
    plan = plan_of(START)
    assert await_start(plan, lambda _: None)
    assert plan.ceiling_pps == 150
    assert START.seconds - clock_s[0] == pytest.approx(START_LEAD_S)


def test_without_a_start_nothing_is_awaited() -> None:
    assert not await_start(plan_of(None), pytest.fail)
