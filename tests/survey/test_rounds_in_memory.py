"""A whole survey on a clock that jumps: the planes must be what the network saw, bit by bit."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from liveness.net.memory import MemoryTxRing
from liveness.order.slots import OCTETS
from liveness.planes.live import LATE, NEGATIVE, POSITIVE, SENT
from liveness.replies import REPLY_DTYPE, UNKNOWN_ATTEMPT, Kind
from liveness.survey.plane_sink import NO_ROUND, OUTSIDE, PLACED, PlaneSink
from liveness.survey.recorder import rounds_of_record
from liveness.survey.supervisor import SurveySupervisor
from tests.survey.virtual import (
    EVERYTHING,
    START_NS_2020,
    Reply,
    VirtualSurvey,
    bits_of,
    expected_bits,
    slots_by_address,
    survey_config,
    virtual_survey,
)

INTERVAL_NS = 660_000_000_000
MINUTE_NS = 60_000_000_000
DELAYS_NS = (20_000_000, 400_000_000, 5 * MINUTE_NS, INTERVAL_NS - 1_000_000, INTERVAL_NS + 1_000_000)
LATE_NS = (12 * MINUTE_NS, 30 * MINUTE_NS, 59 * MINUTE_NS)
WHATS = ("positive", "negative", "router", "other")


def everybody(target: int, probe: str, time_ns: int) -> tuple[Reply, ...]:
    """Behave at random, the same for the same probe: silent, on time, late, several times, by others."""
    chance = random.Random(f"{target} {probe} {time_ns}")
    if target & 3:
        return (Reply(30_000_000, "positive"),) if chance.random() < 0.05 else ()
    count = chance.choice((0, 1, 1, 1, 2, 3))
    return tuple(
        Reply(chance.choice(DELAYS_NS if chance.random() < 0.7 else LATE_NS), chance.choice(WHATS))
        for _ in range(count)
    )


def check_planes(
    virtual: VirtualSurvey, rounds: int | None = None, counts_as_sent: Callable[[int, int], bool] = lambda *_: True
) -> dict[str, int]:
    """Compare all planes with what the network saw; return the numbers of bits."""
    survey = virtual.survey
    rounds = survey.order.rounds if rounds is None else rounds
    live = [virtual.recorder.settled(number) for number in range(virtual.stored.rounds, rounds)]
    totals = dict.fromkeys(("sent", "positive", "negative", "late"), 0)
    for place, probe in enumerate(survey.probes):
        expected = expected_bits(survey, virtual.network, probe, counts_as_sent)
        parts = list(virtual.stored.by_address(place, live))
        for plane, bits in expected.items():
            found = np.concatenate([bits_of(getattr(part, plane), rounds) for part in parts], axis=1)
            assert np.array_equal(found, bits[:rounds]), (probe, plane, np.argwhere(found != bits[:rounds])[:5])
            totals[plane] += int(found.sum())
    return totals


@pytest.mark.slow
def test_every_reply_is_placed_in_its_round_for_an_hour(tmp_path: Path) -> None:
    """All probes there are, replies up to 59 minutes late: each names its round by its own evidence."""
    config = survey_config(probes=list(EVERYTHING), survey={"blocks": "x", "interval": "11m", "duration": "110m"})
    virtual = virtual_survey(tmp_path, config, ("10.1.0.0",), everybody)
    virtual.open()
    virtual.run()
    totals = check_planes(virtual)
    assert totals["sent"] == 10 * OCTETS * len(EVERYTHING)
    assert min(totals.values()) > 1_000
    assert virtual.stored.rounds == 3, "rounds whose late replies have all come are stored"
    assert virtual.outcomes[PLACED] > 5_000
    assert virtual.outcomes[NO_ROUND] == virtual.outcomes[OUTSIDE] == 0


def always(target: int, probe: str, time_ns: int) -> tuple[Reply, ...]:
    del target, probe, time_ns
    return (Reply(20_000_000, "positive"),)


def test_slots_are_exact_and_apart(tmp_path: Path) -> None:
    """Every address exactly every interval, a /24 never twice within half of its slot spacing."""
    virtual = virtual_survey(tmp_path, survey_config(), ("10.1.0.0", "10.7.3.0", "10.7.4.0"), always)
    virtual.open()
    virtual.run()
    passed = virtual.network.passed
    assert len(passed) == 9 * 3 * OCTETS
    for block in {one.target >> 8 for one in passed}:
        times = [one.time_ns for one in passed if one.target >> 8 == block]
        assert min(np.diff(times)) > INTERVAL_NS / OCTETS / 2
    for target in {one.target for one in passed}:
        gaps = np.diff([one.time_ns for one in passed if one.target == target])
        assert len(gaps) == 8
        assert max(abs(gaps - INTERVAL_NS)) <= 50_000_000


def test_what_has_passed_is_not_sent_and_moves_nothing(tmp_path: Path) -> None:
    virtual = virtual_survey(tmp_path, survey_config(), ("10.1.0.0",), always)
    virtual.stalls = {500: 70_000_000_000, 9_000: 1_400_000_000_000, 20_000: 40_000_000, 30_000: 6_000_000_000}
    virtual.open()
    virtual.run()
    order = virtual.survey.order
    slots = {
        int(address): int(slot)
        for address, slot in zip(virtual.survey.blocks.addresses, order.address_slots(0), strict=True)
    }
    late_ns = [
        (one.time_ns - order.start_ns - slots[one.target] * order.interval_ns // order.slots) % order.interval_ns
        for one in virtual.network.passed
    ]
    assert max(late_ns) <= 50_000_000
    totals = check_planes(virtual)
    missed = 9 * OCTETS - totals["sent"]
    assert 70 + 1_400 + 6 - 20 < missed * 660 / OCTETS < 70 + 1_400 + 6 + 20


def slowly(target: int, probe: str, time_ns: int) -> tuple[Reply, ...]:
    del target, probe, time_ns
    return (Reply(100_000_000_000, "positive"),)


def test_a_clock_that_is_set_repeats_nothing_and_misplaces_nothing(tmp_path: Path) -> None:
    """Set back by four minutes, then on by seven: no address gets a round twice, and replies are of their rounds.

    Replies to what was sent before the clock was set back seem to arrive before their probes left.
    """
    virtual = virtual_survey(tmp_path, survey_config(), ("10.1.0.0",), slowly)
    virtual.steps = {8_000: -240_000_000_000, 40_000: 420_000_000_000}
    virtual.open()
    virtual.run()
    order = virtual.survey.order
    pairs = []
    slots = {
        int(address): int(slot)
        for address, slot in zip(virtual.survey.blocks.addresses, order.address_slots(0), strict=True)
    }
    for one in virtual.network.passed:
        phase_ns = slots[one.target] * order.interval_ns // order.slots
        pairs.append((one.target, (one.time_ns - order.start_ns - phase_ns) // order.interval_ns))
    assert len(pairs) == len(set(pairs))
    check_planes(virtual)


def no_late(target: int, probe: str, time_ns: int) -> tuple[Reply, ...]:
    """Behave at random, within the interval: a late reply that finds nobody cannot be recorded by anybody."""
    return tuple(reply for reply in everybody(target, probe, time_ns) if reply.delay_ns < INTERVAL_NS)


@pytest.mark.slow
def test_fifty_kills_cost_at_most_a_round_each(tmp_path: Path) -> None:
    """Outside the gaps every bit is what the network saw, and a gap is an interval and the time of the outage."""
    chance = random.Random(7)
    config = survey_config(probes=["icmp", "tcp/80"], survey={"blocks": "x", "interval": "11m", "duration": "330m"})
    virtual = virtual_survey(tmp_path, config, ("10.1.0.0",), no_late)
    virtual.open()
    order = virtual.survey.order
    moments = sorted(chance.uniform(0.02, 0.98) for _ in range(50))
    downs_ns = [int(chance.expovariate(1 / 8) * 1e9) for _ in moments]
    for moment, down_ns in zip(moments, downs_ns, strict=True):
        virtual.run(until_ns=order.start_ns + int(moment * order.rounds * INTERVAL_NS))
        virtual.kill(down_ns)
    virtual.run()
    gaps = virtual.recorder.gaps.gaps
    assert len(gaps) == 50
    for gap, down_ns in zip(gaps, downs_ns, strict=True):
        heard_s = 120  # a quarter of the addresses answer: that long ago the last reply may have come
        assert down_ns <= gap.end_ns - gap.start_ns <= INTERVAL_NS + down_ns + heard_s * 10**9

    def outside(number: int, due_ns: int) -> bool:
        del number
        return not any(gap.start_ns <= due_ns < gap.end_ns for gap in gaps)

    totals = check_planes(virtual, counts_as_sent=outside)
    planned = order.rounds * order.slots
    covered = sum(
        not outside(number, order.due_ns(number * order.slots + slot))
        for number in range(order.rounds)
        for slot in range(order.slots)
    )
    assert totals["sent"] == planned - covered
    assert 0.05 < totals["sent"] / planned < 0.5
    assert totals["positive"] > 100


def test_weeks_without_anybody_are_cheap_and_empty(tmp_path: Path) -> None:
    config = survey_config(survey={"blocks": "x", "interval": "11m", "duration": "30d"})
    virtual = virtual_survey(tmp_path, config, ("10.1.0.0",), always)
    virtual.open()
    virtual.run(until_ns=virtual.survey.order.start_ns + 2 * INTERVAL_NS)
    virtual.kill(26 * 24 * 3_600 * 10**9)
    now_ns = virtual.network.now_ns
    virtual.run(until_ns=now_ns + 3 * INTERVAL_NS)
    number = virtual.survey.order.round_at(virtual.network.now_ns)
    sent = [int(np.unpackbits(virtual.recorder.settled(at)[0, 0]).sum()) for at in range(number - 2, number)]
    assert sent == [OCTETS, OCTETS]
    (planes,) = virtual.stored.by_address(0, ())
    by_round = bits_of(planes.sent, virtual.stored.rounds).sum(axis=1)
    assert len(by_round) > 3_000
    assert 0 < by_round[0] <= OCTETS
    assert not by_round[2:].any()


def test_the_record_has_a_line_a_round_and_warns_of_a_fall(tmp_path: Path) -> None:
    start_ns = START_NS_2020

    def cut_off(target: int, probe: str, time_ns: int) -> tuple[Reply, ...]:
        del target, probe
        return () if 3 * INTERVAL_NS <= time_ns - start_ns < 4 * INTERVAL_NS else (Reply(20_000_000, "positive"),)

    virtual = virtual_survey(tmp_path, survey_config(), ("10.1.0.0",), cut_off)
    virtual.open()
    virtual.run()
    lines = rounds_of_record(tmp_path)
    assert [line.round for line in lines] == list(range(9))
    assert [line.probes["icmp"].positive for line in lines] == [256, 256, 256, 0, 256, 256, 256, 256, 256]
    assert [line.probes["icmp"].sent for line in lines] == [256] * 9
    assert len(virtual.notices) == 1
    assert virtual.notices[0].startswith("WARNING: round 3: icmp: 0.0% of the probes got a positive reply, 100.0% in")


def test_late_is_what_came_more_than_an_interval_after_its_probe(tmp_path: Path) -> None:
    """By the send time that an echo reply returns, otherwise by the slot of the probe."""
    virtual = virtual_survey(tmp_path, survey_config(), ("10.1.0.0",), always)
    virtual.open()
    order = virtual.survey.order
    (sink,) = virtual.receiver.sinks
    assert isinstance(sink, PlaneSink)
    slots = order.address_slots(0)
    cases = [  # (ns after the slot, round-trip time or unknown, plane)
        (INTERVAL_NS - 1, -1, POSITIVE),
        (INTERVAL_NS + 1_000, -1, LATE),
        (INTERVAL_NS + 1_000, INTERVAL_NS, POSITIVE),
        (INTERVAL_NS - 1_000, INTERVAL_NS + 1, LATE),
    ]
    replies = np.zeros(len(cases), REPLY_DTYPE)
    for octet, (after_ns, rtt_ns, _) in enumerate(cases):
        address = (int(order.numbers[0]) << 8) + octet
        due_ns = order.due_ns(2 * order.slots + int(slots[octet]))
        replies[octet]["time_ns"], replies[octet]["rtt_ns"] = due_ns + after_ns, rtt_ns
        replies[octet]["source"] = replies[octet]["target"] = address
        replies[octet]["kind"], replies[octet]["attempt"] = Kind.ECHO_REPLY, 2
    sink.place(replies, order.start_ns)
    for octet, (_, _, plane) in enumerate(cases):
        found = [place for place in (POSITIVE, NEGATIVE, LATE) if virtual.live.of_round(2)[0, place, 0] >> octet & 1]
        assert found == [plane], octet


def test_a_reply_that_proves_no_round_is_left_out(tmp_path: Path) -> None:
    virtual = virtual_survey(tmp_path, survey_config(), ("10.1.0.0",), always)
    virtual.open()
    order = virtual.survey.order
    (sink,) = virtual.receiver.sinks
    assert isinstance(sink, PlaneSink)
    replies = np.zeros(3, REPLY_DTYPE)
    replies["time_ns"] = order.start_ns + INTERVAL_NS
    replies["source"] = replies["target"] = int(order.numbers[0]) << 8
    replies[0]["attempt"] = UNKNOWN_ATTEMPT
    replies[1]["target"] = 0x08080808  # an address of no block
    replies[2]["attempt"] = 6  # its newest round would lie before the first
    sink.place(replies, order.start_ns)
    assert sink.outcomes.tolist() == [0, 2, 1]
    assert not virtual.live.bits.any()


def test_the_shortest_interval_always_has_room_for_the_current_round(tmp_path: Path) -> None:
    """The recorder looks ten times a second, and stores a round half a second after its last reply may come."""
    config = survey_config(survey={"blocks": "x", "interval": "100ms", "duration": "1m"})
    virtual = virtual_survey(tmp_path, config, ("10.1.0.0",), always)
    virtual.open()
    order, live = virtual.survey.order, virtual.live
    for number in range(live.depth + 80):
        now_ns = order.start_ns + number * order.interval_ns
        if number >= live.depth - 6:
            assert live.tags[number % live.depth] == number
        virtual.recorder.look(now_ns)


class LosingRing(MemoryTxRing):
    """A ring that loses a frame of a later batch, as an interface does whose queue is full."""

    lost = 0

    @property
    def errors(self) -> int:
        return self.lost

    def kick(self) -> bool:
        if self.completed > 2_000 and self._ring.pending > 1 and not self.lost:
            self.lost = 1
            self._ring.pending -= 1
        return super().kick()


def test_a_frame_that_the_interface_drops_was_not_sent(tmp_path: Path) -> None:
    """Which frame of a batch was lost is not known, so none of them counts as sent."""
    config = survey_config(survey={"blocks": "x", "interval": "2s", "duration": "4s"})
    blocks = tuple(f"10.1.{block}.0" for block in range(20))
    virtual = virtual_survey(tmp_path, config, blocks, always)
    virtual.ring = LosingRing
    virtual.open()
    virtual.run()
    virtual.sender.transmitter.drain()
    order = virtual.survey.order
    passed = np.zeros((order.rounds, virtual.survey.addresses), np.bool_)
    indices = {int(address): index for index, address in enumerate(virtual.survey.blocks.addresses)}
    slots = slots_by_address(virtual.survey)
    for one in virtual.network.passed:
        number = (one.time_ns - order.start_ns - slots[one.target]) // order.interval_ns
        passed[number, indices[one.target]] = True
    sent = np.stack([np.unpackbits(virtual.recorder.settled(at)[0, SENT], bitorder="little") for at in range(2)])
    assert not (sent.astype(np.bool_) & ~passed).any()
    assert 0 < passed.sum() - sent.sum() < 512
    (line,) = SurveySupervisor.warnings(cast("SurveySupervisor", SimpleNamespace(shared=virtual.shared)))
    assert line.startswith("the interface dropped or refused 1 frame: ")
