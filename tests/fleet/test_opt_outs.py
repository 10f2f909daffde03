"""Opt-outs reach every scan at work, every run before it is stored, and every stored run."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from obstore.store import MemoryStore
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.fleet import opt_outs
from liveness.fleet.download import download
from liveness.fleet.job import Outcome
from liveness.fleet.plan import Plan
from liveness.fleet.plans import find_or_make_plan
from liveness.fleet.store import Store, StoreError
from liveness.fleet.upload import Upload
from liveness.fleet.vantages import StorePlace
from liveness.optouts.redaction import redact_run
from liveness.space.addresses import parse_entry
from tests.fleet.support import Place, cleaned, found, probed_after_an_opt_out, truth
from tests.fleet.test_vantages import work_of
from tests.populations import town

DURING = "9.9.0.128/25"
LATER = "9.9.0.64/26"


def inside(entry: str, addresses: list[int]) -> list[int]:
    low, high = parse_entry(entry)
    return [address for address in addresses if low <= address <= high]


def stored_addresses(folder: Path) -> BitMap:
    """Return every address in any set of the store."""
    sets = [BitMap.deserialize(path.read_bytes()) for path in (folder / "store").rglob("*.roaring")]
    return BitMap().union(*sets)


def test_what_opts_out_during_a_run_and_after_it_is_nowhere(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        after = [address for line in probed_after_an_opt_out(place, DURING) for address in line["targets"]]
        assert inside(DURING, after) == []
        assert stored_addresses(tmp_path) == truth(DURING)

        (tmp_path / "more.txt").write_text(f"{LATER}\n")
        done = place.fleet("blocklist", "-b", "more.txt")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("opted-out data removed from the stored run") == 2
        assert stored_addresses(tmp_path) == truth(DURING, LATER)
        store = Store.open(StorePlace(url=f"file://{tmp_path}/store"))
        assert places(store, "wide/r1/v0/0-of-2") == {"0001.1"}, "the copy with the opted-out data is removed"
        again = place.fleet("blocklist")
        assert (again.returncode, again.stderr) == (0, "wide: nothing new to publish\n")

        fetched = place.fleet("fetch", "r1", "-o", "got")
        assert fetched.returncode == 0, fetched.stderr
        assert found(tmp_path / "got" / "merged") == truth(DURING, LATER)


def test_a_scan_that_begins_after_an_opt_out_has_the_order_of_the_others(tmp_path: Path) -> None:
    """One vantage point takes its part before the opt-out and one after it: the runs belong together."""
    with cleaned(Place(tmp_path)) as place:
        assert place.fleet("drain", "v1").returncode == 0
        assert place.fleet("run", "--run-id", "r1").returncode == 5
        assert place.fleet("drain", "v1", "--undo").returncode == 0
        with (tmp_path / "blocklist.txt").open("a") as file:
            file.write(f"{DURING}\n")
        before = len(place.lines("probed"))
        done = place.fleet("run")
        assert (done.returncode, done.stdout) == (0, "wide/r1\n"), done.stderr
        after = [address for line in place.lines("probed")[before:] for address in line["targets"]]
        assert after
        assert inside(DURING, after) == []
        assert stored_addresses(tmp_path) == truth(DURING)
        assert place.fleet("fetch", "-o", "got").returncode == 0
        assert found(tmp_path / "got" / "merged") == truth(DURING)


class Dying(Store):
    """A store to which the connection ends at an operation of a kind whose name ends so."""

    fault: ClassVar[tuple[str, str]] = ("", "")

    def put(self, name: str, content: bytes) -> None:
        self.meet("put", name)
        super().put(name, content)

    def remove(self, name: str) -> None:
        self.meet("remove", name)
        super().remove(name)

    def meet(self, kind: str, name: str) -> None:
        if self.fault[0] == kind and name.endswith(self.fault[1]):
            raise StoreError("gone")


def stored(folder: Path, store: Store) -> tuple[Plan, str]:
    """Store a run of one vantage point; return the plan, and the prefix of the job."""
    plan, _ = find_or_make_plan(work_of(folder, {"vantages.1": None}), store, "r1")
    job = f"wide/r1/{plan.jobs[0].job}"
    digest = Upload(store, f"{job}/0001").store(town().write(folder / "runs"))
    result = Outcome(job=plan.jobs[0].job, vantage="ams1", state="complete", place="0001", manifest_sha256=digest)
    store.put_document(f"{job}/result.json", result)
    return plan, job


def places(store: Store, job: str) -> set[str]:
    """Return below which prefixes runs of a job are stored."""
    return {name.split("/")[4] for name in store.names(job) if name.endswith("manifest.json")}


def somebody() -> str:
    """Return an address of the stored run."""
    return str(IPv4Address(next(iter(town().sets().values()))[0]))


@pytest.mark.parametrize("fault", [("put", "result.json"), ("remove", "manifest.json")])
def test_a_redaction_that_was_cut_short_is_ended_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: tuple[str, str]
) -> None:
    store = Dying(MemoryStore(), "memory")
    plan, job = stored(tmp_path, store)
    opt_outs.publish(store, "wide", f"{somebody()}\n".encode())
    monkeypatch.setattr(Dying, "fault", fault)
    (problem,) = opt_outs.apply_to_stored(store, plan, lambda _: None)
    assert isinstance(problem, StoreError)
    assert places(store, job) == {"0001", "0001.1"}
    monkeypatch.setattr(Dying, "fault", ("", ""))
    opt_outs.apply_to_stored(store, plan, lambda _: None)
    result = store.document(f"{job}/result.json", Outcome)
    assert result is not None
    assert places(store, job) == {result.place} == {"0001.1"}
    download(store, job, result, tmp_path / "got")


def test_what_earlier_owners_stored_is_removed_also_if_the_result_has_no_opt_outs_to_apply(tmp_path: Path) -> None:
    store = Store(MemoryStore(), "memory")
    plan, job = stored(tmp_path, store)
    opt_outs.apply_to_stored(store, plan, lambda _: None)
    store.put(f"{job}/0000/manifest.json", b"{}")
    opt_outs.apply_to_stored(store, plan, lambda _: None)
    assert places(store, job) == {"0001"}


def test_two_commands_that_redact_at_the_same_moment_leave_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(MemoryStore(), "memory")
    plan, job = stored(tmp_path, store)
    opt_outs.publish(store, "wide", f"{somebody()}\n".encode())
    together = threading.Barrier(2)

    def slow(*arguments: Any) -> Any:  # noqa: ANN401 - as redact_run has them
        with suppress(threading.BrokenBarrierError):
            together.wait(2)
        return redact_run(*arguments)

    monkeypatch.setattr("liveness.fleet.opt_outs.redact_run", slow)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(opt_outs.apply_to_stored, store, plan, lambda _: None) for _ in range(2)]:
            done.result()
    result = store.document(f"{job}/result.json", Outcome)
    assert result is not None
    assert places(store, job) == {result.place} == {"0001.1"}
    download(store, job, result, tmp_path / "got")


def test_a_damaged_list_is_written_again_from_those_that_were_published() -> None:
    store, warnings = Store(MemoryStore(), "memory"), list[str]()
    for text in (b"192.0.2.0/25\n", b"198.51.100.7\n"):
        assert opt_outs.publish(store, "wide", text)
    store.put("wide/opt-outs.txt", b"192.0.2.0/25\n198.51.1")
    assert opt_outs.publish(store, "wide", b"203.0.113.0/24\n", warnings.append)
    assert opt_outs.published(store, "wide") == b"192.0.2.0/25\n198.51.100.7\n203.0.113.0/24\n"
    (warning,) = warnings
    assert warning.startswith("memory: wide/opt-outs.txt:2: ")
    assert warning.endswith("it is written again from the lists that were published one by one")
    (part, *_) = store.names("wide/opt-outs")
    store.put(part, b"no address")
    with pytest.raises(LivenessError, match=part.rpartition("/")[2]):
        opt_outs.publish(store, "wide", b"203.0.113.0/24\n")


@pytest.mark.parametrize("damaged", ["result.json", "0001/files.json", "0001/manifest.json"])
def test_a_damaged_run_keeps_nothing_from_being_removed_from_the_other_runs_of_its_plan(
    tmp_path: Path, damaged: str
) -> None:
    store = Store(MemoryStore(), "memory")
    plan, job = stored(tmp_path, store)
    before = msgspec.structs.replace(plan.jobs[0], job="ams0/0-of-1")
    other = f"wide/r1/{before.job}"
    for name in store.names(job):
        store.put(name.replace(job, other), store.get(name) or b"")
    (store.remove if damaged.startswith("0") else lambda name: store.put(name, b"{"))(f"{other}/{damaged}")
    opt_outs.publish(store, "wide", f"{somebody()}\n".encode())
    both = msgspec.structs.replace(plan, jobs=[before, *plan.jobs])
    (problem,) = opt_outs.apply_to_stored(store, both, lambda _: None)
    assert other in str(problem)
    assert places(store, job) == {"0001.1"}


def test_a_store_that_is_gone_is_not_asked_for_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Dying(MemoryStore(), "memory")
    plan, _ = stored(tmp_path, store)
    opt_outs.publish(store, "wide", f"{somebody()}\n".encode())
    answers = [opt_outs.published(store, "wide")]

    def published(*_: object) -> bytes:
        if not answers:
            raise StoreError("gone")
        return answers.pop()

    monkeypatch.setattr("liveness.fleet.opt_outs.published", published)
    with pytest.raises(StoreError):
        opt_outs.apply_to_stored(store, plan, lambda _: None)


@pytest.mark.parametrize("damage", [b"{", b'{"census": "other"}'])
def test_a_damaged_plan_keeps_nothing_from_being_removed_from_other_runs(tmp_path: Path, damage: bytes) -> None:
    store = Store(MemoryStore(), "memory")
    _, job = stored(tmp_path, store)
    store.put("wide/r0/plan.json", damage)
    opt_outs.publish(store, "wide", f"{somebody()}\n".encode())
    (problem,) = opt_outs.apply_to_all(store, "wide", lambda _: None)
    assert "wide/r0/plan.json" in str(problem)
    assert places(store, job) == {"0001.1"}


def test_a_plan_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """Somebody who writes to the store names a job of another census in a plan of this one."""
    store = Store(MemoryStore(), "memory")
    plan, job = stored(tmp_path, store)
    moved = msgspec.structs.replace(plan.jobs[0], job=f"../../{job}")
    store.put_document("wide/r0/plan.json", msgspec.structs.replace(plan, run="r0", jobs=[moved]))
    (problem,) = opt_outs.apply_to_all(store, "wide", lambda _: None)
    assert "wide/r0/plan.json: a damaged plan: job" in str(problem)
