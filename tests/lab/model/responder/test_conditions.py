"""The network model against its parameters: how much is lost, when, how late things come, and who sends how much."""

import math
from collections import Counter

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether

from liveness.config.units import Duration
from liveness.errors import UsageError
from liveness.lab.model.population.answer import ANSWERED, CODE_SHIFT, ERROR, FROM_ROUTER, TYPE_SHIFT, router_of
from liveness.lab.model.responder.conditions import (
    Bursts,
    Conditions,
    IcmpLimit,
    Latency,
    ScannerLink,
    parse_conditions,
)
from liveness.lab.model.responder.paths import is_lost
from liveness.lab.model.responder.state import DUPLICATED, NOISY
from liveness.packets.parse import ACCEPTED, FIELDS
from liveness.probes.match import match_frame
from liveness.replies import REPLY_DTYPE
from tests.lab.model.responder.support import (
    ALL_NS,
    CONSTANTS,
    NOW_NS,
    SECOND_NS,
    FarEnd,
    every_answer,
    probe_frame,
    used,
)

MANY = 4000


def far_end(answer: int = ANSWERED, **conditions: object) -> FarEnd:
    """Return a far end where everybody in use gives one answer."""
    return FarEnd(every_answer(answer), Conditions(**conditions))  # type: ignore[arg-type]  # any field of them


def asked(end: FarEnd, targets: list[int], gap_ns: int, probe: str = "icmp") -> list[bytes]:
    """Probe targets at a steady pace and return all replies."""
    for number, target in enumerate(targets):
        end.take(probe_frame(probe, target), NOW_NS + number * gap_ns)
    return end.due(NOW_NS + len(targets) * gap_ns + ALL_NS)


def within(found: float, expected: float, count: int, errors: float = 5.0) -> bool:
    """Return whether a share of `count` draws is as expected, by so many standard errors."""
    return abs(found - expected) <= errors * math.sqrt(expected * (1 - expected) / count) + 1 / count


def test_independent_loss_is_of_each_direction_and_told() -> None:
    end = far_end(loss=0.1)
    replies = asked(end, used(MANY), 1000)
    outwards, back = end.model.lost[0, 1], end.model.lost[0, 2]
    assert within(outwards / MANY, 0.1, MANY)
    assert within(back / (MANY - outwards), 0.1, MANY)
    assert len(replies) == MANY - outwards - back
    passed, lost = end.record.passed, end.record.lost
    assert {event: collector.held for event, collector in passed.items()} == {0: len(replies)}
    assert {event: collector.held for event, collector in lost.items()} == {1: outwards, 2: back}
    seen = {int.from_bytes(frame[26:30], "big") for frame in replies}
    members = [set(collector.finish()) for collector in (passed[0], lost[1], lost[2])]
    assert seen == members[0]
    assert set.union(*members) == set(used(MANY))


def test_the_same_seed_loses_the_same() -> None:
    first, second = (asked(far_end(loss=0.3, duplicates=0.1), used(300), 1000) for _ in range(2))
    assert first == second
    other = FarEnd(every_answer(ANSWERED).reseeded(74), Conditions(loss=0.3))
    assert asked(other, used(300), 1000) != first


def path_states(share: float, mean_s: float, step_ms: int, paths: int, steps: int) -> np.ndarray:
    """Return whether packets are lost, (paths, steps), one a step on each path; bad paths lose all."""
    end = far_end(bursts=Bursts(share=share, loss=1.0, mean=Duration(f"{round(mean_s * 1000)}ms"), path_prefix=20))
    model = end.model
    lost = np.zeros((paths, steps), np.bool_)
    for step in range(steps):
        now_ns = NOW_NS + step * step_ms * 1_000_000
        for path in range(paths):
            lost[path, step] = is_lost(
                model.path_until_ns, model.path_bad, model.settings, model.stream, 0, path << 12, now_ns
            )
    return lost


def test_bursts_take_their_share_and_their_time() -> None:
    lost = path_states(share=0.1, mean_s=0.5, step_ms=50, paths=300, steps=400)
    assert abs(float(lost.mean()) - 0.1) < 0.02
    # P(bad one step later | bad) of a two-state chain in continuous time
    stays = float((lost[:, 1:] & lost[:, :-1]).sum() / lost[:, :-1].sum())
    good_s, bad_s = 0.5 * 9, 0.5
    expected = 0.1 + 0.9 * math.exp(-0.05 * (1 / good_s + 1 / bad_s))
    assert abs(stays - expected) < 0.02


