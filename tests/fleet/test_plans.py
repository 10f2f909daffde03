"""Plans that the store has: only one that belongs where it is, and asks for no more than this command, is believed."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from obstore.store import MemoryStore

from liveness.errors import LivenessError
from liveness.fleet import layout
from liveness.fleet.plan import Plan, PlannedJob
from liveness.fleet.plans import find_or_make_plan, find_plan
from liveness.fleet.store import Store
from tests.fleet.test_vantages import work_of


def planned(vantage: str, job: str = "", shard: int = 0) -> PlannedJob:
    return PlannedJob(job=job or f"{vantage}/{shard}-of-1", vantage=vantage, shard=shard, shards=1, offset="0s")


def put(store: Store, plan: Plan, **changes: Any) -> None:  # noqa: ANN401 - fields
    store.put_document("wide/r1/plan.json", msgspec.structs.replace(plan, **changes))


def test_a_plan_is_found_again(tmp_path: Path) -> None:
    work, store = work_of(tmp_path, {}), Store(MemoryStore(), "memory")
    plan, new = find_or_make_plan(work, store, "r1")
    assert new
    assert plan.run == "r1"
    found = store.document("wide/r1/plan.json", Plan)
    assert find_or_make_plan(work, store, None) == (found, False)
    assert find_or_make_plan(work, store, "r1") == (found, False)
    assert find_plan(store, "wide", None) == found


@pytest.mark.parametrize(
    "changes",
    [
        {"census": "other"},
        {"run": "r2"},
        {"run": "../../r1"},
        {"jobs": []},
        {"jobs": [planned("/etc/cron.d")]},
        {"jobs": [planned("..")]},
        {"jobs": [planned("ams1", shard=1)]},
        {"jobs": [planned("ams1", job="../r0/ams1/0-of-1")]},
        {"jobs": [planned("ams1"), planned("ams1")]},
    ],
)
def test_a_plan_that_leads_elsewhere_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    work, store = work_of(tmp_path, {}), Store(MemoryStore(), "memory")
    plan, _ = find_or_make_plan(work, store, "r1")
    put(store, plan, **changes)
    for run in ("r1", None):
        with pytest.raises(LivenessError, match=r"^memory: wide/r1/plan\.json: a damaged plan: "):
            find_plan(store, "wide", run)
        with pytest.raises(LivenessError, match=r"^memory: wide/r1/plan\.json: a damaged plan: "):
            find_or_make_plan(work, store, run)


@pytest.mark.parametrize(
    "changes", [{"mode": "split"}, {"jobs": [planned("ams1")]}, {"start_at": "2027-01-01T00:00:00Z"}]
)
def test_a_plan_of_other_jobs_than_the_vantage_file_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    work, store = work_of(tmp_path, {}), Store(MemoryStore(), "memory")
    plan, _ = find_or_make_plan(work, store, "r1")
    put(store, plan, **changes)
    with pytest.raises(LivenessError, match="a damaged plan: its jobs are not those of this vantage file"):
        find_or_make_plan(work, store, "r1")


def test_targets_of_the_store_that_the_config_does_not_allow_are_refused(tmp_path: Path) -> None:
    work, store = work_of(tmp_path, {}), Store(MemoryStore(), "memory")
    plan, _ = find_or_make_plan(work, store, "r1")
    name = layout.of_run("wide", "r1", layout.TARGETS)
    store.put(name, b"9.9.0.0/24\n9.9.16.0/31\n")
    with pytest.raises(LivenessError, match=r"targets\.txt: not the targets of the plan: its SHA-256 differs"):
        find_or_make_plan(work, store, "r1")
    put(store, plan, targets_sha256=hashlib.sha256(b"9.9.0.0/24\n9.9.16.0/31\n").hexdigest())
    with pytest.raises(LivenessError, match=r"targets\.txt: 2 addresses that the config does not allow, .*9\.9\.16\.0"):
        find_or_make_plan(work, store, "r1")
    put(store, plan, targets_sha256=hashlib.sha256(b"9.9.0.0/24\n").hexdigest())
    store.put(name, b"9.9.0.0/24\n")
    found, new = find_or_make_plan(work, store, "r1")
    assert (found.run, new) == ("r1", False), "fewer targets are allowed: they have opted out"
