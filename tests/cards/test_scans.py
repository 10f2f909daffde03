"""Scans of the model Internet through cards: the sets are the truth, by each transport that the cards allow."""

import sys
from pathlib import Path

import pytest

from liveness.lab.model.check import check_model_run
from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.record import read_summary
from liveness.net.transport import XDP_LIVE, ZERO_COPY
from tests.cards.support import await_cards
from tests.census.support import LIVENESS, ROOT, Census, losses_of, run
from tests.lab.model.responder.test_census import config

TARGETS = 1 << 11
RATE = "300pps"
"""Slow enough for an emulated processor, on which nothing may be lost."""


@pytest.mark.parametrize(
    ("transport", "zero_copy", "name"),
    [("auto", "require", ZERO_COPY), (XDP_LIVE, "auto", XDP_LIVE)],
)
def test_a_scan_finds_the_truth_of_the_model(transport: str, zero_copy: str, name: str, tmp_path: Path) -> None:
    await_cards()
    network = {"source_ports": "61000-65000", "transport": transport, "zero_copy": zero_copy}
    file = config(tmp_path, TARGETS, rate=RATE, network=network, user="root")
    lab = (sys.executable, "-m", "tests.cards.lab", "lab", "exec", "--internet", "paper", "--ideal")
    done = run(*lab, "--", *LIVENESS, "scan", "-q", "-C", file, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    census = Census(Path(done.stdout.strip().splitlines()[-1]))
    assert census.manifest.transmit.transport == name
    comparison = check_model_run(census.path, load_population())
    assert (comparison.targets, comparison.problems, comparison.equal) == (TARGETS, [], True)
    summary = read_summary(census.path)
    assert summary.frames["probe"] == sum(sum(counts.sent) for counts in census.manifest.probes.values())
    assert summary.frames["probe"] == 9 * 2 * TARGETS
    assert summary.malformed == {}
    assert losses_of(census.manifest) == []
