"""Surveys against a brute-force judge: A, U, up periods, outages, in both readings, at every level."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.analysis.survey.sequences import AddressFigures
from liveness.planes.blocks import Blocks
from liveness.planes.manifest import ProbeRounds, SurveyManifest, Times, write_manifest
from liveness.planes.matrix import Planes, write_phases, write_planes
from liveness.planes.rundir import SurveyRun, create_run
from tests.analysis.survey.brute import Truth, figures, full_outages, repaired

START_NS = 1_500_000_000 * 10**9
PROBE = "icmp"


def write_survey(path: Path, truth: Truth, blocks: Blocks, parts: int = 1) -> SurveyRun:
    """Write a survey in which address index i of all blocks is address i of the truth."""
    create_run(path, blocks)
    planes = Planes.empty(256 * len(blocks), truth.rounds)
    for plane, pairs in (("sent", truth.sent), ("positive", truth.positive)):
        if pairs:
            found = np.array(sorted(pairs), np.int64)
            planes.put(plane, found[:, 0], found[:, 1])
    size = -(-len(blocks) // parts)
    write_planes(path, PROBE, (planes.block(i, min(size, len(blocks) - i)) for i in range(0, len(blocks), size)))
    write_phases(path, np.zeros(256 * len(blocks), np.uint32))
    manifest = SurveyManifest(
        name="test", run_id="one", status="complete", interval_s=truth.interval_s,
        survey=Times(start="2017-07-14T02:40:00Z"),
        start_ns=START_NS, rounds=truth.rounds, blocks=len(blocks), probes={PROBE: ProbeRounds()},
    )  # fmt: skip
    write_manifest(manifest, path)
    return SurveyRun.open(path)


def drawn(seed: int, blocks: int, rounds: int, sent_share: float = 0.95) -> Truth:
    """Return a truth of addresses that are off, on, flapping, or in long sessions; some rounds are not sent."""
    rng = np.random.default_rng(seed)
    truth = Truth(rounds, 660.0)
    for address in rng.choice(256 * blocks, size=40 * blocks, replace=False).tolist():
        style = rng.integers(4)
        flips = {0: 0.0, 1: 0.5, 2: 0.05, 3: 0.2}[int(style)]
        state = bool(rng.integers(2)) or style == 0
        for r in range(rounds):
            state ^= bool(rng.random() < flips)
            if rng.random() < sent_share:
                truth.sent.add((address, r))
                if state:
                    truth.positive.add((address, r))
    return truth


def document(run: SurveyRun) -> dict[str, Any]:
    found = json.loads(encode(analyze_survey(run)))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_equals_that_of_the_judge(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveness.analysis.survey.results.MOST_BLOCKS", 1)  # parts, more than there are threads
    blocks = Blocks.of(np.array([0x0A0000, 0x0A0001, 0xC00002, *range(0xC10000, 0xC10000 + 2 * seed)], np.uint32))
    truth = drawn(seed, len(blocks), 97 + seed)
    run = write_survey(tmp_path / "run", truth, blocks, parts=1 + seed % 2)
    found = document(run)
    probe = found["probes"][PROBE]
    assert probe["sent"] == len(truth.sent)
    assert probe["not_sent"] == 256 * len(blocks) * truth.rounds - len(truth.sent)
    assert probe["positive"] == len(truth.positive)
    everyone = list(range(256 * len(blocks)))
    for name, repair in (("plain", False), ("repaired", True)):
        expected = figures(truth, everyone, repair=repair)
        assert {key: probe[name][key] for key in expected} == pytest.approx(expected)
        for index, block in enumerate(found["by_block"]):
            expected = figures(truth, everyone[256 * index : 256 * (index + 1)], repair=repair)
            keys = ("ever", "A", "U", "N_U", "median_up_s")
            assert {key: block[name][key] for key in keys} == pytest.approx({key: expected[key] for key in keys})


@pytest.mark.parametrize("seed", range(6))
def test_full_outages_equal_those_of_the_judge(tmp_path: Path, seed: int) -> None:
    """Two days, so that no block is diurnal: outages of every length, at the beginning and at the end too."""
    rng = np.random.default_rng(100 + seed)
    truth = Truth(60, 660.0)
    hosts = rng.choice(256, size=int(rng.integers(1, 12)), replace=False).tolist()
    down: set[int] = set()
    for _ in range(3):
        first = int(rng.integers(-3, 60))
        down |= set(range(first, first + int(rng.integers(1, 12))))
    for host in hosts:
        availability = rng.choice([0.3, 0.8, 1.0])
        for r in range(truth.rounds):
            if rng.random() < 0.9:
                truth.sent.add((host, r))
                if r not in down and rng.random() < availability:
                    truth.positive.add((host, r))
    found = document(write_survey(tmp_path / "run", truth, Blocks.of(np.array([0xC00002], np.uint32))))
    at = {r: f"2017-07-14T{(2 * 3600 + 2400 + 660 * r) // 3600:02d}" for r in range(60)}
    expected = full_outages(truth, list(range(256)))
    assert [outage["rounds"] for outage in found["outages"]["full"]] == [rounds for _, _, rounds in expected]
    for outage, (first, end, _) in zip(found["outages"]["full"], expected, strict=True):
        assert outage["start"].startswith(at[first])
        assert (outage["end"] is None) == (end is None)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.data())
@settings(max_examples=60)
def test_unsent_rounds_change_nothing_but_counts(sequence: list[int], data: st.DataObject) -> None:
    """A round that was not sent neither ends nor lengthens an up period, wherever it lies."""
    from liveness.analysis.survey.sequences import figures_of, histograms_for  # noqa: PLC0415

    def of(rows: list[int | None]) -> tuple[AddressFigures, np.ndarray]:
        planes = Planes.empty(256, len(rows))
        for r, bit in enumerate(rows):
            if bit is not None:
                planes.put("sent", np.array([7]), np.array([r]))
                if bit:
                    planes.put("positive", np.array([7]), np.array([r]))
        histograms = histograms_for(1, len(rows))
        return figures_of(planes, histograms), histograms

    gaps: list[int | None] = list(sequence)
    for _ in range(data.draw(st.integers(0, 5))):
        gaps.insert(data.draw(st.integers(0, len(gaps))), None)
    (plain, before), (with_gaps, after) = of(list(sequence)), of(gaps)
    for name in AddressFigures._fields:
        assert np.array_equal(getattr(plain, name)[7], getattr(with_gaps, name)[7], equal_nan=True)
    assert np.array_equal(before[..., : len(sequence) + 1], after[..., : len(sequence) + 1])
    assert int(plain.ones[7, 1]) == sum(repaired(sequence))
