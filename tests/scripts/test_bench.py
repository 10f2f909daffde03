"""scripts/bench, each subcommand with next to nothing to do: it runs, and what it prints adds up."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.census.support import ROOT, run

pytestmark = pytest.mark.lab

SUBCOMMANDS = ("tx", "rx", "scan", "pace", "sets", "analyze")


def bench(*arguments: str) -> dict[str, Any]:
    done = run(sys.executable, "-m", "scripts.benchmarks", *arguments, "--json", cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document) == [arguments[0]]
    found: dict[str, Any] = document[arguments[0]]
    return found


def test_tx_prints_rates_and_ratios_of_both_networks() -> None:
    found = bench("tx", "--rounds", "1", "--seconds", "0.2")
    for place in ("sink", "veth"):
        rates = found[place]
        for name in ("ours", "limit", "af_packet"):
            assert rates[f"{name}_mpps"] > 0
        assert rates["ratio_limit"] == pytest.approx(rates["ours_mpps"] / rates["limit_mpps"], abs=0.02)
    assert found["fill_ns"] > 0


def test_a_contestant_that_does_not_run_is_named() -> None:
    arguments = ("tx", "--rounds", "1", "--seconds", "0.1", "--masscan", "/bin/false")
    done = run(sys.executable, "-m", "scripts.benchmarks", *arguments, cwd=ROOT)
    assert (done.returncode, done.stderr) == (1, "scripts/bench: masscan has sent nothing: it said nothing\n")


def test_rx_accounts_for_every_reply() -> None:
    found = bench("rx", "--rounds", "2", "--seconds", "0.3", "--rate", "0.02")
    assert len(found["rounds"]) == 2
    for trial in found["rounds"]:
        assert trial["adds_up"]
        assert trial["offered"] == trial["matched"] + trial["rejected"] + trial["drops"] > 0
        assert trial["rejected"] > 0


def test_scan_adds_up() -> None:
    found = bench("scan", "--targets", "4096", "--rate", "20kpps")
    assert (found["adds_up"], found["problems"]) == (True, [])
    assert found["sent"] == found["completed"] == found["sent_by_interface"] == 4096 * 8 * 2
    assert found["received"] == found["matched"] + found["rejected"] == found["expected"] == 64 * 8 * 2


def test_pace_captures_what_was_sent() -> None:
    found = bench("pace", "--seconds", "1", "--rates", "100pps,5kpps")
    assert [pace["rate_pps"] for pace in found["rates"]] == [100, 5000]
    for pace in found["rates"]:
        assert pace["adds_up"]
        assert pace["sent"] == pace["captured"] == int(pace["rate_pps"] * 1.1) + 1
        assert 0 < pace["burst_frames"] <= pace["sent"]


@pytest.mark.parametrize("rate", ["fast", "auto", "10Mbps"])
def test_pace_refuses_what_is_no_rate_in_packets(rate: str) -> None:
    done = run(sys.executable, "-m", "scripts.benchmarks", "pace", "--rates", f"10pps,{rate}", cwd=ROOT)
    assert done.returncode == 2
    assert f"--rates: {rate}: " in done.stderr


def test_sets_counts_what_it_collected() -> None:
    found = bench("sets", "--alive", "20000")
    assert found["adds_up"]
    assert min(found["replies"], found["members"]) > 20000
    assert found["messages"] == found["replies"]
    assert min(found["segment_bytes"], found["set_bytes"]) > found["members"]
    assert found["peak_mib"] >= found["before_mib"] > 0


def test_analyze_finds_what_it_made(tmp_path: Path) -> None:
    found = bench("analyze", "--scale", "0.0005", "--rounds", "1", "--directory", str(tmp_path))
    assert found["sets"] == 191
    assert found["addresses"] == pytest.approx(487e6 * 0.0005, rel=0.3)
    assert found["prefixes24"] == pytest.approx(5.3e6 * 0.0005, rel=0.3)
    assert found["ratio"] == pytest.approx(found["wall_s"] / found["read_s"], rel=0.6)
    assert min(found["bytes"], found["peak_mib"], found["cpu_s"]) > 0
    for drawn in ("figures", "map"):
        assert found[f"{drawn}_wall_s"] > 0
        assert found[f"{drawn}_peak_mib"] > found["peak_mib"]
    assert found["map_more_s"] == pytest.approx(found["map_wall_s"] - found["wall_s"], abs=0.01)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_tells_what_each_option_does(name: str) -> None:
    done = run(sys.executable, "-m", "scripts.benchmarks", name, "--help", cwd=ROOT)
    assert done.returncode == 0
    assert "--json" in done.stdout
