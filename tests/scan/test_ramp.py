"""The ramp in networks of numbers: it finds their capacity, and sees none where there is none."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.scan.rate.ramp import BLIND_PPS, Phase, Ramp
from liveness.scan.rate.step import Verdict
from tests.scan.networks import Model

LIMIT_PPS = 100_000.0
START_PPS = 500.0
MIXED = (0.06, 0.01, 0.01, 0.012, 0.011, 0.008, 0.004, 0.003, 0.005)
"""Hit rates such as the Internet's: ICMP, five TCP ports, DNS, NTP, the control."""
STEPS_BACK = {Verdict.FELL, Verdict.OWN_DROPS, Verdict.SENDER_BOUND}


def ramp_of(probes: int, limit_pps: float = LIMIT_PPS) -> Ramp:
    return Ramp(min(START_PPS, limit_pps / 4), limit_pps, probes)


def verdicts(ramp: Ramp) -> Counter[str]:
    return Counter(step.verdict for step in ramp.steps)


def false_alarms(seeds: int, seconds: float, hit_rates: tuple[float, ...], **network: float | bool) -> int:
    """Return in how many networks without a limit a fall was seen; in all others the limit must be reached."""
    alarms = 0
    for seed in range(seeds):
        ramp = Model(seed, hit_rates, **network).run(ramp_of(len(hit_rates)), seconds)  # type: ignore[arg-type]
        if STEPS_BACK & set(verdicts(ramp)):
            alarms += 1
        else:
            assert (ramp.good_pps, ramp.limited_by) == (LIMIT_PPS, None), (seed, ramp.steps)
    return alarms


NO_CAPACITY = [
    pytest.param((0.001,) * 9, 800.0, {}, id="0.1%"),
    pytest.param((0.01,) * 9, 200.0, {}, id="1%"),
    pytest.param((0.1,) * 9, 120.0, {}, id="10%"),
    pytest.param((0.5,) * 9, 120.0, {}, id="50%"),
    pytest.param((0.01,), 300.0, {}, id="one probe"),
    pytest.param(MIXED, 200.0, {}, id="mixed"),
    pytest.param(MIXED, 200.0, {"late": 0.05}, id="late replies"),
    pytest.param(MIXED, 200.0, {"drift": 0.03}, id="rising"),
    pytest.param(MIXED, 200.0, {"drift": -0.03}, id="falling"),
    pytest.param(MIXED, 200.0, {"bursts": True}, id="bursts of loss"),
]


@pytest.mark.parametrize(("hit_rates", "seconds", "network"), NO_CAPACITY)
def test_without_a_capacity_the_limit_is_reached(
    hit_rates: tuple[float, ...], seconds: float, network: dict[str, float | bool]
) -> None:
    assert false_alarms(5, seconds, hit_rates, **network) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("hit_rates", "seconds", "network"), NO_CAPACITY)
def test_without_a_capacity_false_alarms_are_rarer_than_one_in_twenty(
    hit_rates: tuple[float, ...], seconds: float, network: dict[str, float | bool]
) -> None:
    assert false_alarms(60, 2 * seconds, hit_rates, **network) <= 3


CAPACITIES = [
    pytest.param((0.01,) * 9, 117_000, {}, 500.0, id="1%"),
    pytest.param((0.1,) * 9, 117_000, {}, 300.0, id="10%"),
    pytest.param((0.5,) * 9, 117_000, {}, 300.0, id="50%"),
    pytest.param((0.1,) * 9, 126_000, {}, 300.0, id="a capacity just below a step"),
    pytest.param((0.1,) * 9, 146_000, {}, 300.0, id="a capacity just above a step"),
    pytest.param((0.05,), 20_000, {}, 300.0, id="one probe"),
    pytest.param(MIXED, 200_000, {}, 400.0, id="mixed"),
    pytest.param(MIXED, 200_000, {"queue_packets": 20_000.0}, 400.0, id="a queue of 0.1 s"),
    pytest.param(MIXED, 200_000, {"drift": -0.03}, 400.0, id="falling"),
    pytest.param(MIXED, 200_000, {"late": 0.05}, 400.0, id="late replies"),
    pytest.param((0.3,) * 2, 700, {}, 400.0, id="less than what it begins with"),
]


@pytest.mark.parametrize(("hit_rates", "capacity_pps", "network", "seconds"), CAPACITIES)
def test_a_capacity_is_found(
    hit_rates: tuple[float, ...], capacity_pps: float, network: dict[str, float | bool], seconds: float
) -> None:
    """In all: what each probe's rate makes together lies between half of it and a tenth above."""
    for seed in range(3):
        model = Model(seed, hit_rates, capacity_pps=capacity_pps, **network)  # type: ignore[arg-type]
        ramp = model.run(ramp_of(model.probes), seconds)
        assert 0.5 <= ramp.good_pps * model.probes / capacity_pps <= 1.1, (seed, ramp.steps)
        assert verdicts(ramp)[Verdict.FELL] >= 1
        assert ramp.limited_by is Verdict.FELL, (seed, ramp.steps)
        assert ramp.checked or ramp.phase is Phase.CHECK, (seed, ramp.steps)


