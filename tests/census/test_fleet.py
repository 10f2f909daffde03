"""Fleets of real scans and surveys in the lab: merged, they are what one machine would have found."""

import sys
from pathlib import Path

import pytest
import yaml

from liveness.planes.rundir import SurveyRun
from liveness.runs.manifest import Clock, Vantage
from liveness.runs.rundir import RunDirectory
from tests.census.shared_census import CONFIG, LAB
from tests.census.support import LIVENESS, ROOT, clean_environment, run, write_yaml
from tests.survey import test_survey_run

pytestmark = pytest.mark.lab

TIMEOUT_S = 280
WARM_UP = """
import sys
from pathlib import Path
from liveness.planes.live import LivePlanes
from liveness.probes.template import LinkAddresses
from liveness.scan.session import _warm_up, constants_of
from liveness.survey import beliefs, sender
from liveness.survey.config_files import load_survey_config
from liveness.survey.plane_sink import PlaneSinks
from liveness.survey.schedule import plan_survey

config = load_survey_config(Path(sys.argv[1]))
survey = plan_survey(config, lab=True, origin=sys.argv[1])
live = LivePlanes.create(Path(sys.argv[2]), len(survey.blocks), len(survey.probes), survey.depth)
plan = survey.plan(None, bytes(16), (PlaneSinks(survey.order, live),))
_warm_up(plan, constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (0,)))
sender.warm_up()
beliefs.warm_up()
"""
"""Compiles the kernels of a survey, so that two machines do not compile them while their first rounds pass."""


def test_real_scans_of_a_fleet_find_what_is_there(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    lab = tmp_path / "lab.yaml"
    lab.write_text(LAB)
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    write_yaml(tmp_path / "census.yaml", CONFIG | {"secret": "secret"})
    points = [{"name": name, "directory": str(tmp_path / name), "region": "NL", "asn": 64500} for name in ("v0", "v1")]
    fleet = {"config": "census.yaml", "mode": "split", "lead": "20s", "store": {"url": "store"}, "vantages": points}
    (tmp_path / "vantages.yaml").write_text(yaml.safe_dump(fleet))
    words = [*map(str, LIVENESS), "fleet", "run", "-C", str(tmp_path / "vantages.yaml"), "--run-id", "r1"]
    environment = clean_environment(PYTHONPATH=str(ROOT))
    lab_words = (*LIVENESS, "lab", "exec", "--plain", "--internet", lab, "--")
    done = run(*lab_words, *words, cwd=tmp_path, env=environment, timeout=TIMEOUT_S)
    logs = "\n".join(path.read_text() for path in tmp_path.glob("v*/shared/r1/*/runner.log"))
    assert (done.returncode, done.stdout) == (0, "shared/r1\n"), done.stderr + logs
    fetched = run(*LIVENESS, "fleet", "fetch", "-C", tmp_path / "vantages.yaml", "-o", tmp_path / "got", cwd=tmp_path)
    assert fetched.returncode == 0, fetched.stderr
    merged = tmp_path / "got" / "merged"
    manifest = RunDirectory(merged).read_manifest()
    assert (manifest.status, manifest.targets) == ("complete", 128 + 64 + 32)
    vantage = RunDirectory(tmp_path / "got" / "shards" / "1").read_manifest().vantage
    assert isinstance(vantage, Vantage)
    assert (vantage.name, vantage.region, vantage.asn) == ("v1", "NL", 64500)
    assert isinstance(vantage.clock, Clock)
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", lab, merged)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def test_real_surveys_of_a_fleet_find_what_is_there(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    (tmp_path / "lab.yaml").write_text(test_survey_run.LAB)
    (tmp_path / "blocks.csv").write_text(test_survey_run.BLOCKS)
    rounds = {"blocks": "blocks.csv", "interval": "4s", "duration": "20s", "tolerance": "400ms"}
    write_yaml(tmp_path / "survey.yaml", {"name": "small", "seed": 3, "probes": ["icmp", "tcp/80"], "survey": rounds})
    (tmp_path / "warm").mkdir()
    warm = run(sys.executable, "-c", WARM_UP, tmp_path / "survey.yaml", tmp_path / "warm", cwd=ROOT, timeout=TIMEOUT_S)
    assert warm.returncode == 0, warm.stderr
    points = [{"name": name, "directory": str(tmp_path / name), "asn": 64500} for name in ("v0", "v1")]
    fleet = {"config": "survey.yaml", "mode": "split", "lead": "60s", "store": {"url": "store"}, "vantages": points}
    (tmp_path / "vantages.yaml").write_text(yaml.safe_dump(fleet))
    words = [*map(str, LIVENESS), "fleet", "run", "-C", str(tmp_path / "vantages.yaml"), "--run-id", "r1"]
    environment = clean_environment(PYTHONPATH=str(ROOT))
    lab_words = (*LIVENESS, "lab", "exec", "--plain", "--internet", tmp_path / "lab.yaml", "--")
    done = run(*lab_words, *words, cwd=tmp_path, env=environment, timeout=TIMEOUT_S)
    logs = "\n".join(path.read_text() for path in tmp_path.glob("v*/small/r1/*/runner.log"))
    assert (done.returncode, done.stdout) == (0, "small/r1\n"), done.stderr + logs
    got = tmp_path / "out" / "got"
    fetched = run(*LIVENESS, "fleet", "fetch", "-C", tmp_path / "vantages.yaml", "-o", got, cwd=tmp_path)
    assert fetched.returncode == 0, fetched.stderr
    result = test_survey_run.Result(got / "merged", tmp_path / "none")
    manifest = result.run.manifest
    assert (manifest.status, manifest.rounds, manifest.blocks) == ("complete", 5, 2)
    assert [origin.vantage for origin in manifest.merged_from] == ["v0", "v1"]
    test_survey_run.check_truth(result)
    assert all(counts.positive > 0 for counts in manifest.probes.values())
    parts = [SurveyRun.open(got / "shards" / str(at)) for at in (0, 1)]
    assert [part.manifest.blocks for part in parts] == [1, 1]
    assert [part.manifest.vantage.asn for part in parts if part.manifest.vantage is not None] == [64500, 64500]
