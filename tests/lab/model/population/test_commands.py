"""The commands about a population: what they print, as text and as one document."""

import json
from pathlib import Path

from liveness.lab.model.population.published import PUBLISHED
from liveness.space.prefixes import read_prefixes
from tests.cli.support import Run, liveness
from tests.lab.model.population.support import SMALL


def lab(*arguments: str | Path) -> Run:
    """Run a command of the lab with compiled kernels: describing takes 2**24 addresses."""
    return liveness("lab", *arguments, env={"NUMBA_DISABLE_JIT": "0"})


def test_describe_prints_every_published_share_next_to_the_model() -> None:
    run = lab("describe", "paper")
    assert run.code == 0, run.err
    assert all(name in run.out for name in PUBLISHED)
    document = json.loads(lab("describe", "--internet", "paper", "--json").out)
    assert [share["share"] for share in document["shares"]] == list(PUBLISHED)
    assert document["seed"] == 73
    far = [share["share"] for share in document["shares"] if abs(share["sample_difference"]) >= 0.01]
    assert far == ["IPall, millions", "active /24s, millions", "tcp/7547 inflation"]


def test_describe_takes_a_file_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL)
    document = json.loads(lab("describe", path, "--json").out)
    assert document["population"] == "small"
    path.write_text(SMALL.replace("seed: 5", "seed: five"))
    run = lab("describe", path)
    assert run.code == 2
    assert run.err.count("\n") == 1
    assert "$.seed: 'five'" in run.err


def test_predict_forecasts_a_census_without_a_packet(tmp_path: Path) -> None:
    path = tmp_path / "census.yaml"
    path.write_text("name: plan\ncontact: a@b.example\ntargets: {allow: [46.0.0.0/16]}\nrate: 1kpps\n")
    document = json.loads(lab("predict", path, "--json").out)
    assert document["targets"] == document["sampled"] == 65536
    assert document["exact"] is True
    assert document["packets"] == 65536 * 9 * 2
    assert document["set_bytes"] == sum(entry["bytes"] for entry in document["sets"])
    assert document["replies"] == sum(entry["replies"] for entry in document["probes"].values())
    text = lab("predict", path).out
    assert f"{document['probes']['icmp']['replies']:,.0f}" in text
    assert "worst second" in text
    assert lab("predict", tmp_path / "none.yaml").code == 2


def test_a_sample_is_a_target_list(tmp_path: Path) -> None:
    run = lab("sample", "--prefixes", "300", "--seed", "4")
    assert run.out.count("\n") == 300
    path = tmp_path / "sample.txt"
    path.write_text(run.out)
    assert read_prefixes(str(path)).count == 300 * 256
    assert lab("sample", "--prefixes", "300", "--seed", "4").out == run.out
    assert lab("sample", "--prefixes", "300", "--seed", "5").out != run.out
