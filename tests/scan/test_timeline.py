"""The timeline: intervals add up to the whole, however often they are made coarser."""

import dataclasses

import msgspec
import numpy as np
import pytest

from liveness.net.links import InterfaceCounters
from liveness.runs.course import Timeline
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.scan.timeline import MOST_INTERVALS, TimelineRecord
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan.test_census_in_memory import small_config

BEFORE = InterfaceCounters(*range(1000, 8000, 1000))


@pytest.fixture
def shared() -> Shared:
    targets = Targets.build(Intervals.from_bounds([0x0A010000], [0x0A0100FF]), Intervals.empty(), lab=True)
    return Shared(Plan(small_config(), targets, 50_123, bytes(16)))


def test_intervals_hold_what_happened_in_them(shared: Shared) -> None:
    record = TimelineRecord(BEFORE)
    assert not record.due(0.99)
    assert record.due(1.0)
    shared.sent[0, 1, 0] = 70
    shared.completed[0] = 60
    shared.packets[0], shared.accepted[0, 2], shared.rejected[0] = 9, 7, 2
    record.observe(1.1, shared, dataclasses.replace(BEFORE, tx_packets=BEFORE.tx_packets + 61))
    assert not record.due(2.0)
    assert record.due(2.1)
    shared.sent[0, 3, 1] = 30
    shared.send_errors[0, 1], shared.dropped[0], shared.kernel_drops[0] = 4, 1, 5
    lost = dataclasses.replace(
        BEFORE, rx_dropped=BEFORE.rx_dropped + 2, rx_missed=BEFORE.rx_missed + 1, rx_packets=BEFORE.rx_packets + 8
    )
    record.observe(2.2, shared, dataclasses.replace(lost, tx_packets=BEFORE.tx_packets + 61))
    assert record.record() == Timeline(
        end_s=[1.1, 2.2],
        sent=[70, 30],
        completed=[60, 0],
        send_errors=[0, 5],
        packets=[9, 0],
        accepted=[7, 0],
        rejected=[2, 0],
        kernel_drops=[0, 5],
        nic_drops=[0, 3],
        interface_sent=[61, 0],
        interface_received=[0, 8],
    )


def test_frames_that_are_taken_back_were_not_sent_before_either(shared: Shared) -> None:
    record = TimelineRecord(BEFORE)
    for at_s, sent in ((1.0, 70), (2.0, 90), (3.0, 60)):
        shared.sent[0, 1, 0] = sent
        record.observe(at_s, shared, BEFORE)
    assert record.record().sent == [60, 0, 0]


@pytest.mark.parametrize("seconds", [MOST_INTERVALS - 1, MOST_INTERVALS, MOST_INTERVALS + 1, 10_000])
def test_a_long_run_is_reported_in_fewer_longer_intervals_and_nothing_is_lost(shared: Shared, seconds: int) -> None:
    record = TimelineRecord(BEFORE)
    random = np.random.default_rng(1)
    sent_by: dict[float, int] = {}
    for second in range(1, seconds + 1):
        shared.sent[0, 0, 0] += random.integers(0, 1000)
        if record.due(second):
            record.observe(second, shared, BEFORE)
        sent_by[second] = int(shared.sent.sum())
    timeline = record.record()
    assert MOST_INTERVALS / 2 <= len(timeline.end_s) <= MOST_INTERVALS or seconds < MOST_INTERVALS
    assert np.cumsum(timeline.sent).tolist() == [sent_by[end] for end in timeline.end_s]
    assert timeline.end_s[-1] > seconds - record.every_s
    widths = np.diff(timeline.end_s)
    assert widths.min() == widths.max() == record.every_s


def test_a_run_without_an_interval_has_an_empty_timeline() -> None:
    assert TimelineRecord(BEFORE).record() == Timeline()
    assert all(column == [] for column in msgspec.to_builtins(Timeline()).values())


def test_counters_of_an_interface_that_was_made_again_are_never_negative(shared: Shared) -> None:
    """A ppp interface that comes back counts from 0: a manifest with negative numbers could not be read."""
    record = TimelineRecord(BEFORE)
    record.observe(1.0, shared, dataclasses.replace(BEFORE, tx_packets=BEFORE.tx_packets + 61))
    record.observe(2.0, shared, InterfaceCounters(*range(7)))
    found = record.record()
    assert min(*found.interface_sent, *found.interface_received, *found.nic_drops) >= 0
    assert shared.interface_sent[0] == 0