def test_a_delayed_repeat_outlasts_a_burst_and_an_immediate_one_does_not() -> None:
    """The argument for the queue: bursts correlate losses that lie close together."""
    immediate = path_states(share=0.2, mean_s=0.5, step_ms=10, paths=1500, steps=2)
    delayed = path_states(share=0.2, mean_s=0.5, step_ms=20_000, paths=1500, steps=2)
    again = [float((lost[:, 0] & lost[:, 1]).sum() / lost[:, 0].sum()) for lost in (immediate, delayed)]
    assert again[0] > 0.9
    assert abs(again[1] - 0.2) < 0.1


def test_paths_and_directions_are_apart() -> None:
    end = far_end(bursts=Bursts(share=0.5, loss=1.0, path_prefix=16))
    asked(end, [entry for entry in used(MANY) for _ in range(2)], 0)
    model = end.model
    assert model.path_bad.shape == (2, 1 << 16)
    both = (model.path_until_ns > 0).all(axis=0)
    different = model.path_bad[0, both] != model.path_bad[1, both]
    assert 0.3 < different.mean() < 0.7


def test_latency_is_log_normal_over_networks_and_jitters() -> None:
    end = far_end(latency=Latency(median=Duration("100ms"), sigma=0.5, jitter=Duration("10ms")))
    targets = used(2000)
    times_ms = []
    for target in targets:
        end.take(probe_frame("icmp", target), NOW_NS)
    for step_ms in range(3000):
        times_ms += [step_ms] * len(end.due(NOW_NS + step_ms * 1_000_000))
    assert len(times_ms) == len(targets)
    assert abs(float(np.median(times_ms)) - 110) < 8
    logs = np.log(np.array(times_ms) - 10 + 1e-9, where=np.array(times_ms) > 10, out=np.zeros(len(times_ms)))
    assert abs(float(logs.std()) - 0.5) < 0.1


def test_one_network_has_one_latency() -> None:
    end = far_end(latency=Latency(median=Duration("100ms"), sigma=0.7))
    target = used(1)[0]
    for _ in range(5):
        end.take(probe_frame("icmp", target), NOW_NS)
    arrived = [number for number in range(2000) for _ in end.due(NOW_NS + number * 1_000_000)]
    assert len(arrived) == 5
    assert len(set(arrived)) == 1


def test_slow_replies_are_so_many_and_no_slower() -> None:
    end = far_end(latency=Latency(slow=0.25, slow_up_to=Duration("4s")))
    for target in used(MANY):
        end.take(probe_frame("icmp", target), NOW_NS)
    at_once = len(end.due(NOW_NS + 2_000_000))
    assert within(at_once / MANY, 0.75, MANY)
    half = len(end.due(NOW_NS + 2 * SECOND_NS))
    assert abs(half / (MANY - at_once) - 0.5) < 0.08
    rest = len(end.due(NOW_NS + 4 * SECOND_NS + 2_000_000))
    assert at_once + half + rest == MANY


def test_replies_are_reordered() -> None:
    end = far_end(reordered=0.5, reordered_by=Duration("20ms"))
    targets = used(200)
    order = [int.from_bytes(frame[26:30], "big") for frame in asked(end, targets, 10_000)]
    assert sorted(order) == targets
    assert order != targets


def test_without_conditions_replies_come_in_order_and_at_once() -> None:
    end = far_end()
    targets = used(700)
    for number, target in enumerate(targets):
        end.take(probe_frame("icmp", target), NOW_NS + number)
    assert [int.from_bytes(frame[26:30], "big") for frame in end.due(NOW_NS + 1000)] == targets


def test_a_router_sends_so_many_errors_and_no_more() -> None:
    answer = ERROR | 3 << TYPE_SHIFT | 13 << CODE_SHIFT | FROM_ROUTER
    end = far_end(answer, icmp_limit=IcmpLimit(rate_pps=100, burst=10))
    targets = used(2)
    assert len({int(router_of(end.model.population, target)) for target in targets}) == 2
    replies = asked(end, targets * 1000, 1_000_000)  # each is asked 1,000 times in two seconds
    by_router = Counter(Ether(frame)[IP].src for frame in replies)
    assert all(205 <= count <= 212 for count in by_router.values())
    assert end.model.lost[0].tolist() == [0, 0, 0, 2000 - len(replies), 0, 0]


def test_hosts_are_not_limited() -> None:
    end = far_end(ERROR | 3 << TYPE_SHIFT | 3 << CODE_SHIFT, icmp_limit=IcmpLimit(rate_pps=1, burst=1))
    assert len(asked(end, used(1) * 100, 0)) == 100


