"""Censuses of the model Internet as a user takes them: recall and precision, and loss told apart."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyroaring import BitMap

from liveness.lab.model.check import check_model_run
from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.record import read_lost, read_passed, read_summary
from liveness.replies import Kind
from liveness.runs.rundir import RunDirectory
from tests.census.support import EXEC, LIVENESS, Census, run, write_yaml

pytestmark = pytest.mark.lab

PROBES = ["icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp"]
TIMEOUT_S = 280


def config(folder: Path, targets: int, **changes: object) -> Path:
    """Write the config of a census of so many addresses of the model, and return where."""
    document = {
        "name": "model",
        "seed": 73,
        "targets": {"allow": ["0.0.0.0/0"]},
        "limits": {"max_targets": targets},
        "probes": PROBES,
        "rate": "10kpps",
        "block_prefix": 1,
        "retransmit": {"attempts": 2, "queue": 1000},
        "probe_spacing": "10ms",
        "cooldown": "1s",
        "contact": "tests of liveness, no real network",
        "output": str(folder),
    }
    return write_yaml(folder / "model.yaml", document | changes)


def scan(*options: str, config_file: Path, internet: str = "paper", stalls: tuple[str, ...] = ()) -> Census:
    """Scan the model; `stalls` are beginnings of messages that may come if the model waits for its core."""
    command = [*EXEC, "--internet", internet, *options, "--", *LIVENESS, "scan", "-q", "-C", str(config_file)]
    done = run(*command, timeout=TIMEOUT_S)
    # A busy machine may hold senders up, which changes nothing but the time that a scan takes.
    said = [
        line
        for line in done.stderr.splitlines()
        if "senders could not keep up" not in line and not line.startswith(stalls)
    ]
    assert (done.returncode, said) == (0, [])
    return Census(Path(done.stdout.strip()))


@pytest.fixture(scope="module")
def ideal(tmp_path_factory: pytest.TempPathFactory) -> Census:
    folder = tmp_path_factory.mktemp("ideal")
    return scan("--ideal", config_file=config(folder, 1 << 16))


def test_without_loss_recall_and_precision_are_one_for_every_key(ideal: Census) -> None:
    comparison = check_model_run(ideal.path, load_population())
    assert comparison.targets == 1 << 16
    assert len(comparison.judged) > 150
    assert comparison.members > 80_000
    assert (
        {judged.recall for judged in comparison.judged} == {judged.precision for judged in comparison.judged} == {1.0}
    )
    assert comparison.problems == []
    assert comparison.equal


def test_lab_check_says_so(ideal: Census) -> None:
    done = run(*LIVENESS, "lab", "check", ideal.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "recall and precision are 1 for every set" in done.stdout


def test_the_far_end_saw_every_probe_and_nothing_malformed(ideal: Census) -> None:
    summary = read_summary(ideal.path)
    assert summary.frames["probe"] == sum(sum(counts.sent) for counts in ideal.manifest.probes.values())
    assert summary.frames["probe"] == 9 * 2 << 16
    assert summary.malformed == {}
    assert (summary.overrun, summary.lost, summary.lossless) == (0, {}, True)
    assert summary.replies == sum(sum(counts.values()) for counts in ideal.manifest.messages.values())
    assert ideal.manifest.rejected == {}


def test_lab_check_names_addresses_missing_and_extra(ideal: Census, tmp_path: Path) -> None:
    """The judge of the tests above is no rubber stamp."""
    altered = Census(Path(shutil.copytree(ideal.path, tmp_path / "altered")))
    entry = next(entry for entry in altered.manifest.sets if entry.file == "sets/tcp-80.syn-ack.target.roaring")
    members = BitMap(altered.sets[entry.key])
    gone = max(members)
    members ^= BitMap([gone, gone + 1])
    sets = [other for other in altered.manifest.sets if other is not entry]
    sets.append(altered.directory.write_set(entry.key, members))
    altered.directory.write_manifest(msgspec.structs.replace(altered.manifest, sets=sets))
    done = run(*LIVENESS, "lab", "check", "--json", altered.path)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    worst, *others = document["keys"]
    assert (worst["probe"], worst["kind"], worst["role"]) == ("tcp/80", "syn-ack", "target")
    assert (worst["unexplained"], worst["extra"], worst["lost"]) == (1, 1, 0)
    right = (worst["found"] - 1) / worst["found"]
    assert worst["recall"] == worst["precision"] == pytest.approx(right)
    assert all((other["recall"], other["precision"]) == (1, 1) for other in others)
    assert "1 differ from what was let through" in run(*LIVENESS, "lab", "check", altered.path).stdout


def test_a_malformed_probe_fails_the_check(ideal: Census, tmp_path: Path) -> None:
    altered = Path(shutil.copytree(ideal.path, tmp_path / "altered"))
    record = altered / "lab/record.json"
    document = json.loads(record.read_text())
    document["frames"]["tcp-checksum"] = 3
    document["overrun"] = 5
    record.write_text(json.dumps(document))
    done = run(*LIVENESS, "lab", "check", altered)
    assert done.returncode == 1
    assert "3 malformed packets: tcp-checksum" in done.stdout
    assert "too slow for 5 packets" in done.stdout


def test_a_run_without_a_record_is_compared_when_its_population_is_named(ideal: Census, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(ideal.path, tmp_path / "bare"))
    shutil.rmtree(bare / "lab")
    done = run(*LIVENESS, "lab", "check", "--internet", "paper", bare)
    assert done.returncode == 0
    assert "no record of the model" in done.stderr


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Census, Census]:
    """Take two censuses in one lab whose network loses much, one after the other."""
    folder = tmp_path_factory.mktemp("lossy")
    population = with_network(
        folder,
        {
            "latency": {"median": "20ms", "sigma": 0.5, "jitter": "2ms"},
            "loss": 0.15,
            "bursts": {"share": 0.1, "mean": "200ms"},
            "icmp_limit": {"rate_pps": 1, "burst": 1},
            "duplicates": 0.01,
            "reordered": 0.1,
            "noise": 0.001,
        },
    )
    first, second = (
        config(make(folder / name), 1 << 13, seed=seed, cooldown="2s") for name, seed in (("a", 1), ("b", 2))
    )
    scans = " && ".join(f"{' '.join(LIVENESS)} scan -q -C {entry}" for entry in (first, second))
    done = run(*EXEC, "--internet", population, "--", "sh", "-c", scans, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, "")
    runs = done.stdout.split()
    return Census(Path(runs[0])), Census(Path(runs[1]))


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def with_network(folder: Path, network: dict[str, Any]) -> Path:
    """Write the packaged population with another network, and return where."""
    text = (Path(__file__).parents[4] / "liveness/lab/model/populations/paper.yaml").read_text()
    lines = text.splitlines(keepends=True)
    begin = lines.index("network:\n")
    end = next(at for at in range(begin + 1, len(lines)) if not lines[at].startswith(" "))
    path = folder / "other.yaml"
    path.write_text("".join([*lines[:begin], f"network: {json.dumps(network)}\n", *lines[end:]]))
    return path


def test_with_loss_recall_is_what_the_model_let_through(lossy: tuple[Census, Census]) -> None:
    for census in lossy:
        done = run(*LIVENESS, "lab", "check", "--json", census.path)
        assert done.returncode == 0, done.stdout
        keys = json.loads(done.stdout)["keys"]
        assert sum(entry["lost"] for entry in keys) > 500
        assert {entry["recall_of_passed"] for entry in keys} <= {1, None}
        assert {entry["precision"] for entry in keys} <= {1, None}
        echo = next(
            entry
            for entry in keys
            if (entry["probe"], entry["kind"], entry["role"]) == ("icmp", "echo-reply", "target")
        )
        assert 0.7 < echo["recall"] < 0.95
        assert "all that was let through, and nothing else" in run(*LIVENESS, "lab", "check", census.path).stdout


def test_each_run_has_its_own_record(lossy: tuple[Census, Census]) -> None:
    for census in lossy:
        summary = read_summary(census.path)
        assert summary.frames["probe"] == 9 * 2 << 13
        assert summary.malformed == {}
        assert summary.duplicates > 0
        assert summary.noise > 0
        assert 0.8 * summary.noise < sum(census.manifest.rejected.values()) <= summary.noise  # the rest is filtered
        lost = {probe: sum(counts.values()) for probe, counts in summary.lost.items()}
        assert set(lost) == {*PROBES, "tcp/control"}
        targets = sum(len(members) for members in read_lost(census.path).values())
        assert sum(lost.values()) / 2 < targets <= sum(lost.values())
        echoes = read_passed(census.path)["icmp", Kind.ECHO_REPLY]
        assert echoes == census.union({"icmp"}, {"echo-reply"}, "target")
    first, second = (read_passed(census.path)["icmp", Kind.ECHO_REPLY] for census in lossy)
    assert len(first & second) < len(first) / 10


def test_probes_without_a_word_in_the_population_are_judged_too(tmp_path: Path) -> None:
    """SSDP and SNMP: what hosts answer follows from their kind, in the model's replies and in its truth."""
    added = ["udp/1900", "snmp"]
    census = scan("--ideal", config_file=config(tmp_path, 1 << 14, probes=[*PROBES, *added]))
    done = run(*LIVENESS, "lab", "check", "--json", census.path)
    assert done.returncode == 0, done.stdout
    document = json.loads(done.stdout)
    assert {one["recall"] for one in document["keys"]} == {one["precision"] for one in document["keys"]} == {1}
    assert document["model"]["malformed"] == {}
    for probe in added:
        found = {one["kind"]: one["found"] for one in document["keys"] if one["probe"] == probe}
        assert {"answer", "payload", "error"} <= set(found)
        assert found["answer"] > 10
    assert read_summary(census.path).frames["probe"] == 11 * 2 << 14


