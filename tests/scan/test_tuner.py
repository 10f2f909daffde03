"""The tuner: from shared counters to a shared rate, signals and the record of the search."""

import os
import signal
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from liveness.config.model import from_document
from liveness.errors import LivenessError
from liveness.runs.checkpoint import Totals
from liveness.scan.interruption import rate_signals
from liveness.scan.plan import Plan
from liveness.scan.rate import tuner as tuner_module
from liveness.scan.rate.tuner import Tuner
from liveness.scan.shared import Shared
from liveness.scan.totals import SessionTotals
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan.networks import STEP_S, Model

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = parse_address("10.1.0.0")


def plan_of(**changed: object) -> Plan:
    config = from_document(
        {
            "name": "x",
            "targets": {"allow": ["10.1.0.0/16"]},
            "probes": ["icmp", "tcp/80"],
            "control": False,
            "rate": "auto",
            "rate_limit": "20kpps",
            "senders": 2,
            "receive": {"receivers": 2},
            **changed,
        }
    )
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + 65_535]), Intervals.empty(), lab=True)
    return Plan(config, targets, None, bytes(16))


@pytest.fixture
def interface(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Say what the interface has dropped."""
    dropped = {"packets": 12_345}
    monkeypatch.setattr(tuner_module, "interface_drops", lambda _name: dropped["packets"])
    return dropped


class Scan:
    """A tuner over a model of a network, whose counters reach it by shared memory as a scan's do."""

    def __init__(self, capacity_pps: float | None = None) -> None:
        self.model = Model(1, (0.2, 0.1), capacity_pps=capacity_pps)
        self.plan = plan_of()
        self.shared = Shared(self.plan)
        self.lost_below = 0
        """What devices below the interface have dropped."""
        self.tuner = Tuner(self.plan, self.shared, "v0", clock=lambda: self.model.time_s)

    def run(self, seconds: float, on_step: "Callable[[], None]" = lambda: None) -> None:
        until = self.model.time_s + seconds
        while self.model.time_s < until:
            self.tuner.observe(self.lost_below)
            self.model.step(float(self.shared.rate_pps[0]))
            half = self.model.sent // 2
            self.shared.sent[0, :, 0], self.shared.sent[1, :, 0] = half, self.model.sent - half
            self.shared.sent[0, :, 1] = 3 * self.model.sent  # repeats are none of its business
            self.shared.first_replies[0], self.shared.first_replies[1] = self.model.hits - 7, 7
            on_step()


def test_it_begins_at_the_start_and_ends_at_the_limit(interface: dict[str, int]) -> None:
    scan = Scan()
    assert scan.shared.rate_pps[0] == 500
    scan.run(120)
    assert interface["packets"]
    assert scan.shared.rate_pps[0] == 20_000
    record = scan.tuner.record()
    assert (record.found_pps, record.limit_pps, record.limited_by, record.checked) == (20_000, 20_000, None, True)
    assert [step.verdict for step in record.steps] == ["holds"] * len(record.steps)
    assert [step.rate_pps for step in record.steps[:4]] == [1_000, 2_000, 4_000, 8_000]
    assert record.steps[0].reference_pps == 500
    assert record.steps[0].hit_rate == pytest.approx(0.15, rel=0.2)


def test_it_finds_a_capacity(interface: dict[str, int]) -> None:
    scan = Scan(capacity_pps=10_000)
    scan.run(200)
    record = scan.tuner.record()
    assert interface["packets"]
    assert 0.5 <= record.found_pps * 2 / 10_000 <= 1.1
    assert record.limited_by == "fell"


def test_a_session_that_is_resumed_begins_at_half_and_adds_to_the_record(interface: dict[str, int]) -> None:
    scan = Scan(capacity_pps=10_000)
    scan.run(100)
    assert interface["packets"]
    first = scan.tuner.record()
    again = Scan(capacity_pps=10_000)
    lowered = msgspec.structs.replace(first, limit_pps=6_000.0)
    again.tuner = Tuner(again.plan, again.shared, "v0", lowered, clock=lambda: again.model.time_s)
    assert again.shared.rate_pps[0] == pytest.approx(first.found_pps / 2)
    again.run(100)
    second = again.tuner.record()
    assert 0.5 <= second.found_pps * 2 / 10_000 <= 1.1
    assert second.limit_pps == 6_000
    both = (
        Totals(elapsed_s=100.0, rate_search=first).followed_by(Totals(elapsed_s=50.0, rate_search=second)).rate_search
    )
    assert both is not None
    assert (both.found_pps, both.limit_pps) == (second.found_pps, second.limit_pps)
    assert both.steps[: len(first.steps)] == first.steps
    assert [step.after_s for step in both.steps] == sorted(step.after_s for step in both.steps)
    assert both.steps[-1].after_s == pytest.approx(100 + second.steps[-1].after_s)
    assert Totals(rate_search=first).followed_by(Totals()).rate_search == first
    assert Totals().followed_by(Totals(rate_search=first)).rate_search == first
    assert Totals().followed_by(Totals()).rate_search is None


@pytest.mark.parametrize("which", ["kernel", "interface", "below", "senders", "behind"])
def test_losses_on_our_own_side_are_its_business(interface: dict[str, int], which: str) -> None:
    scan = Scan()

    def lose() -> None:
        rate_pps = float(scan.shared.rate_pps[0])
        if rate_pps <= 3_000:
            return
        lost = int((rate_pps - 3_000) * STEP_S)
        if which == "kernel":
            scan.shared.kernel_drops[1] += lost
        elif which == "interface":
            interface["packets"] += lost
        elif which == "below":
            scan.lost_below += lost
        elif which == "senders":
            scan.shared.send_errors[0, 1] += lost
        else:
            scan.shared.given_up_s += STEP_S * (1 - 3_000 / rate_pps)

    scan.run(200, lose)
    record = scan.tuner.record()
    assert record.limited_by == ("sender-bound" if which == "behind" else "own-drops")
    assert 1_500 <= record.found_pps <= 3_300


def test_an_interface_that_is_gone_drops_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> int:
        raise LivenessError(f"interface {name} is gone")

    monkeypatch.setattr(tuner_module, "interface_drops", gone)
    scan = Scan()
    scan.run(60)
    assert scan.tuner.record().limited_by is None


def test_signals_ask_the_search(interface: dict[str, int]) -> None:
    """They change nothing themselves: the next look at the counters does, and the record tells it."""
    scan = Scan()
    scan.run(100)
    assert interface["packets"]
    session = SessionTotals("lo", scan.shared, tuner=scan.tuner)
    before = float(scan.shared.rate_pps[0])
    with rate_signals(session, np.inf):
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert scan.shared.rate_pps[0] == before
        scan.tuner.observe()
        assert scan.shared.rate_pps[0] == pytest.approx(20_000 * 0.95**2)
        os.kill(os.getpid(), signal.SIGUSR1)
    scan.run(100)
    assert session.rate_changes == []
    record = scan.tuner.record()
    assert record.found_pps == pytest.approx(20_000 * 0.95**2 * 1.05)
    assert [step.verdict for step in record.steps if step.verdict != "holds"] == ["slower", "slower", "faster"]


def test_only_a_search_counts_first_replies() -> None:
    assert plan_of().load.start_pps == 500
    fixed = plan_of(rate="3kpps")
    assert (fixed.load.start_pps, fixed.rate_pps) == (3_000, 3_000)
    assert Shared(fixed).rate_pps.tolist() == [3_000]
    assert not np.any(Shared(fixed).first_replies)
