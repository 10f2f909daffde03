"""The time that a census takes with its talks, against frames that are sent one after the other."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from liveness.cli.config import command
from liveness.config.model import from_document
from liveness.config.schedule import Schedule, schedule_of
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

TEXT = (
    "name: talks\ntargets: {allow: [8.0.0.0/16]}\ncontact: https://example.org/scan\n"
    "probes: [icmp, tcp/22, tcp/443]\ncontrol: false\ncooldown: 1s\nprobe_spacing: 0s\nrate: 10kpps\n"
    "applications: [ssh, tls]\nnetwork: {source_ports: 20000-29999}\n"
)
FRAMES = 20_000


def last_frame_s(schedule: Schedule, rate_pps: float) -> float:
    """Return when the last frame of all leaves if each leaves at its place in its block, or after the one before."""
    share = schedule.targets / schedule.targets.sum()
    now_s = 0.0
    sending_s = schedule.spans_s - schedule.cooldown_s
    for begin_s, length_s, count in zip(schedule.begins_s, sending_s, share * FRAMES, strict=True):
        for number in range(1, round(count) + 1):
            now_s = max(now_s + 1 / rate_pps, begin_s + length_s * number / round(count))
    return now_s


@given(
    blocks=st.lists(st.tuples(st.integers(1, 9), st.floats(0.5, 30.0), st.floats(0.0, 20.0)), min_size=1, max_size=5),
    rate_pps=st.sampled_from([200.0, 1_000.0, 5_000.0, 100_000.0]),
    cooldown_s=st.sampled_from([0.0, 1.0, 10.0]),
    wait_s=st.sampled_from([1.5, 5.0, 20.0]),
)
def test_talks_that_lag_behind_make_a_census_longer(
    blocks: list[tuple[int, float, float]], rate_pps: float, cooldown_s: float, wait_s: float
) -> None:
    targets, sending_s, pauses_s = (np.array(column) for column in zip(*blocks, strict=True))
    begins_s = np.cumsum(sending_s + pauses_s + cooldown_s) - sending_s - pauses_s - cooldown_s
    schedule = Schedule(targets, begins_s, sending_s + cooldown_s, cooldown_s)
    expected = max(schedule.duration_s, last_frame_s(schedule, rate_pps) + wait_s)
    assert schedule.duration_with(FRAMES / rate_pps, wait_s) == pytest.approx(expected, rel=0.01, abs=0.1)


def test_without_open_ports_nothing_is_waited_for() -> None:
    schedule = Schedule(np.array([7]), np.zeros(1), np.array([4.0]), 1.0)
    assert schedule.duration_with(0.0, 20.0) == schedule.duration_s == 4.0
    empty = Schedule(np.empty(0, np.int64), np.empty(0), np.empty(0), 1.0)
    assert (empty.duration_s, empty.longest_block_s, empty.duration_with(1.0, 20.0)) == (0.0, 0.0, 0.0)


def test_blocks_with_slots_begin_by_the_clock() -> None:
    document = {"name": "a", "targets": {"allow": ["8.0.0.0/16"]}, "block_prefix": 17, "cooldown": "2s"}
    slotted = from_document(document | {"start_at": "2030-01-01T00:00:00Z", "slot": "1h"})
    targets = Targets.build(Intervals.from_bounds([0x08000000], [0x0800FFFF]), Intervals.empty())
    at_once, by_clock = (schedule_of(config, targets, 1_000.0) for config in (from_document(document), slotted))
    (length_s,) = set(at_once.spans_s.tolist())
    assert at_once.begins_s.tolist() == [0.0, length_s]
    assert by_clock.begins_s.tolist() == [0.0, 3600.0]
    assert by_clock.duration_s == 3600 + at_once.longest_block_s


@pytest.mark.parametrize(("rate", "seconds"), [("20kpps", 13.1072 + 5), ("100pps", 52.4288 + 5)])
def test_check_prints_the_census_with_its_talks(tmp_path: Path, rate: str, seconds: float) -> None:
    """655.36 targets of 65,536 have both ports open, with 4 frames each: 0.26 s at 20 kpps, 52.4 s at 100 pps."""
    file = tmp_path / "talks.yaml"
    file.write_text(f"{TEXT}talk: {{rate: {rate}, wait: 5s}}\n")
    document = json.loads(CliRunner().invoke(command, ["check", str(file), "--json"]).stdout)
    assert document["duration_s"] == pytest.approx(13.1072 + 1)
    example = document["talks"]["example"]
    assert example["total"] == {
        "packets": pytest.approx(65_536 * 2 * 3 + 655.36 * 2 * 4),
        "bits": pytest.approx(document["bits"] + example["bits"]),
        "seconds": pytest.approx(seconds),
    }
    assert document["bits"] == pytest.approx(document["bandwidth_bps"] * 13.1072)
    printed = CliRunner().invoke(command, ["check", str(file)]).stdout
    assert f"together  at most 398,459 packets, 38.8 MB; about {seconds:.0f} s\n" in printed
