"""How benchmarks judge: rates that hold, flows that keep to one, counters that add up."""

import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest

from liveness.errors import UnsupportedError
from liveness.lab.model.population.load import load_population
from liveness.lab.model.population.sample import used24
from liveness.net.links import InterfaceCounters
from liveness.runs.course import Timeline
from liveness.runs.manifest import Manifest, ProbeCounts, Receive, Transmit
from liveness.scan.shared import Shared
from scripts.benchmarks import network
from scripts.benchmarks.contest import Performance
from scripts.benchmarks.far_end import Counted
from scripts.benchmarks.generator import batch_for
from scripts.benchmarks.hour import interval_times, used_blocks
from scripts.benchmarks.pace import Pace, judge
from scripts.benchmarks.plans import one_block, plan_over
from scripts.benchmarks.processes import usage_of
from scripts.benchmarks.rx import find_rate
from scripts.benchmarks.scan import account
from scripts.benchmarks.trial import Trial
from scripts.benchmarks.tx import fastest_zmap, ratios

TRIAL = Trial(
    rate_pps=0,
    steered=False,
    capture="packet",
    generator="auto",
    offered=100,
    matched=98,
    rejected=2,
    ring_drops=0,
    link_drops=0,
    wrong=2,
    seconds=1e-4,
    behind_s=0.01,
    receiver_cpu_s=0,
    sender_cpu_s=0,
)


@pytest.mark.parametrize(
    ("changes", "adds_up", "holds"),
    [
        ({}, True, True),
        ({"matched": 97}, False, False),
        ({"matched": 97, "ring_drops": 1}, True, False),
        ({"matched": 97, "link_drops": 1}, True, False),
        ({"matched": 97, "rejected": 3}, False, False),
        ({"behind_s": 0.2}, True, False),
    ],
)
def test_a_trial_holds_if_nothing_is_lost_and_all_judged_rightly(
    changes: dict[str, float], adds_up: bool, holds: bool
) -> None:
    trial = replace(TRIAL, **changes)  # type: ignore[arg-type]
    assert (trial.adds_up, trial.holds) == (adds_up, holds)


@pytest.mark.parametrize("limit_pps", [130_000, 740_000, 10_000_000])
def test_the_search_finds_the_highest_rate_without_a_drop(limit_pps: float) -> None:
    def run(rate_pps: float) -> Trial:
        offered_pps = min(rate_pps or 1e9, 1_000_000)
        dropped = int(offered_pps > limit_pps)
        return replace(
            TRIAL, rate_pps=rate_pps, offered=int(offered_pps), seconds=1.0, link_drops=dropped,
            matched=int(offered_pps) - 2 - dropped,
        )  # fmt: skip

    trials = find_rate(run, 3)
    assert len(trials) == 3
    assert all(trial.holds for trial in trials)
    best = min(limit_pps, 1_000_000)
    assert best - 20_000 < trials[0].offered <= best


def test_the_backlog_of_the_machine_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = tmp_path / "netdev_max_backlog"
    monkeypatch.setattr(network, "BACKLOG", setting)
    with network.backlog_of(0):
        assert not setting.exists()
    with pytest.raises(UnsupportedError, match="netdev_max_backlog: No such file or directory: run as root"):
        network.backlog_of(5000).__enter__()
    setting.write_text("1000\n")
    with suppress(KeyboardInterrupt), network.backlog_of(5000):
        assert setting.read_text() == "5000"
        raise KeyboardInterrupt
    assert setting.read_text() == "1000\n"


def test_a_batch_leaves_most_of_the_backlog_free() -> None:
    assert [batch_for(backlog) for backlog in (0, 1000, 2000, 32768)] == [128, 128, 256, 512]


def paced(rate_pps: int, times_s: np.ndarray) -> Pace:
    shared = Shared(plan_over(one_block(64)))
    shared.completed[0] = len(times_s)
    return judge(rate_pps, shared, (times_s * 1e9).round().astype(np.int64) + 10**18, 0, 0.5)


def test_an_even_flow_has_no_error_and_no_burst() -> None:
    pace = paced(1000, np.arange(5101) / 1000)
    assert pace.worst_second == 0
    assert pace.burst_frames == 1
    assert pace.ahead_ms == pytest.approx(0, abs=1e-3)
    assert pace.mean_pps == pytest.approx(1000)
    assert pace.document()["adds_up"]


