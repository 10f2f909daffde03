"""Churn, shifts, leases, weekly silence and occupancy of surveys, each against a judge in plain Python."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liveness.analysis.survey.churn import CHANGES, count_changes, days_of, first_rounds, shift_of
from liveness.analysis.survey.leases import lease_of
from liveness.analysis.survey.outages import Outage, is_weekly
from liveness.planes.blocks import Blocks
from liveness.planes.matrix import Planes
from tests.analysis.survey.brute import Truth, periods, repaired
from tests.analysis.survey.test_sequences import PROBE, document, write_survey

INTERVAL_S = 660.0
DAY_ROUNDS = 131


def changes_by_hand(days: list[str]) -> list[dict[str, int]]:
    """Return the changes of addresses, each a text with a letter for a day: a active, i inactive, u unknown."""
    counts = [Counter[str]() for _ in days[0]]
    for text in days:
        for day, state in enumerate(text):
            known = text[:day].replace("u", "")
            if state == "a":
                counts[day]["active"] += 1
                if known.endswith("i"):
                    counts[day]["returned" if "a" in known else "born"] += 1
            if state == "i" and known.endswith("a"):
                counts[day]["left" if "a" in text[day:] else "died"] += 1
    return [dict(count) for count in counts]


@pytest.mark.parametrize("seed", range(5))
def test_changes_from_day_to_day_equal_those_by_hand(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = Truth(int(6.5 * DAY_ROUNDS), INTERVAL_S)
    texts = []
    for address in range(60):
        text = "".join(rng.choice(list("aaiiu"), 6))
        texts.append(text)
        for r in range(truth.rounds):
            state = text[int(r * INTERVAL_S // 86_400)] if r * INTERVAL_S < 6 * 86_400 else "a"
            if state != "u" and rng.random() < 0.9:
                truth.sent.add((address, r))
                if state == "a" and rng.random() < 0.5:
                    truth.positive.add((address, r))
    found = document(write_survey(tmp_path / "run", truth, Blocks.of(np.array([0xC00002], np.uint32))))
    ever = [
        text for address, text in enumerate(texts) if any((address, r) in truth.positive for r in range(truth.rounds))
    ]
    expected = changes_by_hand(ever)
    days = found["probes"][PROBE]["churn"]["days"]
    assert [day["start"] for day in days] == [f"2017-07-{14 + day}T02:40:00Z" for day in range(6)]
    for day, wanted in zip(days, expected, strict=True):
        names = ("active", "born", "returned", "left", "died")
        assert {name: day[name] for name in names} == {name: wanted.get(name, 0) for name in names}


def test_days_begin_with_their_first_round() -> None:
    firsts = first_rounds(3, INTERVAL_S)
    assert firsts.tolist() == [0, 131, 262, 393]
    assert [days_of(rounds, INTERVAL_S) for rounds in (130, 131, 392, 393)] == [0, 1, 2, 3]
    assert days_of(1 << 20, 86_400.0 * 366) == 0, "rounds that are longer than a day say nothing of days"
    changes = np.zeros((0, CHANGES), np.int64)
    count_changes(np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8), first_rounds(0, INTERVAL_S), changes)


def levels(*means: float, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    series = np.concatenate([np.full(DAY_ROUNDS, mean) for mean in means])
    return series + rng.normal(0, noise, len(series)), np.arange(len(means) + 1) * DAY_ROUNDS


@pytest.mark.parametrize(
    ("means", "day"),
    [
        ((50, 50, 50, 50, 10, 10, 10), 4),  # renumbered
        ((0, 0, 0, 30, 30, 30), 3),  # born
        ((50, 50, 50, 50, 50, 10, 10), None),  # may be a weekend
        ((50, 50, 50, 40, 40, 40), None),  # less than half
        ((5, 5, 5, 2, 2, 2), None),  # less than four addresses
        ((50, 50, 50, 10, 50, 10, 10), None),  # comes back
        ((50, 50, 50, float("nan"), 10, 10, 10), 3),
    ],
)
def test_shifts_are_lasting_and_large(means: tuple[float, ...], day: int | None) -> None:
    found = shift_of(*levels(*means, noise=0.4))
    assert (None if found is None else found.day) == day


def test_offices_have_no_shift_in_weeks_of_any_start() -> None:
    week = [40, 40, 40, 40, 40, 2, 2]
    for start in range(7):
        assert shift_of(*levels(*[week[(start + day) % 7] for day in range(14)], noise=1)) is None


def ended_periods(sequences: list[list[int]]) -> np.ndarray:
    """Return the histogram of up periods whose beginning and end were seen."""
    histogram = np.zeros(max(map(len, sequences)) + 1, np.int64)
    for sequence in sequences:
        for begin, length in periods(repaired(sequence)):
            if begin > 0 and begin + length < len(sequence):
                histogram[length] += 1
    return histogram


def pool(lease_h: float, fill: float, days: int, seed: int, interval_s: float = INTERVAL_S) -> list[list[int]]:
    """Return the sequences of a pool whose addresses are drawn anew after each lease."""
    rng = np.random.default_rng(seed)
    phase_s = rng.uniform(0, lease_h * 3600)
    rounds = int(days * 86_400 / interval_s)
    slots_s = rng.permutation(256) * interval_s / 256
    drawn = rng.random((256, int(days * 24 / lease_h) + 2)) < fill
    return [
        [int(drawn[row, int((r * interval_s + slots_s[row] + phase_s) // (lease_h * 3600))]) for r in range(rounds)]
        for row in range(256)
    ]


@pytest.mark.parametrize("lease_h", [2, 3, 6, 12, 24, 48])
@pytest.mark.parametrize("fill", [0.2, 0.6])
def test_leases_of_pools_are_found(lease_h: int, fill: float) -> None:
    for seed in range(3):
        assert lease_of(ended_periods(pool(lease_h, fill, 14, seed)), INTERVAL_S, 256, daily=False) == lease_h * 3600


def test_what_has_no_lease_has_none() -> None:
    rng = np.random.default_rng(3)
    rounds = 14 * DAY_ROUNDS
    flapping = [rng.integers(0, 2, rounds).tolist() for _ in range(80)]
    assert lease_of(ended_periods(flapping), INTERVAL_S, 80, daily=False) is None
    sessions = []
    for _ in range(100):
        bits: list[int] = []
        while len(bits) < rounds:
            bits += [int(rng.integers(2))] * int(rng.exponential(60) + 1)
        sessions.append(bits[:rounds])
    assert lease_of(ended_periods(sessions), INTERVAL_S, 100, daily=False) is None
    two_outages = [[1] * 200 + [0] * 5 + [1] * DAY_ROUNDS + [0] * 5 + [1] * 200 for _ in range(200)]
    assert lease_of(ended_periods(two_outages), INTERVAL_S, 200, daily=False) is None
    offices = [([0] * 48 + [1] * 65 + [0] * 18) * 14 for _ in range(100)]  # twelve hours a day
    assert lease_of(ended_periods(offices), INTERVAL_S, 100, daily=True) is None
    assert lease_of(np.zeros(rounds, np.int64), INTERVAL_S, 0, daily=False) is None


def weeks_of(pattern: dict[int, str], weeks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (silent, probed) rounds: days of the week that are s silent or g not sent, all others active."""
    days = [pattern.get(day % 7, "a") for day in range(7 * weeks)]
    rounds = int(7 * weeks * 86_400 / INTERVAL_S)
    letters = [days[int(r * INTERVAL_S // 86_400)] for r in range(rounds)]
    return np.array([letter == "s" for letter in letters]), np.array([letter != "g" for letter in letters], np.int32)


def test_weekends_of_two_weeks_are_weekly_and_a_single_one_is_not() -> None:
    silent, probed = weeks_of({5: "s", 6: "s"}, 2)
    first, second = (np.flatnonzero(silent[low : low + 900])[[0, -1]] + low for low in (0, 1000))
    for begin, end in (first, second):
        assert is_weekly(Outage(0, int(begin), int(end), 262, None), silent, probed, INTERVAL_S)
    event = silent.copy()
    event[300:310] = True
    assert not is_weekly(Outage(0, 300, 309, 10, 310), event, probed, INTERVAL_S)
    longer = silent.copy()
    longer[int(second[1]) : int(second[1]) + 100] = True  # the second weekend goes into Monday
    assert not is_weekly(Outage(0, int(second[0]), int(second[1]) + 99, 361, None), longer, probed, INTERVAL_S)
    one_week, sent = weeks_of({5: "s", 6: "s"}, 1)
    begin, end = np.flatnonzero(one_week)[[0, -1]]
    assert not is_weekly(Outage(0, int(begin), int(end), 262, None), one_week, sent, INTERVAL_S)


def test_a_week_that_was_not_sent_says_nothing() -> None:
    silent, probed = weeks_of({5: "s", 6: "s"}, 3)
    week = int(7 * 86_400 / INTERVAL_S)
    probed[week : 2 * week] = 0
    silent[week : 2 * week] = False
    begin, end = np.flatnonzero(silent[:week])[[0, -1]]
    assert is_weekly(Outage(0, int(begin), int(end), 262, None), silent, probed, INTERVAL_S)


def test_two_weeks_of_which_one_was_not_sent_have_nothing_weekly() -> None:
    silent, probed = weeks_of({5: "s", 6: "s"}, 2)
    week = int(7 * 86_400 / INTERVAL_S)
    probed[week:], silent[week:] = 0, False
    begin, end = np.flatnonzero(silent)[[0, -1]]
    assert not is_weekly(Outage(0, int(begin), int(end), 262, None), silent, probed, INTERVAL_S)


def test_an_outage_of_more_than_a_week_is_not_compared_with_itself() -> None:
    rounds, week = (int(days * 86_400 / INTERVAL_S) for days in (28, 7))
    probed = np.ones(rounds, np.int32)
    for first, end in ((rounds // 2, rounds), (week, 2 * week + week // 2), (0, rounds)):
        silent = np.zeros(rounds, np.bool_)
        silent[first:end] = True
        assert not is_weekly(Outage(0, first, end - 1, end - first, None), silent, probed, INTERVAL_S)


def occupied(tmp_path: Path) -> tuple[dict[str, Any], Truth]:
    """Return the document of four /24s: 3, 100, 200 and no addresses are always up, and one flaps."""
    truth = Truth(20, INTERVAL_S)
    for block, hosts in enumerate((3, 100, 200, 0)):
        for octet in range(hosts):
            for r in range(20):
                truth.sent.add((256 * block + octet, r))
                truth.positive.add((256 * block + octet, r))
    truth.positive -= {(0, r) for r in range(0, 20, 3)}
    truth.positive -= {(256, 7)}  # repaired, it is stable
    blocks = Blocks.of(np.array([0x0A0000, 0x0A0001, 0x0A0002, 0x0A0003], np.uint32))
    return document(write_survey(tmp_path / "run", truth, blocks)), truth


def test_occupancy_and_stable_addresses(tmp_path: Path) -> None:
    found, _ = occupied(tmp_path)
    probe = found["probes"][PROBE]
    wanted = [0] * 20
    for hosts in (3, 100, 200):
        wanted[hosts * 20 // 256] += 1
    assert probe["occupancy"]["ever"] == wanted
    assert probe["occupancy"]["active"] == wanted
    estimates = probe["estimates"]
    assert estimates["sparse_blocks"]["value"] == pytest.approx(1 / 3)
    assert estimates["dense_blocks"]["value"] == pytest.approx(1 / 3)
    # Single zeros are repaired, but the first round and the last have no neighbour on one side.
    assert estimates["stable"]["value"] == pytest.approx(303 / 303)
    published = {row["id"]: row for row in probe["published"]}
    assert published["occupancy.sparse"]["value"] == pytest.approx(1 / 3)
    assert published["occupancy.sparse"]["published"] == 0.25
    assert published["median_up_s"]["published"] == 81 * 60


def test_the_share_of_blocks_that_are_down(tmp_path: Path) -> None:
    truth = Truth(100, INTERVAL_S)
    for block, down in ((0, range(30, 40)), (1, range(0)), (2, range(100))):
        for octet in range(40):
            for r in range(100):
                truth.sent.add((256 * block + octet, r))
                if r not in down:
                    truth.positive.add((256 * block + octet, r))
    blocks = Blocks.of(np.array([0x0A0000, 0x0A0001, 0x0A0002], np.uint32))
    probe = document(write_survey(tmp_path / "run", truth, blocks))["probes"][PROBE]
    assert probe["estimates"]["down"]["value"] == pytest.approx(10 / 200)  # the third /24 never responded
    (published,) = [row for row in probe["published"] if row["id"] == "outages.down"]
    assert (published["value"], published["published"], published["source"]) == (
        pytest.approx(0.05),
        0.003,
        "Quan 2012",
    )


def test_planes_of_a_row_without_a_probe_change_nothing() -> None:
    planes = Planes.empty(4, 3 * DAY_ROUNDS)
    changes = np.zeros((3, CHANGES), np.int64)
    count_changes(planes.sent, planes.positive, first_rounds(3, INTERVAL_S), changes)
    assert not changes.any()
