"""A fleet of real scans in the lab: merged, they are the census of one machine."""

from pathlib import Path

import pytest
import yaml

from liveness.runs.manifest import Clock, Vantage
from liveness.runs.rundir import RunDirectory
from tests.census.shared_census import CONFIG, LAB
from tests.census.support import LIVENESS, ROOT, clean_environment, run, write_yaml

pytestmark = pytest.mark.lab

TIMEOUT_S = 280


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