def test_bursts_are_runs_without_a_pause() -> None:
    bursts = np.repeat(np.arange(1000) / 100, 10) + np.tile(np.arange(10) * 1e-6, 1000)
    pace = paced(1000, bursts)
    assert pace.burst_frames == 10
    assert pace.document()["burst_ms"] == 10
    assert 8.5 < pace.ahead_ms < 9.1
    assert pace.worst_second < 0.01


def test_a_second_that_lacks_a_tenth_is_reported() -> None:
    times = np.arange(5101) / 1000
    pace = paced(1000, times[(times < 2) | (times >= 2.1)])
    assert pace.worst_second == pytest.approx(0.1, abs=0.002)


def test_the_fastest_module_of_zmap_counts() -> None:
    def at(*rates: float) -> list[Performance]:
        return [Performance(rate, 10.0) for rate in rates]

    done = {"ours": at(4, 6), "limit": at(5, 6), "zmap tcp_synscan": at(1, 1), "zmap udp": at(2, 2)}
    found = ratios(fastest_zmap(done))
    assert (found["ours_mpps"], found["zmap_mpps"], found["ratio_zmap"], found["ratio_limit"]) == (5, 2, 2.5, 0.9)
    assert "zmap udp_mpps" not in found


MANIFEST = Manifest(
    name="bench",
    run_id="run",
    status="complete",
    seed=1,
    config={},
    started="2026-01-01T00:00:00.000Z",
    finished="2026-01-01T00:00:10.000Z",
    targets=100,
    probes={"icmp": ProbeCounts(sent=[100, 100])},
    sets=[],
    messages={"icmp": {"echo-reply": 5}},
    rejected={"bad-cookie": 1},
    receive=Receive(packets=6, kernel_packets=8, kernel_drops=2),
    timeline=Timeline(end_s=[1, 2], sent=[150, 50], packets=[2, 4]),
    transmit=Transmit(frames=200),
)
NOTHING = InterfaceCounters(0, 0, 0, 0, 0, 0, 0)


def problems(manifest: Manifest, **after: int) -> list[str]:
    counters = replace(NOTHING, **({"rx_packets": 8, "tx_packets": 203} | after))
    found: list[str] = account(manifest, Counted(NOTHING, 0), Counted(counters, 3), 4)["problems"]
    return found


def test_counters_that_add_up() -> None:
    assert problems(MANIFEST) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"targets": 101}, "sent and planned: 200 and 202"),
        ({"transmit": Transmit(frames=199)}, "sent and completed: 200 and 199"),
        ({"timeline": Timeline(sent=[150, 49], packets=[6])}, "sent by interval and sent: 199 and 200"),
        ({"timeline": Timeline(sent=[200], packets=[5])}, "received by interval and received: 5 and 6"),
        ({"rejected": {}}, "received and matched + rejected: 6 and 5"),
        ({"status": "partial", "reason": "interrupted"}, "the run is partial: interrupted"),
    ],
)
def test_a_manifest_that_does_not_add_up_is_reported(changes: dict[str, object], problem: str) -> None:
    assert problem in problems(msgspec.structs.replace(MANIFEST, **changes))


def test_the_interface_is_the_judge() -> None:
    assert problems(MANIFEST, tx_packets=202) == ["completed and the interface's count: 200 and 199"]
    assert problems(MANIFEST, rx_packets=9) == ["the interface's count and received + dropped: 9 and 8"]


BUSY: Final = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "other", "words"])
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("ready", flush=True)
sys.stdin.readline()
child.kill()
"""


def test_usage_is_that_of_the_processes_with_the_words() -> None:
    """The parent has the words and the child of its own has not; a process of the lab has them after `exec`."""
    for words, lab, processes in ((("some", "words"), (), 1), (("words",), (), 2), (("words",), ("exec",), 1)):
        command = [sys.executable, "-c", BUSY, *lab, "some", "words"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            found = usage_of(process.pid, words)
            process.communicate("\n")
        assert found.processes == processes
        assert found.pss_kib > 1_000
        assert (found.cpu_s >= 0.25) == (not lab)


def test_a_survey_of_an_hour_has_24s_in_use_and_whole_rounds() -> None:
    numbers = used_blocks(30)
    assert len(set(numbers.tolist())) == 30
    assert used24(load_population("paper"), np.sort(numbers)) == 30
    assert (interval_times("10m", 6), interval_times("0.5s", 3)) == ("60m", "1.5s")