@pytest.mark.slow
def test_a_million_addresses_without_loss(tmp_path: Path) -> None:
    """Late replies of a model that waited for its core are no loss: nothing is sent again."""
    limits = {"max_targets": 1 << 20, "repair": False, "loss": 1}
    file = config(tmp_path, 1 << 20, rate="20kpps", retransmit={"attempts": 2}, limits=limits, on_silence="warn")
    census = scan("--ideal", config_file=file, stalls=("liveness: silence: ", "liveness: loss: "))
    comparison = check_model_run(census.path, load_population())
    assert (
        {judged.recall for judged in comparison.judged} == {judged.precision for judged in comparison.judged} == {1.0}
    )
    assert comparison.equal
    assert read_summary(census.path).frames["probe"] == 9 * 2 << 20


EXEC_MODEL = [*EXEC, "--internet", "paper", "--"]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
def test_the_exit_code_is_the_command_s(script: str, code: int) -> None:
    assert subprocess.run([*EXEC_MODEL, "sh", "-c", script], check=False, timeout=TIMEOUT_S).returncode == code


def test_a_signal_reaches_the_command_and_a_cut_run_is_recorded(tmp_path: Path) -> None:
    command = [*EXEC_MODEL, *LIVENESS, "scan", "-C", str(config(tmp_path, 1 << 20))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert "scanning" in process.stderr.readline()
        time.sleep(1.5)  # the first packets leave
        process.send_signal(signal.SIGINT)
        run_path = Path(process.stdout.read().strip())
        process.stderr.read()
    assert process.returncode == 130
    assert RunDirectory.open(run_path).read_manifest().status == "partial"
    assert (run_path / "lab/record.json").exists()


def test_the_far_end_leaves_with_the_lab() -> None:
    """Its interface goes with its namespace, and nothing of it stays."""
    script = "import os, socket; print([name for _, name in socket.if_nameindex()]); print(os.getuid())"
    done = run(*EXEC_MODEL, sys.executable, "-c", script)
    assert done.stdout.splitlines() == ["['lo', 'scan0']", "0"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("network:\n", "network:\n  lose: 1\n"), r"$.network"),
        (lambda text: text.replace("seed: 73", "seed: many"), r"$.seed: 'many'"),
    ],
)
def test_a_wrong_population_is_reported_in_one_line(tmp_path: Path, change: Callable[[str], str], said: str) -> None:
    text = (Path(__file__).parents[4] / "liveness/lab/model/populations/paper.yaml").read_text()
    path = tmp_path / "wrong.yaml"
    path.write_text(change(text))
    done = run(*EXEC, "--internet", path, "--", "true")
    assert done.returncode == 2
    assert said in done.stderr
    assert str(path) in done.stderr
    assert len(done.stderr.splitlines()) == 1
