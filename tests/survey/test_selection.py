"""Selection of blocks: what the policies promise, whatever is drawn."""

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.cli.survey import command
from liveness.errors import LivenessError, UsageError
from liveness.planes.blocks import read_blocks
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.survey.availability import from_censuses
from liveness.survey.mix import POLICIES, apportioned, parse_mix
from liveness.survey.selection import load_state
from tests.analysis.survey.brute import periods


def census(path: Path, addresses: BitMap, started: str) -> Path:
    run = RunDirectory.create(path, "c", started.replace(":", ""))
    entry = run.write_set(SetKey(ReplyKey("icmp", Kind.ECHO_REPLY), Role.SOURCE), addresses)
    run.write_manifest(
        Manifest(
            name="c", run_id=started.replace(":", ""), status="complete", seed=1, config={}, started=started,
            finished=started, targets=1, probes={}, sets=[entry],
        )
    )  # fmt: skip
    return run.path


def selected(tmp_path: Path, runs: list[Path], *words: str) -> dict[str, tuple[str, float]]:
    out = tmp_path / "blocks.csv"
    done = CliRunner().invoke(
        command, ["select", *map(str, runs), "--state", str(tmp_path / "state.json"), "-o", str(out), *words],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with out.open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["block", "policy", "weight"]
    assert rows[1:] == sorted(rows[1:], key=lambda row: [int(part) for part in row[0].split("/")[0].split(".")])
    assert len(read_blocks(out)) == len(rows) - 1
    return {block: (policy, float(weight)) for block, policy, weight in rows[1:]}


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three censuses of 600 /24s: some always on, some at times, some in the last alone."""
    rng = np.random.default_rng(4)
    found = []
    for number in range(3):
        alive = BitMap()
        for block in range(600):
            chance = (block % 10) / 9
            if block >= 500 and number < 2:
                continue
            base = (0x0B0000 + 7 * block) << 8
            alive.update((base + octet) for octet in range(1, 30) if rng.random() < chance)
        found.append(census(tmp_path / "sets", alive, f"2026-11-0{number + 1}T00:00:00Z"))
    return found


def test_policies_keep_their_promises(tmp_path: Path, runs: list[Path]) -> None:
    first = selected(tmp_path, runs[:2], "--count", "100", "--seed", "5")
    numbers = {policy: [b for b, (p, _) in first.items() if p == policy] for policy in POLICIES}
    assert {policy: len(blocks) for policy, blocks in numbers.items()} == {"random": 25, "spaced": 25, "novel": 50}
    assert first == selected(tmp_path, runs[:2], "--count", "100", "--seed", "5")
    again = selected(tmp_path, runs, "--count", "100", "--seed", "6")
    for policy in ("random", "spaced"):  # kept, with their weights
        assert {b: w for b, (p, w) in again.items() if p == policy} == {
            b: w for b, (p, w) in first.items() if p == policy
        }
    novel = {b for b, (p, _) in again.items() if p == "novel"}
    assert novel != set(numbers["novel"])
    late = {f"11.{(7 * block) >> 8}.{(7 * block) & 255}.0/24" for block in range(500, 600)}
    assert novel & late  # those that the last census alone has seen
    assert not late & set(first)
    weights = {w for p, w in first.values() if p == "random"}
    assert weights == {len(from_censuses([read(run) for run in runs[:2]]).numbers) / 25}


def read(run: Path) -> BitMap:
    directory = RunDirectory.open(run)
    return directory.read_set(directory.read_manifest().sets[0])


def test_spaced_blocks_spread_over_availability(tmp_path: Path, runs: list[Path]) -> None:
    chosen = selected(tmp_path, runs, "--count", "60", "--mix", "spaced=1", "--seed", "1")
    availability = from_censuses([read(run) for run in runs])
    place = {int(number): index for index, number in enumerate(availability.numbers)}
    cells = []
    for block in chosen:
        a, b, c, _ = map(int, block.split("/")[0].split("."))
        index = place[a << 16 | b << 8 | c]
        cells.append((int(availability.a[index] * 10), int(availability.u[index] * 10)))
    counts = [cells.count(cell) for cell in set(cells)]
    assert len(counts) > 5
    assert max(counts) <= min(count for count in counts if count > 1) + 60 // len(counts)
    total = sum(weight for _, weight in chosen.values())
    assert total == pytest.approx(len(availability.numbers), rel=1e-9) or total < len(availability.numbers)


@given(st.lists(st.sets(st.integers(0, 600), max_size=40), min_size=1, max_size=5))
def test_availability_from_censuses_equals_the_definition(censuses: list[set[int]]) -> None:
    found = from_censuses([BitMap(census) for census in censuses])
    ever = set().union(*censuses)
    for number, a, u in zip(found.numbers.tolist(), found.a.tolist(), found.u.tolist(), strict=True):
        inside = [address for address in ever if address >> 8 == number]
        each = [[int(address in census) for census in censuses] for address in inside]
        availability = [sum(sequence) / len(censuses) for sequence in each]
        assert a == pytest.approx(np.mean(availability))
        ratios = [x / len(periods(sequence)) for x, sequence in zip(availability, each, strict=True)]
        assert u == pytest.approx(np.mean(ratios))
    assert set(found.numbers.tolist()) == {address >> 8 for address in ever}


@given(st.integers(0, 10_000), st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any))
def test_a_mix_is_rounded_to_the_whole(count: int, parts: list[int]) -> None:
    shares = {policy: part / sum(parts) for policy, part in zip(POLICIES, parts, strict=True)}
    numbers = apportioned(count, shares)
    assert sum(numbers.values()) == count
    assert all(abs(numbers[policy] - count * share) < 1 for policy, share in shares.items())


@pytest.mark.parametrize(
    ("text", "words"),
    [("random=1,odd=0", "'odd' is none of"), ("random=x", "'x' is not a number"), ("random=.5", "add up to 1")],
)
def test_a_wrong_mix_is_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_mix(text)


def test_what_is_wrong_is_named(tmp_path: Path, runs: list[Path]) -> None:
    with pytest.raises(UsageError, match=r"policy random: 25,000 blocks of \d+ eligible ones"):
        selected(tmp_path, runs, "--count", "100000", "--seed", "1")
    (tmp_path / "state.json").write_text('{"random": [{"block": "10.0.0.0/23", "weight": 1}], "spaced": []}')
    with pytest.raises(LivenessError, match=r"state.json: '10.0.0.0/23' with weight 1.0 is no block"):
        load_state(tmp_path / "state.json")
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(LivenessError, match="a damaged state of selections"):
        load_state(tmp_path / "state.json")
