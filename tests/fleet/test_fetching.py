"""Fetching into a directory that has runs already: only the run that is asked for is kept."""

from pathlib import Path

import msgspec
import pytest
from obstore.store import MemoryStore

from liveness.errors import UsageError
from liveness.fleet.fetching import fetch
from liveness.fleet.job import Outcome
from liveness.fleet.plan import Plan
from liveness.fleet.plans import find_or_make_plan
from liveness.fleet.store import Store
from liveness.fleet.upload import Upload
from liveness.runs.manifest import Vantage
from tests.fleet.test_vantages import work_of
from tests.populations import town


def stored(folder: Path, store: Store, run_id: str) -> Plan:
    """Store a run of each vantage point; return the plan."""
    plan, _ = find_or_make_plan(work_of(folder, {}), store, run_id)
    for planned in plan.jobs:
        run = town().write(folder / run_id / planned.vantage)
        config = {"shard": {"index": 0, "of": 1}}
        changes = {"name": "wide", "run_id": run_id, "vantage": Vantage(name=planned.vantage), "config": config}
        run.write_manifest(msgspec.structs.replace(run.read_manifest(), **changes))
        prefix = f"wide/{run_id}/{planned.job}"
        digest = Upload(store, f"{prefix}/0001").store(run)
        result = Outcome(
            job=planned.job, vantage=planned.vantage, state="complete", place="0001", manifest_sha256=digest
        )
        store.put_document(f"{prefix}/result.json", result)
    return plan


def test_a_directory_with_another_run_is_not_taken_for_the_one_asked_for(tmp_path: Path) -> None:
    store = Store(MemoryStore(), "memory")
    plans = [stored(tmp_path, store, run_id) for run_id in ("r1", "r2")]
    output = tmp_path / "got"
    for _ in range(2):
        fetched = fetch(store, plans[0], output, partial=False, note=lambda _: None)
        assert [run.path for run in fetched.runs] == [output / "ams1", output / "fra1"]
    with pytest.raises(UsageError, match=r"got/ams1: another run, wide/r1 of ams1, shard 0 of 1: .* directory with -o"):
        fetch(store, plans[1], output, partial=False, note=lambda _: None)
    (output / "ams1").rename(tmp_path / "kept")
    (output / "fra1").rename(output / "ams1")
    with pytest.raises(UsageError, match="another run, wide/r1 of fra1"):
        fetch(store, plans[0], output, partial=False, note=lambda _: None)
