"""A fleet within one process: begun, killed, begun again, drained, cancelled, fetched."""

import os
import signal
from datetime import datetime
from pathlib import Path

from liveness.runs.manifest import Shard, Vantage
from liveness.runs.rundir import RunDirectory
from tests.fleet.fake_scan import HELD
from tests.fleet.support import Place, check_alone, cleaned, found, kill_left, truth, wait_for


def test_a_split_census_is_fetched_as_one_run(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        done = place.fleet("run", "--run-id", "r1")
        assert (done.returncode, done.stdout) == (0, "wide/r1\n"), done.stderr
        fetched = place.fleet("fetch", "r1", "-o", "got")
        assert (fetched.returncode, fetched.stdout) == (0, "got/merged\n"), fetched.stderr
        assert found(tmp_path / "got" / "merged") == truth()
        manifest = RunDirectory(tmp_path / "got" / "merged").read_manifest()
        assert (manifest.status, manifest.targets) == ("complete", 240)
        assert isinstance(manifest.merged_from, list)
        assert [origin.vantage for origin in manifest.merged_from] == ["v0", "v1"]
        states = [(job["job"], job["state"], job["owners"]) for job in place.status()["jobs"]]
        assert states == [("v0/0-of-2", "complete", 1), ("v1/1-of-2", "complete", 1)]
        again = place.fleet("run", "--run-id", "r1")
        assert (again.returncode, len(place.lines("begin"))) == (0, 2), "nothing is left to do"
        assert not list((tmp_path / "store").rglob("key")), "the key stays on its machine"


def test_replicas_are_fetched_one_by_one_and_each_begins_at_its_time(tmp_path: Path) -> None:
    place = Place(tmp_path, mode="replicate")
    document = place.file.read_text().replace("name: v1", "name: v1\n  offset: 2s")
    place.file.write_text(document.replace("lead: 0s", "lead: 5s"))
    with cleaned(place):
        done = place.fleet("run", "--run-id", "r1")
        assert done.returncode == 0, done.stderr
        fetched = place.fleet("fetch", "-o", "got")
        assert (fetched.returncode, fetched.stdout) == (0, "got/v0\ngot/v1\n"), fetched.stderr
        starts = []
        for number in (0, 1):
            path = tmp_path / "got" / f"v{number}"
            assert found(path) == truth()
            manifest = RunDirectory(path).read_manifest()
            assert isinstance(manifest.vantage, Vantage)
            assert manifest.vantage.name == f"v{number}"
            assert isinstance(manifest.shard, Shard)
            assert (manifest.shard.index, manifest.shard.of) == (0, 1)
            assert manifest.shard.start_at is not None
            agreed_s = datetime.fromisoformat(manifest.shard.start_at).timestamp() + 2 * number
            starts.append(agreed_s)
            began_s = min(line["time_s"] for line in place.lines("first") if line["scan"] == f"r1/v{number}/0")
            assert began_s >= agreed_s - 0.01  # a busy machine may begin later
        assert starts[1] - starts[0] == 2


def test_a_killed_command_is_continued_by_the_same_command(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held()
        first.process.kill()
        first.ended()
        place.release()
        done = place.fleet("run")
        assert (done.returncode, done.stdout) == (0, "wide/r1\n"), done.stderr
        assert place.fleet("fetch", "-o", "got").returncode == 0
        assert found(tmp_path / "got" / "merged") == truth()
        check_alone(place)
        assert [line["done"] for line in place.lines("begin")] == [0, 0], "scans go on without the command"


def test_an_interrupted_command_stops_its_scans_and_the_next_resumes_them(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held()
        os.killpg(first.process.pid, signal.SIGINT)
        code, _, err = first.ended()
        place.release()
        assert code == 130, err
        assert "the same command continues this run" in err
        assert {job["state"] for job in place.status()["jobs"]} == {"stopped"}
        done = place.fleet("run")
        assert done.returncode == 0, done.stderr
        assert place.fleet("fetch", "-o", "got").returncode == 0
        assert found(tmp_path / "got" / "merged") == truth()
        check_alone(place)


def test_an_interrupted_command_stops_scans_that_a_killed_one_has_begun(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path, vantages=1)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held(1)
        first.process.kill()
        first.ended()
        second = place.begin("--run-id", "r1")
        wait_for(lambda: "placed on v0" in second.files[1].read_text(), "a second command that waits for the scan")
        os.killpg(second.process.pid, signal.SIGINT)
        code, _, err = second.ended()
        assert code == 130, err
        assert "scans are stopped" in err
        assert len(place.lines("end")) == 1
        assert [job["state"] for job in place.status()["jobs"]] == ["stopped"]


def test_a_cancelled_run_is_stored_as_far_as_it_is(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held()
        assert place.fleet("cancel", "r1").returncode == 0
        code, out, err = first.ended()
        place.release()
        assert (code, out) == (5, "wide/r1\n"), err
        refused = place.fleet("fetch", "r1", "-o", "got")
        assert refused.returncode == 2
        assert "cancelled: v0/0-of-2, v1/1-of-2" in refused.stderr
        fetched = place.fleet("fetch", "r1", "-o", "got", "--partial")
        assert (fetched.returncode, fetched.stdout) == (5, "got/merged\n"), fetched.stderr
        partial = found(tmp_path / "got" / "merged")
        assert partial < truth()
        new = place.fleet("run", "--run-id", "r2")
        assert (new.returncode, new.stdout) == (0, "wide/r2\n"), new.stderr


def test_a_cancelled_run_whose_scan_was_killed_is_stored_with_its_replies(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path, vantages=1)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held(1)
        kill_left(place)
        first.ended()
        assert place.fleet("cancel", "r1").returncode == 0
        code, out, err = place.begin("--run-id", "r1", FLEET_OPENING_S="4").ended()
        assert (code, out) == (5, "wide/r1\n"), err
        assert place.fleet("fetch", "r1", "-o", "got", "--partial").returncode == 5
        got = tmp_path / "got" / "merged"
        assert RunDirectory(got).read_manifest().status == "partial"
        assert len(found(got)) > 0


def test_a_drained_vantage_point_begins_nothing_and_a_lost_one_is_replaced(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        assert place.fleet("drain", "v1").returncode == 0
        first = place.fleet("run", "--run-id", "r1")
        assert first.returncode == 5
        assert "v1/1-of-2 stopped" in first.stderr
        assert "v1 is drained" in first.stderr
        assert place.fleet("drain", "v1", "--lost").returncode == 0
        second = place.fleet("run")
        assert (second.returncode, second.stdout) == (0, "wide/r1\n"), second.stderr
        assert "v1 is lost" in second.stderr
        assert "moved to v0" in second.stderr
        assert place.fleet("fetch", "-o", "got").returncode == 0
        assert found(tmp_path / "got" / "merged") == truth()
        manifest = RunDirectory(tmp_path / "got" / "merged").read_manifest()
        assert isinstance(manifest.merged_from, list)
        assert [origin.vantage for origin in manifest.merged_from] == ["v0", "v0"]
        assert place.status()["jobs"][1]["moved_from"] == "v1"


def test_a_lost_vantage_point_is_missing_among_replicas(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path, mode="replicate")) as place:
        assert place.fleet("drain", "v1", "--lost").returncode == 0
        done = place.fleet("run", "--run-id", "r1")
        assert done.returncode == 5
        assert "v1 is lost" in done.stderr
        assert "nobody replaces it" in done.stderr
        assert {line["scan"] for line in place.lines("begin")} == {"r1/v0/0"}
        fetched = place.fleet("fetch", "-o", "got", "--partial")
        assert (fetched.returncode, fetched.stdout) == (5, "got/v0\n")
        assert "missing: v1/0-of-1" in fetched.stderr
        assert [job["state"] for job in place.status()["jobs"]] == ["complete", "missing"]


def test_a_vantage_point_that_is_drained_now_stops_and_goes_on_later(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held()
        assert place.fleet("drain", "v1", "--now").returncode == 0
        wait_for(lambda: len(place.lines("end")) == 1, "the end of the scan that is drained")
        place.release()
        code, _, err = first.ended()
        assert code == 5, err
        assert "v1/1-of-2: stopped: v1 was drained" in err
        assert [line["scan"] for line in place.lines("end")] == ["r1/v1/1", "r1/v0/0"], "the other one goes on"
        states = {job["job"]: job["state"] for job in place.status()["jobs"]}
        assert states == {"v0/0-of-2": "complete", "v1/1-of-2": "stopped"}
        assert place.status()["drained"] == ["v1"]
        assert place.fleet("run").returncode == 5, "it is drained still"
        assert place.fleet("drain", "v1", "--undo").returncode == 0
        done = place.fleet("run")
        assert (done.returncode, done.stdout) == (0, "wide/r1\n"), done.stderr
        assert place.fleet("fetch", "-o", "got").returncode == 0
        assert found(tmp_path / "got" / "merged") == truth()
        check_alone(place)
        assert [line["done"] for line in place.lines("begin")] == [0, 0, HELD], "it is resumed"
