"""Passive runs and surveys, opened from Python."""

import json
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

import liveness
from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.planes.blocks import Blocks
from tests.analysis.survey.test_sequences import PROBE, drawn, write_survey
from tests.cli.support import liveness as command
from tests.passive.test_command import answered
from tests.passive.test_judge import run_of


def test_a_passive_run(tmp_path: Path) -> None:
    document = run_of(tmp_path, answered(5))
    run = liveness.open_passive(tmp_path / "out/campus/run")
    assert (run.status, run.keys) == ("complete", ("two-way",))
    assert run.document() == document
    assert run.set("two-way") == BitMap([10 << 24 | 1])
    with pytest.raises(liveness.UsageError, match="set 'grey': this run has two-way"):
        run.set("grey")


def test_a_set_outside_of_its_run_is_not_read(tmp_path: Path) -> None:
    run_of(tmp_path, answered(5))
    path = tmp_path / "out/campus/run"
    manifest = json.loads((path / "manifest.json").read_text())
    (tmp_path / "elsewhere").write_bytes((path / manifest["sets"][0]["file"]).read_bytes())
    manifest["sets"][0]["file"] = "../../../elsewhere"
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(liveness.LivenessError, match="cannot read this set"):
        liveness.open_passive(path).set("two-way")


def test_a_survey(tmp_path: Path) -> None:
    blocks = Blocks.of(np.array([0x0A0000, 0xC00002], np.uint32))
    run = write_survey(tmp_path / "run", drawn(3, len(blocks), 50), blocks)
    survey = liveness.open_survey(str(tmp_path / "run"))
    assert survey.probes == (PROBE,)
    assert survey.document() == json.loads(encode(analyze_survey(run)))
    assert survey.document() == json.loads(command("survey", "analyze", survey.path, "--json").out)


def test_no_run_of_the_kind(tmp_path: Path) -> None:
    for call in (liveness.open_passive, liveness.open_survey):
        with pytest.raises(liveness.LivenessError, match=str(tmp_path)):
            call(tmp_path)
