"""Every number of the comparison of vantage points equals a count over plain sets."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.scope import Scope, Within
from liveness.replies import Kind
from liveness.space.intervals import Intervals
from tests.analysis.origins import brute_force
from tests.analysis.origins.support import Scan, compared

Document = dict[str, Any]
PLACES = ("ams1", "fra1", "nyc1", "gru1")
KEYS = (("icmp", Kind.ECHO_REPLY), ("icmp", Kind.ERROR), ("tcp/80", Kind.SYN_ACK), ("tcp/80", Kind.PAYLOAD))
BASES = (0, 0x0A0000F0, 0x0AFFFFF0, 0x0B000000, 0xFFFFFFC0)
"""Where addresses are drawn: at both ends of the space, across a /24, and across a /8."""
addresses = st.builds(lambda base, offset: base + offset, st.sampled_from(BASES), st.integers(0, 40))
"""Some forty in each place; all below 2^32."""
edges = [0, 0x0A000100, 0x0A000108, 0x0B000003, 0xFFFFFFD0]
NAMES = [None, "64500", "64501"]
BY = Partition("asn", np.array(edges, np.uint32), np.array([0, 1, 2, 1, 2], np.int32), list(NAMES))


def slice_of(address: int) -> str:
    return str(NAMES[int(BY.label[np.searchsorted(BY.first, address, "right") - 1])])


@st.composite
def scans(draw: st.DrawFn) -> list[dict[str, Scan]]:
    """Draw trials of two to four vantage points, some of them without a run in some trials."""
    names = PLACES[: draw(st.integers(2, 4))]
    trials: list[dict[str, Scan]] = []
    targets = [(0, (1 << 32) - 1)] if draw(st.booleans()) else [(0x0A000000, 0x0B000010), (0xFFFFFFC8, 0xFFFFFFFF)]
    everyone = draw(st.sets(addresses, max_size=60))
    for number in range(draw(st.integers(1, 3))):
        present = [name for name in names if number == 0 or draw(st.integers(0, 3))]
        trial = {}
        for second, name in enumerate(present):
            seen = {key: draw(st.sets(st.sampled_from(sorted(everyone)))) if everyone else set() for key in KEYS}
            gone, left_out = (sorted(draw(st.sets(addresses, max_size=2))) for _ in range(2))
            trial[name] = Scan(name, seen, number + 1, second, targets, gone, left_out)
        trials.append(trial)
    return [trial for trial in trials if trial]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(scans(), st.booleans(), st.booleans())
def test_every_number_equals_a_count_over_sets(trials: list[dict[str, Scan]], sliced: bool, cut: bool) -> None:
    part = (0x0A000100, 0xFFFFFFE0)
    within = Within(("part",), Intervals.from_bounds(*part)) if cut else None
    results = compared([scan for trial in trials for scan in trial.values()], Scope(within, BY if sliced else None))
    if cut:
        trials = [{name: _cut(scan, part) for name, scan in trial.items()} for trial in trials]
    document: Document = results.document()
    groups = brute_force.groups_of(trials)
    expected = [
        brute_force.coverage(*name, number, trial)
        for name, of_group in groups.items()
        for number, trial in enumerate(of_group, 1)
    ]
    found = {(entry["probe"], entry["kind"], entry["trial"]): entry for entry in document["coverage"]}
    # A group that a part of the space leaves empty is still listed.
    assert {key: found[key] for key in found if key[:2] in groups} == {
        (entry["probe"], entry["kind"], entry["trial"]): entry for entry in expected
    }
    assert all(found[key]["any"] == 0 for key in found if key[:2] not in groups)
    _check_gain(document, groups)
    _check_classes(document, groups)
    _check_differences(document, groups)
    _check_estimates(document, groups, sliced=sliced)
    if sliced:
        _check_slices(document, groups)


def _cut(scan: Scan, part: tuple[int, int]) -> Scan:
    seen = {key: [one for one in found if part[0] <= one <= part[1]] for key, found in scan.seen.items()}
    return replace(scan, seen=seen)


def _trial_of(groups: dict[tuple[str, str], brute_force.Trials], entry: dict[str, Any]) -> dict[str, set[int]] | None:
    of_group = groups.get((entry["probe"], entry["kind"]))
    return None if of_group is None else of_group[entry["trial"] - 1]


def _check_gain(document: Document, groups: dict[tuple[str, str], brute_force.Trials]) -> None:
    for entry in document["gain"]:
        trial = _trial_of(groups, entry)
        if trial is None:
            continue
        expected = brute_force.gain(trial)
        found = [(size["size"], size["mean"], size["low"], size["high"]) for size in entry["sizes"]]
        assert [row[0] for row in found] == [row[0] for row in expected]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours[1:] == pytest.approx(theirs[1:]) if theirs[1] is not None else ours == theirs
        for size in entry["sizes"]:
            whole = len(set().union(*trial.values()))
            best = len(set().union(*(trial[name] for name in size["best"])))
            assert len(size["best"]) == size["size"]
            assert brute_force.ratio(best, whole) == size["high"]


def _check_classes(document: Document, groups: dict[tuple[str, str], brute_force.Trials]) -> None:
    number = len(next(iter(groups.values())))
    runs = sum(len(trial) for trial in next(iter(groups.values())))
    if number < 2 or runs < 3:
        assert document["classes"] is None
        return
    for entry in document["classes"]:
        trials = groups.get((entry["probe"], entry["kind"]), [])
        for name, counts in entry["vantages"].items():
            assert counts == brute_force.classes(trials, name)


def _check_differences(document: Document, groups: dict[tuple[str, str], brute_force.Trials]) -> None:
    tests = len(document["differences"])
    for entry in document["differences"]:
        trial = _trial_of(groups, entry)
        if trial is None:
            continue
        q, whole = brute_force.cochran(trial), len(set().union(*trial.values()))
        assert entry["cochran"] == (None if q is None else pytest.approx(q))
        assert entry["eta_squared"] == (None if q is None else pytest.approx(q / whole / (len(trial) - 1)))
        sizes = [len(seen) for seen in trial.values()]
        assert entry["range"] == brute_force.ratio(max(sizes) - min(sizes), whole)
        assert entry["p"] is None or entry["p_corrected"] == min(1, tests * entry["p"])
        assert [tuple(pair["vantages"]) for pair in entry["pairs"]] == list(combinations(trial, 2))
        for pair in entry["pairs"]:
            one, other = (trial[name] for name in pair["vantages"])
            b, c = len(one - other), len(other - one)
            assert (pair["only_first"], pair["only_second"]) == (b, c)
            assert pair["mcnemar"] == ((b - c) ** 2 / (b + c) if b + c else None)
            assert pair["difference"] == brute_force.ratio(len(one) - len(other), whole)
            assert pair["odds"] == brute_force.ratio(b, c)


def _check_estimates(document: Document, groups: dict[tuple[str, str], brute_force.Trials], *, sliced: bool) -> None:
    by = slice_of if sliced else None
    for entry in document["estimates"]:
        trial = _trial_of(groups, entry)
        if trial is None:
            continue
        assert (entry["chao"] is None) == (len(trial) == 2)
        assert [tuple(pair["vantages"]) for pair in entry["chapman"]] == list(combinations(trial, 2))
        for found in [*entry["chapman"], *([entry["chao"]] if entry["chao"] else [])]:
            expected, dropped, seen = brute_force.estimate(trial, found["vantages"], by)
            assert found["estimate"] == pytest.approx(expected)
            assert (found["dropped"], found["seen_in_dropped"]) == (dropped, seen)
            assert found["seen"] <= found["low"] <= found["estimate"] <= found["high"]
        whole = (entry["chao"] or entry["chapman"][0])["estimate"]
        assert entry["coverage"] == {name: len(seen) / whole if whole else None for name, seen in trial.items()}


def _check_slices(document: Document, groups: dict[tuple[str, str], brute_force.Trials]) -> None:
    assert document["slices"]["by"] == "asn"
    for group in document["slices"]["groups"]:
        trials = groups.get((group["probe"], group["kind"]), [])
        expected: dict[str, dict[str, int]] = {}
        for trial in trials:
            for address in set().union(*trial.values()):
                row = expected.setdefault(slice_of(address), {"any": 0} | dict.fromkeys(group["missed"], 0))
                row["any"] += 1
                for name, seen in trial.items():
                    row[name] += address in seen
        found = {str(entry["name"]): {"any": entry["any"], **entry["seen"]} for entry in group["slices"]}
        assert found == expected
        for name, missed in group["missed"].items():
            whole = sum(len(set().union(*trial.values()) - trial[name]) for trial in trials if name in trial)
            assert missed == whole == sum(entry["missed"][name] for entry in group["slices"])
            assert group["concentration"][name] == (1.0 if whole else None)  # there are three slices