def test_a_capacity_is_found_where_few_answer() -> None:
    """One reply in a thousand probes: sure to be below what loses two fifths, not closer."""
    for seed in range(3):
        model = Model(seed, (0.001,) * 9, capacity_pps=117_000)
        ramp = model.run(ramp_of(9), 1_500)
        assert 0.5 <= ramp.good_pps / 13_000 <= 1.3, (seed, ramp.steps)
        assert ramp.limited_by is Verdict.FELL


def test_a_queue_of_a_second_hides_little() -> None:
    for seed in range(2):
        model = Model(seed, MIXED, capacity_pps=200_000, queue_packets=200_000, late=0.05)
        ramp = model.run(ramp_of(9), 400)
        assert 0.5 <= ramp.good_pps * 9 / 200_000 <= 1.2, (seed, ramp.steps)


def test_hardly_anything_is_lost_on_the_way() -> None:
    """From its first packet to ten minutes later a search has sent one probe in twelve too many at most."""
    model = Model(3, MIXED, capacity_pps=200_000)
    model.run(ramp_of(9), 600)
    offered = [rate_pps * 9 for rate_pps in model.rates]
    lost = sum(max(0.0, pps - 200_000) for pps in offered)
    assert 0 < lost / sum(offered) < 1 / 12


def test_a_network_that_becomes_slower_is_noticed_and_one_that_recovers_is_too() -> None:
    model = Model(5, MIXED, capacity_pps=400_000)
    ramp = model.run(ramp_of(9), 300)
    assert 0.5 <= ramp.good_pps * 9 / 400_000 <= 1.1
    model.capacity_pps = 100_000
    model.run(ramp, 700)
    assert 0.5 <= ramp.good_pps * 9 / 100_000 <= 1.1, ramp.steps
    model.capacity_pps = None
    model.run(ramp, 3_600)
    assert ramp.good_pps == LIMIT_PPS, ramp.steps
    assert ramp.limited_by is None


def test_senders_that_cannot_keep_up_end_the_climb() -> None:
    model = Model(1, MIXED, sender_pps=23_000)
    ramp = model.run(ramp_of(9), 600)
    assert 0.5 * 23_000 <= ramp.good_pps <= 1.1 * 23_000
    assert ramp.limited_by is Verdict.SENDER_BOUND
    assert Verdict.FELL not in verdicts(ramp)


def test_a_host_that_is_busy_for_a_moment_does_not_end_the_climb() -> None:
    """Every ten seconds the senders get a fifth of their time for half a second: in one window of two or three."""
    model, ramp = Model(1, MIXED), ramp_of(9)
    for second in range(400):
        model.sender_pps = ramp.rate_pps / 5 if second % 10 == 0 else None
        model.run(ramp, 0.5)
        model.sender_pps = None
        model.run(ramp, 0.5)
    assert (ramp.good_pps, ramp.limited_by) == (LIMIT_PPS, None), ramp.steps
    assert Verdict.SENDER_BOUND not in verdicts(ramp)


def test_drops_on_our_own_side_end_the_climb() -> None:
    model = Model(1, MIXED, own_drops_above_pps=23_000)
    ramp = model.run(ramp_of(9), 600)
    assert 0.5 * 23_000 <= ramp.good_pps <= 23_000
    assert ramp.limited_by is Verdict.OWN_DROPS


def test_a_packet_dropped_now_and_then_is_no_reason() -> None:
    """Interfaces count frames of protocols that nobody here speaks as dropped."""
    model = Model(2, MIXED)
    ramp = ramp_of(9)
    for _ in range(120):
        model.run(ramp, 1)
        model.drops += 2
    assert (ramp.good_pps, STEPS_BACK & set(verdicts(ramp))) == (LIMIT_PPS, set())


def test_without_replies_the_rate_stays_low_and_the_search_continues() -> None:
    model = Model(1, (0.0,) * 9)
    ramp = ramp_of(9)
    model.run(ramp, 4_000)
    assert ramp.good_pps == BLIND_PPS
    assert max(model.rates) <= 2 * BLIND_PPS
    assert verdicts(ramp)[Verdict.BLIND] == 1
    assert verdicts(ramp)[Verdict.UNCLEAR] >= 3
    model.hit_rates, model.highest = MIXED, max(MIXED)
    model.run(ramp, 900)
    assert ramp.good_pps == LIMIT_PPS, ramp.steps
    assert ramp.limited_by is None


def test_another_block_is_another_population() -> None:
    """Every two minutes hit rates change by a factor of ten: no step compares one block with another."""
    for seed in range(2):
        model = Model(seed, MIXED, block_s=120)
        ramp = ramp_of(9)
        for block in range(6):
            model.hit_rates = tuple(rate * (1 if block % 2 else 0.1) for rate in MIXED)
            model.highest = max(model.hit_rates)
            model.run(ramp, 120)
        assert (ramp.good_pps, STEPS_BACK & set(verdicts(ramp))) == (LIMIT_PPS, set()), ramp.steps