def test_the_link_carries_its_rate_and_queues_a_little() -> None:
    end = far_end(link=ScannerLink(rate_pps=1000, queue=50))
    replies = asked(end, used(1) * MANY, 250_000)  # 4,000 in a second
    assert 1000 <= len(replies) <= 1055
    assert end.model.lost[0, 0] == MANY - len(replies)
    slow_end = far_end(link=ScannerLink(rate_pps=1000, queue=0))
    assert len(asked(slow_end, used(1) * 500, 1_000_000)) == 500


def test_what_waits_for_the_link_comes_later() -> None:
    end = far_end(link=ScannerLink(rate_pps=1000, queue=100))
    frame = probe_frame("icmp", used(1)[0])
    for _ in range(100):
        end.take(frame, NOW_NS)
    assert len(end.due(NOW_NS + 50_000_000)) == pytest.approx(50, abs=3)
    assert len(end.due(NOW_NS + 102_000_000)) == pytest.approx(50, abs=3)


def test_duplicates_are_exact_and_prove_nothing_in_the_record() -> None:
    end = far_end(duplicates=0.3, reordered_by=Duration("1ms"))
    replies = Counter(asked(end, used(MANY), 1000))
    twice = sum(1 for count in replies.values() if count == 2)
    assert within(twice / MANY, 0.3, MANY)
    assert end.model.numbers[DUPLICATED] == twice
    assert sum(collector.held for collector in end.record.passed.values()) == MANY


def test_noise_is_well_formed_and_no_reply_to_anything() -> None:
    end = far_end(0, noise=1.0)
    replies = asked(end, used(400), 1000, "tcp/80")
    assert len(replies) == end.model.numbers[NOISY] == 400
    everywhere = np.array([0], np.uint32), np.array([2**32 - 1], np.uint32)
    row, record = np.zeros(FIELDS, np.int64), np.zeros(1, REPLY_DTYPE)
    shapes: Counter[str | int] = Counter()
    for frame in replies:
        data = np.frombuffer(frame, np.uint8).copy()
        place = (data, 0, len(data), NOW_NS, True, True)
        assert match_frame(*place, CONSTANTS, *everywhere, row, record[0]) != ACCEPTED
        packet = Ether(frame)
        shapes[str(packet[TCP].flags) if TCP in packet and ICMP not in packet else packet[ICMP].type] += 1
        before = bytes(packet)
        del packet[IP].chksum
        assert bytes(packet) == before
    assert set(shapes) == {"SA", "RA", 0, 3}
    assert end.record.passed == {}


def test_a_full_queue_loses_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveness.lab.model.responder.state.SLOTS", 64)
    end = far_end(latency=Latency(median=Duration("1s")))
    assert len(asked(end, used(100), 0)) == 64
    assert end.model.lost[0, 4] == 36
    assert len(asked(end, used(64), 0)) == 64  # all slots are free again


def test_sections_are_read_and_ideal_by_default() -> None:
    read = parse_conditions({"loss": 0.01, "latency": {"median": "80ms"}, "link": {"rate_pps": 1000}}, "x.yaml")
    assert (read.loss, read.latency.median.us, read.link) == (0.01, 80_000, ScannerLink(rate_pps=1000))
    assert not read.lossless
    nothings: tuple[object, ...] = (None, "none", {})
    for nothing in nothings:
        assert parse_conditions(nothing, "x.yaml") == Conditions()
    assert Conditions().lossless
    assert parse_conditions({"latency": {"median": 1}, "duplicates": 0.5}, "x").lossless


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"loss": 2}, r"x\.yaml: \$\.network\.loss: 2: expected"),
        ({"lose": 0.1}, r"x\.yaml: \$\.network.*lose"),
        ({"latency": {"median": "ages"}}, r"x\.yaml: \$\.network\.latency\.median: 'ages': expected a duration"),
        ({"latency": {"slow_up_to": "20s"}}, r"x\.yaml: \$\.network\.latency\.slow_up_to: 20s: at most 16s"),
        ({"bursts": {"path_prefix": 32}}, r"x\.yaml: \$\.network\.bursts\.path_prefix: 32: expected"),
        ("perfect", r"x\.yaml: \$\.network: 'perfect': expected a mapping such as 'loss: 0.01', or none"),
    ],
)
def test_wrong_sections_name_file_path_and_value(section: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_conditions(section, "x.yaml")
