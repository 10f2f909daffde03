"""scripts/bench, each subcommand with next to nothing to do: it runs, and what it prints adds up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.census.support import ROOT, run

pytestmark = pytest.mark.lab

SUBCOMMANDS = ("tx", "rx", "scan", "pace", "budget", "sets", "analyze", "model", "repeat", "flows", "hour", "talk")


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
        for name in ("ours", "limit", "budget_32", "af_packet"):
            assert rates[f"{name}_mpps"] > 0
        assert rates["ratio_limit"] == pytest.approx(rates["ours_mpps"] / rates["limit_mpps"], abs=0.02)
    assert found["fill_ns"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may load BPF programs")
def test_live_accounts_for_every_frame() -> None:
    found = bench("live", "--rounds", "1", "--seconds", "0.2", "--frames", "200000")
    rates = found["veth"]
    assert min(rates["ours_mpps"], rates["limit_mpps"], rates["af_xdp_mpps"]) > 0
    assert rates["ratio_limit"] == pytest.approx(rates["ours_mpps"] / rates["limit_mpps"], abs=0.02)
    counted = found["counted"]
    assert counted["put_into_the_ring"] == counted["completed"] + counted["dropped_by_the_driver"] >= 200_000
    assert counted["counted_at_the_far_end"] == counted["completed"]
    assert counted["unaccounted"] == 0


def test_kernels_prints_the_least_and_the_median_of_the_rounds() -> None:
    found = bench("kernels", "--rounds", "2", "--replies", "5000")
    assert list(found) == ["fill", "match", "collect", "match and collect"]
    for costs in found.values():
        assert 0 < costs["least_ns"] <= costs["median_ns"]


def test_report_prints_times_of_tables_and_of_everything_drawn() -> None:
    found = bench("report", "--rounds", "1")
    for what in ("tables", "drawn"):
        assert 0 < found[f"{what}_cpu_s"] <= found[f"{what}_median_cpu_s"]
        assert 0 < found[f"{what}_wall_s"] <= found[f"{what}_median_wall_s"]


def test_cold_compiles_once() -> None:
    found = bench("cold", "--only", "analyze")
    assert 0 < found["analyze_first_files"] == found["analyze_second_files"]
    assert min(found["analyze_first_cpu_s"], found["analyze_second_cpu_s"]) > 0


def test_talk_accounts_for_every_service_and_every_forged_syn_ack() -> None:
    """A busy machine may be late: the exit code says so, and the counts are the same."""
    arguments = ("talk", "--services", "1000", "--rate", "1000", "--forged", "20000", "--json")
    done = run(sys.executable, "-m", "scripts.benchmarks", *arguments, cwd=ROOT, timeout=300)
    found = json.loads(done.stdout)["talk"]
    assert [found[name] for name in ("syn_acks", "talks", "answers", "refused")] == [1000, 1000, 1000, 0]
    assert found["forged"] >= 20_000
    assert found["forged_rejected"] + found["forged_dropped"] == found["forged"]
    assert found["forged_answered"] == found["forged_talks"] == 0


def test_a_contestant_that_does_not_run_is_named() -> None:
    arguments = ("tx", "--rounds", "1", "--seconds", "0.1", "--masscan", "/bin/false")
    done = run(sys.executable, "-m", "scripts.benchmarks", *arguments, cwd=ROOT)
    assert (done.returncode, done.stderr) == (1, "scripts/bench: masscan has sent nothing: it said nothing\n")


def test_budget_keeps_the_spacing_however_few_frames_a_call_sends() -> None:
    found = bench("budget", "--rate", "2000", "--targets", "300", "--rounds", "1", "--seconds", "0.2")
    for kernel in ("whole_ring", "32"):
        assert found[kernel]["frames"] == 4 * 300
        assert (found[kernel]["too_close"], found[kernel]["closest_ms"] >= 10) == (0, True)
    assert found["median_ratio"] > 0
    for place in ("sink", "veth"):
        assert set(found["mpps"][place]) == {"ours", "af_xdp", "af_packet"}
        assert found["ours_to_faster"][place] > 0


def test_rx_accounts_for_every_reply() -> None:
    by_xdp = ("--capture", "both", "--generator", "xdp_live") if os.geteuid() == 0 else ()
    found = bench("rx", "--rounds", "2", "--seconds", "0.3", "--rate", "0.02", *by_xdp)
    assert len(found["rounds"]) == 2
    assert {trial["capture"] for trial in found["all_rounds"]} == ({"packet", "xdp"} if by_xdp else {"packet"})
    assert (found.get("ratio_xdp", 0) > 0) == bool(by_xdp)
    for trial in found["all_rounds"]:
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


@pytest.mark.parametrize(
    "arguments",
    [
        ("tx", "--rounds", "0"),
        ("tx", "--seconds", "0"),
        ("rx", "--rate", "-1"),
        ("rx", "--backlog", "-5"),
        ("scan", "--ring-mib", "0"),
        ("pace", "--seconds", "0"),
        ("sets", "--alive", "0"),
        ("repeat", "--targets", "0"),
        ("model", "--rate", "-1"),
    ],
)
def test_a_number_out_of_range_is_refused(arguments: tuple[str, ...]) -> None:
    done = run(sys.executable, "-m", "scripts.benchmarks", *arguments, cwd=ROOT)
    assert done.returncode == 2
    assert f"Invalid value for '{arguments[1]}'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_shows_what_each_option_does(name: str) -> None:
    done = run(sys.executable, "-m", "scripts.benchmarks", name, "--help", cwd=ROOT)
    assert done.returncode == 0
    assert "--json" in done.stdout


def test_model_answers_for_every_probe() -> None:
    found = bench("model", "--seconds", "0.3", "--rate", "0.02")
    assert found["problems"] == []
    assert found["offered"] == found["answered_for"] > 1000
    assert 0 < found["replies"] < found["offered"]
    assert found["dropped_by_link"] == found["dropped_by_ring"] == 0


def test_a_block_of_the_model_is_the_truth_in_memory() -> None:
    found = bench("model", "--block", "--targets", "8192")
    assert (found["complete"], found["problems"]) == (True, [])
    assert found["probes"] == 8192 * 9 * 2
    assert found["members"] > 0
    assert (found["rejected"], found["malformed"]) == (0, 0)


def test_a_block_is_interrupted_with_what_there_is() -> None:
    command = [sys.executable, "-m", "scripts.benchmarks", "model", "--block", "--targets", str(1 << 26), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(20)
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    found = json.loads(output)["model"]
    assert found["complete"] is False
    assert 0 < found["probes"] < (1 << 26) * 9 * 2
    assert found["replies"] > 0


def test_repeat_recovers_what_was_lost() -> None:
    found = bench("repeat", "--targets", "4096", "--rate", "4000", "--delays", "0")
    (census,) = found["censuses"]
    assert set(census["probes"]) == {"icmp", "tcp/80", "dns"}
    for probe in census["probes"].values():
        assert probe["first"] > 0
        assert probe["gain"] == pytest.approx(probe["recovered"] / probe["first"], abs=1e-5)


def test_a_delay_longer_than_the_census_is_refused() -> None:
    arguments = ("repeat", "--targets", "4096", "--rate", "4000", "--delays", "20")
    done = run(sys.executable, "-m", "scripts.benchmarks", *arguments, cwd=ROOT)
    assert done.returncode == 2
    assert "--delays: 20: more than the 1.024 s" in done.stderr


def test_flows_reads_every_record_of_every_format() -> None:
    found = bench("flows", "--records", "2000", "--keys", "50", "--rounds", "1")
    assert set(found["million_a_second"]) >= {"nfcapd", "netflow-v5", "netflow-v9", "ipfix", "metered packets"}
    assert set(found["million_a_second"]) == set(found["million_a_cpu_second"])
    assert all(rate > 0 for name in ("million_a_second", "million_a_cpu_second") for rate in found[name].values())
    assert found["collector"]["sent"] == found["collector"]["received"] == 2000


def test_day_reads_every_record_of_a_short_day() -> None:
    found = bench("day", "--records", "6000", "--intervals", "3")
    assert (found["records"], found["intervals"]) == (6000, 3)
    assert found["cpu_s"] > 0
    assert found["peak_mib"] > 0


def test_survey_analyses_what_it_made(tmp_path: Path) -> None:
    found = bench("survey", "--blocks", "12", "--days", "3.5", "--directory", str(tmp_path))
    assert (found["blocks"], found["days"]) == (12, 3.5)
    for name in ("plain", "figures"):
        assert min(found[f"{name}_wall_s"], found[f"{name}_cpu_s"], found[f"{name}_peak_mib"]) > 0
    assert found["page_mib"] > 0.1
    assert list(tmp_path.iterdir()) == []


def test_across_compares_what_it_drew() -> None:
    found = bench("across", "--hosts", "20000", "--rounds", "1")
    assert found["places"] == 3
    assert 55_000 < found["members"] < 60_000
    assert min(found["plain_cpu_s"], found["by_asn_cpu_s"], found["peak_mib"]) >= 0