def test_a_low_limit_is_never_passed() -> None:
    model = Model(4, MIXED)
    ramp = model.run(ramp_of(9, 1_200), 200)
    assert ramp.good_pps == max(model.rates) == 1_200
    assert model.rates[0] == 300


def test_slower_is_obeyed_and_stays_so() -> None:
    model = Model(6, MIXED)
    ramp = model.run(ramp_of(9), 150)
    assert (ramp.phase, ramp.rate_pps) == (Phase.HOLD, LIMIT_PPS)
    ramp.lower(model.time_s, 0.05)
    ramp.lower(model.time_s, 0.05)
    assert ramp.rate_pps == pytest.approx(0.95**2 * LIMIT_PPS)
    begun = len(model.rates)
    model.run(ramp, 1_200)
    assert max(model.rates[begun:]) == pytest.approx(0.95**2 * LIMIT_PPS)
    ramp.higher(model.time_s, 0.05)
    model.run(ramp, 200)
    assert ramp.good_pps == pytest.approx(1.05 * 0.95**2 * LIMIT_PPS)
    for _ in range(5):
        ramp.higher(model.time_s, 0.05)
    assert ramp.limit_pps == LIMIT_PPS
    moves = [step.verdict for step in ramp.steps if step.verdict in ("faster", "slower")]
    assert moves == ["slower"] * 2 + ["faster"] * 6


def test_faster_tries_at_once_and_believes_the_network() -> None:
    model = Model(6, MIXED, capacity_pps=200_000)
    ramp = model.run(ramp_of(9), 150)
    while ramp.phase is not Phase.HOLD:
        model.run(ramp, 1)
    found = ramp.good_pps
    ramp.higher(model.time_s, 0.05)
    assert ramp.rate_pps == pytest.approx(1.05 * found)
    for _ in range(5):
        model.run(ramp, 60)
        ramp.higher(model.time_s, 0.05)
    assert ramp.good_pps * 9 <= 1.1 * 200_000


def test_slower_while_it_climbs() -> None:
    model = Model(6, MIXED)
    ramp = model.run(ramp_of(9), 30)
    assert ramp.phase is Phase.START
    reached = ramp.good_pps
    ramp.lower(model.time_s, 0.05)
    model.run(ramp, 300)
    assert ramp.good_pps == ramp.limit_pps == pytest.approx(0.95 * reached)


def test_the_record_shows_every_step() -> None:
    model = Model(8, MIXED, capacity_pps=200_000)
    ramp = model.run(ramp_of(9), 400)
    assert [step.after_s for step in ramp.steps] == sorted(step.after_s for step in ramp.steps)
    for step in ramp.steps:
        assert step.hit_rate is not None
        assert step.reference_hit_rate is not None
        assert step.hit_rate_low is not None
        assert step.hit_rate_high is not None
        assert step.ratio_low is not None
        assert step.ratio_high is not None
        assert step.reference_pps is not None
        assert step.hit_rate_low < step.hit_rate < step.hit_rate_high * 1.01
        assert step.ratio_low <= step.hit_rate / step.reference_hit_rate * 1.02
        assert step.ratio_high >= step.hit_rate / step.reference_hit_rate * 0.98
        assert step.reference_pps < step.rate_pps
        if step.verdict == Verdict.FELL:
            assert step.next_pps < step.rate_pps
            assert step.ratio_high < 1
    doubling = [step.rate_pps for step in ramp.steps[:5]]
    assert all(after == 2 * before for before, after in pairwise(doubling))


@given(st.integers(0, 2**32), st.integers(1, 9), st.floats(0, 0.9), st.floats(100, 10**6), st.floats(1, 10**6))
@settings(max_examples=15)
def test_whatever_the_network_the_rate_stays_in_its_bounds(
    seed: int, probes: int, hit_rate: float, capacity_pps: float, limit_pps: float
) -> None:
    model = Model(seed, (max(hit_rate, 1e-9),) * probes, capacity_pps=capacity_pps, block_s=97)
    model.run(ramp_of(probes, limit_pps), 200)
    assert all(min(5.0, limit_pps / 8) <= rate_pps <= max(limit_pps, 10) for rate_pps in model.rates)


def test_what_an_earlier_session_sent_is_not_counted() -> None:
    """A sender that goes on counts at once what the session before has sent of the block."""
    model = Model(9, MIXED)
    ramp = model.run(ramp_of(9), 20)
    for _ in range(3):
        model.sent += 40_000
        model.run(ramp, 9)
    assert all(step.ratio_high is not None and step.ratio_high < 2.5 for step in ramp.steps), ramp.steps
    model.run(ramp, 100)
    assert ramp.good_pps == LIMIT_PPS


def test_the_same_counters_give_the_same_rates() -> None:
    runs = [Model(9, MIXED, capacity_pps=200_000) for _ in range(2)]
    steps = [model.run(ramp_of(9), 200).steps for model in runs]
    assert steps[0] == steps[1]
    assert runs[0].rates == runs[1].rates
