"""Surveys of the model Internet as a user takes them, in a lab whose days take minutes, judged by `lab check`."""

import json
from pathlib import Path
from typing import Any

import pytest

from liveness.space.addresses import format_address
from tests.census.support import EXEC, LIVENESS, run, write_yaml
from tests.lab.model.change.support import POPULATION, blocks, changing

pytestmark = pytest.mark.lab

NINE = ["icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp", "tcp/control"]
TIMEOUT_S = 280
BLOCKS = 3
ROUNDS = 14


def files(folder: Path, probes: list[str], rounds: int = ROUNDS) -> tuple[Path, Path]:
    """Write a population and the config of a survey; return where. The second /24 has an outage."""
    names = [f"{format_address(int(number) << 8)}/24" for number in blocks(changing("{}"), 60)[:BLOCKS]]
    population = folder / "population.yaml"
    population.write_text(
        f"{POPULATION}time:\n"
        "  starts: 2026-12-07T10:00:00Z\n"
        "  speed: 600\n"
        "  behaviours: [{name: homes, kind: sessions, slot: 40m, up: 0.7}]\n"
        f"  events: [{{kind: outage, prefix: {names[1]}, at: 1h, length: 1h}}]\n"
        "  late: {hosts: 0.1, replies: 0.5, up_to: 40m}\n"
    )
    (folder / "blocks.csv").write_text("block,policy,weight\n" + "".join(f"{name},given,1\n" for name in names))
    survey = {"blocks": "blocks.csv", "interval": "1100ms", "duration": f"{1100 * rounds}ms", "tolerance": "50ms"}
    config = {
        "name": "survey",
        "seed": 7,
        "survey": survey,
        "probes": probes,
        "contact": "tests of liveness, no real network",
        "output": str(folder / "out"),
    }
    return population, write_yaml(folder / "survey.yaml", config)


def judged(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the run directory below a folder and what `lab check` says of it."""
    (path,) = (folder / "out/survey").iterdir()
    done = run(*LIVENESS, "lab", "check", "--json", path)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert done.returncode == 0, {probe: found["examples"] for probe, found in document["probes"].items()} or document
    return path, document


def test_every_round_of_nine_probes_is_as_the_model_answered(tmp_path: Path) -> None:
    population, config = files(tmp_path, NINE)
    done = run(*EXEC, "--internet", population, "--", *LIVENESS, "survey", "run", "-q", "-C", config, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    path, document = judged(tmp_path)
    assert document["lossless"]
    assert list(document["probes"]) == NINE
    pairs = BLOCKS * 256 * ROUNDS
    for probe, found in document["probes"].items():
        assert found["sent"] > 0.3 * pairs, probe  # what a busy machine leaves out is recorded, and not judged
        assert found["other_figures"] == 0, probe
    manifest = json.loads((path / "manifest.json").read_text())
    counts = manifest["probes"]
    assert counts["icmp"]["positive"] > 1000
    assert counts["icmp"]["late"] > 10
    assert counts["tcp/22"]["negative"] > 1000
    assert counts["tcp/80"]["positive"] > 1000
    assert counts["dns"]["positive"] > 1000
    text = run(*LIVENESS, "lab", "check", path)
    assert f"icmp: {counts['icmp']['sent']:,} pairs of address and round: each as it was delivered" in text.stdout


def test_a_survey_that_is_killed_and_resumed_says_of_no_round_what_is_not_so(tmp_path: Path) -> None:
    population, config = files(tmp_path, ["icmp", "tcp/80"], rounds=40)
    command = " ".join((*LIVENESS, "survey", "run", "-q"))
    path = f"{tmp_path}/out/survey/*"
    # The first line of the record of rounds is written when a round is over.
    begin = f"setsid {command} -C {config} & until [ -s {path}/rounds.jsonl ]; do sleep 0.1; done; sleep 2; "
    killed = run(*EXEC, "--internet", population, "--", "sh", "-c", f"{begin} kill -9 -$!", timeout=TIMEOUT_S)
    assert killed.returncode == 0, killed.stderr
    resume = f"{command} --resume {path}"  # in another lab, whose model has to go on with the clock of the first
    done = run(*EXEC, "--internet", population, "--", "sh", "-c", resume, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    _, document = judged(tmp_path)
    assert document["rounds"] == 40
    for found in document["probes"].values():
        assert 0 < found["sent"] < BLOCKS * 256 * 40


def test_a_survey_is_not_judged_without_its_model(tmp_path: Path) -> None:
    population, config = files(tmp_path, ["icmp"])
    done = run(*EXEC, "--internet", population, "--", *LIVENESS, "survey", "run", "-q", "-C", config, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    path, _ = judged(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(population.read_text().replace("seed: 5", "seed: 6"))
    done = run(*LIVENESS, "lab", "check", "--internet", other, path)
    assert done.returncode == 1
    assert "replies of the lab against its own model" in done.stdout
    (path / "lab/population.yaml").unlink()
    done = run(*LIVENESS, "lab", "check", path)
    assert done.returncode == 2
    assert "a survey, but not of the model Internet: name its population with --internet" in done.stderr
