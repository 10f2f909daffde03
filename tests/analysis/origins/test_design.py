"""Which runs are compared: vantage points, trials, common targets and probes, and refusals that name the runs."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.run import vantage_of
from liveness.analysis.figures import Bars
from liveness.analysis.origins.design import MOST_CELLS, MOST_VANTAGES, Design, design_of
from liveness.errors import UsageError
from liveness.order.sampled import probed_addresses
from liveness.replies import Kind
from liveness.runs.course import Lag, LanePassing, Timeline
from liveness.runs.manifest import BlockStart, BlockStatus, Clock, MergedRun, Vantage
from liveness.space.intervals import Intervals
from tests.analysis.origins.support import Scan, compared

ECHO = ("icmp", Kind.ECHO_REPLY)
PLACES = ("ams1", "fra1")


def design(*scans: Scan) -> Design:
    ordered = sorted(scans, key=lambda scan: (scan.day, scan.second))
    return design_of([scan.probed() for scan in ordered])


def trials(*scans: Scan) -> list[dict[str, str]]:
    ordered = sorted(scans, key=lambda scan: (scan.day, scan.second))
    found = design(*scans)
    return [
        {found.vantages[place]: ordered[trial.run_of(place)].manifest().run_id for place in trial.present}
        for trial in found.trials
    ]


def test_one_run_of_each_place_is_one_trial_however_far_apart() -> None:
    assert trials(Scan("ams1", {}, 1), Scan("fra1", {}, 9)) == [{"ams1": "ams1-1", "fra1": "fra1-9"}]


def test_several_runs_of_a_place_are_several_trials() -> None:
    found = trials(*(Scan(name, {}, day, second) for day in (1, 8) for second, name in enumerate(("ams1", "fra1"))))
    assert found == [{"ams1": "ams1-1", "fra1": "fra1-1"}, {"ams1": "ams1-8", "fra1": "fra1-8"}]


def test_a_trial_without_a_run_of_one_place_does_not_take_the_next_one() -> None:
    found = trials(
        Scan("ams1", {}, 1), Scan("fra1", {}, 1, 1), Scan("ams1", {}, 8), Scan("fra1", {}, 15), Scan("ams1", {}, 15, 2)
    )
    assert found == [{"ams1": "ams1-1", "fra1": "fra1-1"}, {"ams1": "ams1-8"}, {"fra1": "fra1-15", "ams1": "ams1-15"}]


def test_a_place_without_a_name_is_its_source_addresses_its_host_or_its_run() -> None:
    manifest = Scan("ams1", {}).manifest()
    assert vantage_of(manifest) == "ams1"
    unnamed = msgspec.structs.replace(manifest, vantage=msgspec.UNSET)
    assert vantage_of(unnamed) == "weekly/ams1-1"
    assert vantage_of(msgspec.structs.replace(unnamed, host="probe3")) == "probe3"
    assert vantage_of(msgspec.structs.replace(unnamed, host="probe3", source_addresses=["192.0.2.1"])) == "192.0.2.1"
    parts = [
        MergedRun(run="r", vantage=name, shard=0, started="", manifest_sha256="") for name in ("ams1", "ams2", "ams1")
    ]
    assert vantage_of(msgspec.structs.replace(unnamed, merged_from=parts)) == "ams1+ams2"


@pytest.mark.parametrize(
    ("scans", "message"),
    [
        ([Scan("ams1", {})], "several vantage points, and here is 1 complete run: give runs from two"),
        ([Scan("ams1", {}), Scan("ams1", {}, 8)], "here is 2 complete runs, all from ams1: give runs"),
        (
            [Scan("ams1", {}), Scan("fra1", {}, changes={"status": "partial"})],
            "1 complete run; left out: weekly/fra1-1 (status partial: what it did not probe would look missed): give",
        ),
        (
            [Scan("ams1", {}, targets=[(0, 99)]), Scan("fra1", {}, targets=[(100, 199)])],
            "weekly/fra1-1 and weekly/ams1-1: not comparable: no target or no probe in common with weekly/ams1-1",
        ),
        (
            [Scan("ams1", {}, probes=["icmp"]), Scan("fra1", {}, probes=["dns"])],
            "weekly/fra1-1 and weekly/ams1-1: not comparable: no target or no probe in common with weekly/ams1-1",
        ),
        (
            [Scan("ams1", {}, targets=[(0, 9), (20, 29)]), Scan("fra1", {}, 2, targets=[(0, 9)]),
             Scan("nyc1", {}, 3, targets=[(20, 29)])],
            "--across: no target or no probe is common to all of these runs: give fewer of them",
        ),
        (
            [Scan(f"place{place}", {}) for place in range(MOST_VANTAGES + 1)],
            f"at most {MOST_VANTAGES} vantage points, and here are {MOST_VANTAGES + 1}: give fewer runs",
        ),
        (
            [Scan(f"place{place}", {}, day) for place in range(4) for day in range(1, MOST_CELLS // 4 + 2)],
            f"at most {MOST_CELLS} pairs of a vantage point and a trial, and here are 4 times {MOST_CELLS // 4 + 1}",
        ),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_compared_are_refused_by_name(scans: list[Scan], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        design(*scans)


def test_only_common_targets_and_probes_count_and_the_rest_is_named() -> None:
    one = Scan("ams1", {ECHO: [1, 2, 3], ("dns", Kind.ANSWER): [1]}, targets=[(0, 9)], probes=["icmp", "dns"])
    other = Scan("fra1", {ECHO: [2, 3, 12]}, targets=[(2, 19)], probes=["icmp"], opted_out=[3])
    document = compared([one, other]).document()
    assert document["runs"]["targets"] == 7
    assert document["runs"]["probes"] == ["icmp"]
    assert [(entry["run"], entry["reason"]) for entry in document["runs"]["left_out"]] == [
        ("weekly/ams1-1", "3 targets: not probed by all runs"),
        ("weekly/ams1-1", "dns: not probed by all runs"),
        ("weekly/fra1-1", "10 targets: not probed by all runs"),
    ]
    assert [entry["any"] for entry in document["coverage"]] == [1, 1]


def test_clocks_that_are_off_and_late_blocks_are_named() -> None:
    clock = Clock(source="chrony", synchronised=True, offset_ms=-75.0, checked="2026-11-01T00:00:00Z")
    late = BlockStart(agreed="2026-11-01T00:00:00Z", late_ms=9e6, synchronised=False, clock_offset_ms=20.0)
    changes = {
        "vantage": Vantage(name="fra1", clock=clock),
        "blocks": [BlockStatus(block="0.0.0.0/3", targets=1, status="done", start=late)],
    }
    results = compared([Scan("ams1", {ECHO: [1]}), Scan("fra1", {ECHO: [1]}, 1, 3, changes=changes)])
    runs = results.document()["runs"]["trials"][0]["runs"]
    assert [(run["after_s"], run["clock_offset_ms"], run["unsynchronised_blocks"]) for run in runs] == [
        (0, None, 0),
        (3, -75, 1),
    ]
    assert list(results.warnings()) == [
        "weekly/fra1-1: the clock of fra1 was -75 ms off true time",
        "weekly/fra1-1: 1 block of fra1 began too late to be at one time with those of the others",
    ]


def test_the_lag_between_places_is_measured_at_the_recorded_targets() -> None:
    def lag(first_s: float) -> Lag:
        passed: list[float | None] = [first_s, first_s + 10, None]
        lanes = [
            LanePassing(block="0.0.0.0/3", probe=probe, attempt=attempt, passed_s=passed)
            for probe in ("icmp", "tcp/80")
            for attempt in range(2)
        ]
        return Lag(every_targets=1000, lanes=lanes)

    scans = [
        Scan(name, {ECHO: [1]}, 1, second, changes={"lag": lag(first_s)})
        for second, (name, first_s) in enumerate((("ams1", 0.5), ("fra1", 0.25), ("nyc1", 3.0)))
    ]
    [trial] = compared(scans).document()["runs"]["trials"]
    assert (trial["lag_max_s"], trial["lag_p80_s"]) == (4.5, 4.5)  # the start 2 s later, and 2.5 s within the run


def test_an_opted_out_address_of_one_run_counts_for_no_vantage_point() -> None:
    scans = [Scan("ams1", {ECHO: [1, 2]}, opted_out=[2]), Scan("fra1", {ECHO: [1, 2]})]
    assert [entry["any"] for entry in compared(scans).document()["coverage"]] == [1, 1]


@pytest.mark.parametrize("pause_s", [0, 7 * 86_400 - 20 * 3600])
def test_places_that_scan_one_after_the_other_share_their_trials(pause_s: int) -> None:
    def scan(name: str, number: int, began_h: int) -> Scan:
        began = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=began_h, seconds=number * pause_s)
        changes = {"started": began.isoformat(), "finished": (began + timedelta(hours=3)).isoformat()}
        return Scan(name, {ECHO: [1, 2] if name == "ams1" else [2, 3]}, number + 1, began_h % 60, changes=changes)

    scans = [scan(name, number, 4 * (2 * number + place)) for number in (0, 1) for place, name in enumerate(PLACES)]
    assert trials(*scans) == [{"ams1": "ams1-1", "fra1": "fra1-1"}, {"ams1": "ams1-2", "fra1": "fra1-2"}]


def test_runs_of_which_no_two_belong_together_are_refused() -> None:
    with pytest.raises(UsageError, match="no two of these runs were taken at about the same time"):
        design(Scan("ams1", {}, 1), Scan("ams1", {}, 2), Scan("fra1", {}, 9))


def test_a_trial_of_one_place_is_named_and_tells_nothing_of_published_values_and_figures() -> None:
    web = ("tcp/80", Kind.SYN_ACK)
    results = compared([Scan("ams1", {web: [1]}, 1), Scan("ams1", {web: [1, 2]}, 8), Scan("fra1", {web: [2, 3]}, 8, 1)])
    document = results.document()
    assert [(entry["run"], entry["reason"]) for entry in document["runs"]["left_out"]] == [
        ("weekly/ams1-1", "the only run of trial 1: not in figures nor next to published values")
    ]
    assert [warning for warning in results.warnings() if "ams1-1" in warning] == [
        "weekly/ams1-1: trial 1 has no run of another vantage point than ams1, and does not show what ams1 missed"
    ]
    missed, exclusive = ((entry["low"], entry["high"]) for entry in document["published"][:2])
    assert missed == pytest.approx((1 / 3, 1 / 3))
    assert exclusive == pytest.approx((2 / 3, 2 / 3))
    drawn = {figure.id: figure for figure in results.figures()}
    assert "Positive replies of trial 2" in drawn["origins-exactly"].notes[0]
    assert "Positive replies of trial 2" in drawn["origins-gain"].notes[0]


@pytest.mark.parametrize(("places", "compared_sizes"), [(2, []), (3, [2]), (4, [2, 3])])
def test_what_all_places_saw_together_is_not_next_to_the_published_gain(places: int, compared_sizes: list[int]) -> None:
    web = ("tcp/80", Kind.SYN_ACK)
    document = compared([Scan(f"place{place}", {web: [place]}, 1, place) for place in range(places)]).document()
    found = [(entry["low"], entry["high"]) for entry in document["published"] if "two or three" in entry["result"]]
    shares = [size / places for size in compared_sizes]
    assert found == ([pytest.approx((min(shares), max(shares)))] if shares else [])


def test_the_lag_of_a_resumed_run_counts_from_its_last_session() -> None:
    lanes = [LanePassing(block="0.0.0.0/3", probe="icmp", attempt=0, passed_s=[None, 5.0])]
    resumed = {"lag": Lag(every_targets=1000, lanes=lanes, began="2026-11-01T00:30:00Z"),
               "resumed": ["2026-11-01T00:29:58Z"]}  # fmt: skip
    others = [LanePassing(block="0.0.0.0/3", probe="icmp", attempt=0, passed_s=[1.0, 3.0])]
    other = {"lag": Lag(every_targets=1000, lanes=others, began="2026-11-01T00:00:02Z")}
    results = compared([Scan("ams1", {ECHO: [1]}, changes=resumed), Scan("fra1", {ECHO: [1]}, 1, 1, changes=other)])
    [trial] = results.document()["runs"]["trials"]
    assert trial["lag_max_s"] == 30 * 60 + 5 - (2 + 3)
    assert list(results.warnings()) == [
        "weekly/ams1-1: it was interrupted and resumed: ams1 probed what followed later than others did"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 74},
        {"targets_sha256": "00"},
        {"config": {"name": "weekly", "block_prefix": 8}},
        {"config": {"name": "weekly", "shard": {"index": 1, "of": 2}}},
        {"config": {"name": "weekly", "limits": {"max_targets": 1 << 33}}},
    ],
)
def test_runs_in_another_order_have_no_lag_and_no_bursts(changes: dict[str, Any]) -> None:
    lag = Lag(every_targets=1000, lanes=[LanePassing(block="0.0.0.0/3", probe="icmp", attempt=0, passed_s=[1.0])])
    line = Timeline(end_s=[*range(1, 41)], sent=[1000] * 40, accepted=[300] * 40)
    recorded = {"lag": lag, "timeline": line}
    scans = [Scan("ams1", {ECHO: [1]}, changes=recorded), Scan("fra1", {ECHO: [1]}, 1, 1, changes=recorded)]
    document = compared(scans).document()
    assert document["runs"]["trials"][0]["lag_max_s"] == 1
    assert document["bursts"] is not None
    assert document["runs"]["left_out"] == []
    document = compared([scans[0], replace(scans[1], changes=recorded | changes)]).document()
    assert (document["runs"]["trials"][0]["lag_max_s"], document["bursts"]) == (None, None)
    assert [(entry["run"], entry["reason"]) for entry in document["runs"]["left_out"]] == [
        ("weekly/fra1-1", "lag and bursts of trial 1: its order of targets is not that of weekly/ams1-1")
    ]


def test_answers_behind_an_open_port_have_no_figure_of_their_own() -> None:
    seen = {("tcp/80", Kind.SYN_ACK): [1, 2], ("tcp/80", Kind.ANSWER): [1], ("dns", Kind.ANSWER): [3]}
    scans = [
        Scan(name, seen, day, second, probes=["tcp/80", "dns"]) for day in (1, 2) for second, name in enumerate(PLACES)
    ]
    results = compared(scans)
    names = [figure.id for figure in results.figures()]
    assert sorted(names) == ["origins-classes-dns", "origins-classes-tcp-80", "origins-exactly", "origins-gain"]
    drawn = {figure.id: figure.content for figure in results.figures()}
    bars = drawn["origins-exactly"]
    assert isinstance(bars, Bars)
    assert list(bars.bars) == ["tcp/80", "dns"]
    assert {(entry["probe"], entry["kind"]) for entry in results.document()["coverage"]} >= {("tcp/80", "answer")}


def test_an_opted_out_address_counts_nowhere_if_runs_do_not_record_what_they_probed() -> None:
    def probed(scan: Scan) -> Probed:
        found = scan.probed()
        return Probed(found.manifest, None, found.opted_out)

    scans = [Scan(name, {ECHO: [1, 2]}, 1, second, opted_out=[2]) for second, name in enumerate(PLACES)]
    found = design_of([probed(scan) for scan in scans])
    assert found.addresses == Intervals.everything().difference(Intervals.from_bounds([2], [2]))
    assert design_of([probed(replace(scan, opted_out=())) for scan in scans]).addresses is None


def test_targets_to_which_no_route_led_from_one_place_count_nowhere() -> None:
    targets = ((0, 99),)
    unrouted = Scan("fra1", {ECHO: range(10)}, 1, 1, targets=targets, left_out=range(10, 30))
    results = compared([Scan("ams1", {ECHO: range(40)}, targets=targets), unrouted])
    counts = results.counts
    assert counts.design.shared.targets == 80
    assert [(entry.run, entry.reason) for entry in counts.design.left_out] == [
        ("weekly/fra1-1", "20 targets: no route led there from it")
    ]
    group = next(group for group in counts.groups if (group.probe, group.kind) == ("icmp", "echo-reply"))
    assert (group.trials[0].any, group.trials[0].seen([0]), group.trials[0].exclusive(0)) == (20, 20, 10)
    everything = Scan("fra1", {ECHO: []}, 1, 1, targets=targets, left_out=range(100))
    with pytest.raises(UsageError, match="to no target a route led in all of these runs"):
        design(Scan("ams1", {ECHO: range(40)}, targets=targets), everything)
    unlisted = replace(unrouted.probed(), listed=None)
    other = replace(Scan("ams1", {ECHO: range(40)}, targets=targets).probed(), listed=None)
    known = design_of([other, unlisted]).addresses
    assert known is not None
    assert not known.contains(list(range(10, 30))).any()


def test_of_a_sample_only_its_own_targets_are_left_out() -> None:
    """What no route leads to is recorded for all addresses of the list."""
    targets = ((0, 999),)
    config = {"targets": {"allow": ["0.0.0.0-0.0.3.231"], "block": []}, "limits": {"max_targets": 400}}
    changes = {"targets": 400, "config": config}
    sample = probed_addresses(Intervals.from_bounds([0], [999]), 400, 73, 3, Intervals.everything())
    assert sample.count == 400
    far = range(100, 300)
    gone = int(sample.contains(list(far)).sum())
    assert 0 < gone < 200
    places = {"ams1": (), "fra1": far}
    scans = [
        Scan(name, {ECHO: range(10)}, 1, second, targets, left_out=left_out, changes=changes)
        for second, (name, left_out) in enumerate(places.items())
    ]
    found = design(*scans)
    assert found.shared.targets == 400 - gone
    assert [entry.reason for entry in found.left_out] == [f"{gone} targets: no route led there from it"]
    unlisted = [replace(scan.probed(), listed=None) for scan in scans]
    assert design_of(unlisted).shared.targets is None
    with pytest.raises(UsageError, match="to no target a route led in all of these runs"):
        design(scans[0], replace(scans[1], left_out=range(1000)))
