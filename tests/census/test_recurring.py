"""A census that recurs in a lab: killed, gone on with, taken again, and never twice at once."""

import json
from pathlib import Path

import pytest

from tests.census.support import LIVENESS, Census, run
from tests.census.test_resume import TARGETS, prepare

pytestmark = pytest.mark.lab


def test_a_killed_census_is_resumed_and_then_repeated(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    internet, config, _ = prepare(tmp_path, cooldown="2s")  # the DNS server of a busy lab may wait for its core
    home, calls = tmp_path / "killed", tmp_path / "calls.sh"
    held = "-all,+net_raw,+net_admin"  # what the installed service has
    alone = ("setpriv", f"--bounding-set={held}", f"--inh-caps={held}", "--no-new-privs")
    take = " ".join([*alone, *LIVENESS, "census", "run", "-C", str(config)])
    calls.write_text(
        f"{take} & while [ ! -f {home}/*/segments/0-000004.segment ]; do sleep 0.1; done\n"
        "kill -STOP $!\n"  # it must not come to its end while the second call starts
        f"{take} -q; echo second $? >&2; kill -9 $!; wait\n"
        f"sed -i s/150pps/300pps/ {config}\n"
        f"{take}; echo again $? >&2; {take} --unfinished; {take}; echo next $? >&2\n"
    )
    done = run(*LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--", "sh", calls, timeout=200)
    assert done.returncode == 0, done.stderr
    refused, *codes = [line for line in done.stderr.splitlines() if not line.startswith("Killed")]
    assert refused.startswith(f"liveness: error: {home}: this census is running already (process ")
    assert codes == ["second 4", "again 0", "next 0"]
    first, nothing, second = done.stdout.splitlines()
    listed = json.loads(run(*LIVENESS, "census", "list", home, "--json").stdout)["runs"]
    assert [entry["status"] for entry in listed] == ["complete", "complete"]
    run_ids = [Path(entry["directory"]).name for entry in listed]
    assert first.startswith(f"census killed/{run_ids[0]}: complete, {TARGETS} targets in ")
    assert " of 2 sessions, " in first
    assert nothing == "census killed: nothing unfinished"
    assert second.startswith(f"census killed/{run_ids[1]}: complete, {TARGETS} targets in ")
    assert f"(+0 -0 since {run_ids[0]}), no losses; report in {home}/reports/{run_ids[1]}" in second
    assert len(Census(home / run_ids[0]).manifest.resumed) == 1
    rates = [Census(home / run_id).manifest.config["rate"] for run_id in run_ids]
    assert rates == ["150pps", "300pps"], "a config that is edited holds from the next run on"
    assert "notify" not in Census(home / run_ids[0]).manifest.config
    for run_id in run_ids:
        checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", internet, home / run_id)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
