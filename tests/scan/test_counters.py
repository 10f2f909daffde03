"""Counters are declared once: a new one appears in memory, progress, status, metrics, checkpoint and manifest."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import fields

import liveness
from liveness.runs.checkpoint import Totals
from liveness.runs.counter_views import interval_columns, shown
from liveness.runs.counters import declared
from liveness.runs.course import Timeline
from liveness.runs.manifest import Manifest

PRINTED = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
HICCUPS = PRINTED.partition("# liveness/runs/counters.py, in Counts\n")[2].partition("```")[0]
"""The worked example."""
DECLARATION = f"""
    oddities: Annotated[
        Ints, Counter(help="Packets of an odd length.", unit="packets", per="receiver", by=("probe",), each_probe=True)
    ]
{HICCUPS}"""
BEFORE = "    first_replies: Annotated["

CODE = """
import json, sys
import msgspec
from pathlib import Path
from liveness.config.model import from_document
from liveness.runs.checkpoint import Totals
from liveness.runs.counter_views import unrecorded
from liveness.runs.manifest import Manifest
from liveness.scan.plan import Plan
from liveness.scan.progress import observe
from liveness.scan.record import recorded_counters
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.watch.metrics import metrics_text
from liveness.watch.reading import Meter
from liveness.watch.status import status_of

document = {"name": "n", "senders": 2, "control": False, "targets": {"allow": ["10.0.0.0/30"]}}
document["probes"] = ["icmp", "dns"]
targets = Targets.build(Intervals.from_bounds([0x0A000000], [0x0A000003]), Intervals.empty(), lab=True)
plan = Plan(from_document(document), targets, None, bytes(16))
shared = Shared(plan)
shared.hiccups[:] = 3, 4
shared.oddities[0] = 5, 6
reading = Meter().read(observe(plan, shared, 1.0, sending=True))
totals = Totals(errors=[0, 0], counters=dict(unrecorded(shared)))
totals = totals.followed_by(Totals(errors=[0, 0])).followed_by(totals)
totals = msgspec.json.decode(msgspec.json.encode(totals), type=Totals)
manifest = Manifest(
    name="n", run_id="r", status="running", seed=1, config={}, started="2026-01-01T00:00:00Z",
    targets=4, probes={}, sets=[],
    counters=recorded_counters(plan, totals),
)
status = msgspec.json.decode(msgspec.json.encode(status_of("n/r", reading, "sending")))
print(json.dumps({
    "status": [status["hiccups"], status["probes"]["dns"]["oddities"]],
    "metrics": metrics_text("n", "r", reading, "running"),
    "manifest": msgspec.json.decode(msgspec.json.encode(manifest))["counters"],
    "shapes": [shared.hiccups.shape, shared.oddities.shape],
}))
"""


def test_a_new_counter_is_one_declaration(tmp_path: Path) -> None:
    package = tmp_path / "liveness"
    shutil.copytree(Path(liveness.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    source = package / "runs" / "counters.py"
    text = source.read_text()
    assert text.count(BEFORE) == 1
    source.write_text(text.replace(BEFORE, f"{DECLARATION.strip(chr(10))}\n{BEFORE}"))
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == [7, 6]
    assert found["shapes"] == [[2], [1, 2]]
    assert "# HELP liveness_hiccups_total Batches that came late." in found["metrics"]
    assert 'liveness_hiccups_total{census="n"} 7' in found["metrics"]
    assert 'liveness_oddities_total{census="n",probe="icmp"} 5' in found["metrics"]
    # counted in two sessions of the run
    assert found["manifest"] == {"hiccups": 14, "oddities": {"icmp": 10, "dns": 12}}


def test_columns_and_fields_that_counters_name_are_there() -> None:
    columns = {field.name for field in fields(Timeline)}
    assert set(interval_columns()) == columns - {"end_s"}
    names = {field.name for field in fields(Manifest)}
    assert {counter.recorded for counter in declared().values()} <= names
    assert all(counter.help.endswith(".") for counter in declared().values())


def test_counters_of_today_add_nothing_to_documents() -> None:
    assert all(counter.recorded for counter in declared().values())
    assert Totals().counters is Totals().followed_by(Totals()).counters
    assert not Totals().counters


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("sent", "liveness_probes_sent_total"),
        ("kernel_drops", "liveness_drops_total"),
        ("given_up_s", "liveness_given_up_seconds_total"),
        ("replies", None),
    ],
)
def test_metrics_keep_their_names(name: str, metric: str | None) -> None:
    assert shown()[name].metric == metric
