"""Parts of a fleet are killed at work, and started again: the result is the truth, and no shard ran twice at a time."""

import random
import subprocess
import time
from pathlib import Path

from liveness.runs.rundir import RunDirectory
from tests.fleet.cluster import Cluster, cluster
from tests.fleet.support import Command, Place, check_alone, found, kill_left, truth, wait_for

STEPS_BETWEEN = 6
LONGEST_S = 600.0


def survive(fleet: Cluster, victims: list[str], chance: random.Random | None = None) -> None:
    """Kill one victim after another, each when the scans have gone on a little, and take the census to its end.

    With `chance` each is killed at a random moment instead, also before the first step or after the last one.
    """
    place, deadline = fleet.place, time.monotonic() + LONGEST_S
    command = place.begin("--run-id", "r1")
    for victim in victims:
        steps = len(place.lines("probed")) + STEPS_BETWEEN
        if chance is not None:
            steps = len(place.lines("probed")) + chance.randrange(2 * STEPS_BETWEEN)
            time.sleep(chance.uniform(0, 3))
        command = again(fleet, command)
        while len(place.lines("probed")) < steps and not is_done(command):
            command = again(fleet, command)
            assert time.monotonic() < deadline, command.files[1].read_text()
        fleet.kill(victim, command)
        fleet.mend()
    while not is_done(command):
        command = again(fleet, command)
        assert time.monotonic() < deadline, command.files[1].read_text()
    done = place.fleet("fetch", "r1", "-o", "got")
    assert done.returncode == 0, done.stderr
    assert found(place.folder / "got" / "merged") == truth()
    check_alone(place)


def again(fleet: Cluster, command: Command) -> Command:
    """Give the same command again if it has ended without success; wait a moment otherwise."""
    fleet.mend()
    try:
        code = command.process.wait(0.1)
    except subprocess.TimeoutExpired:
        return command
    return command if code == 0 else fleet.place.begin("--run-id", "r1")


def is_done(command: Command) -> bool:
    return command.process.poll() == 0


def test_a_fleet_survives_the_end_of_its_parts(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.variables |= {"FLEET_STEP": "3", "FLEET_PAUSE_S": "0.25"}
    with cluster(place) as fleet:
        survive(fleet, ["scheduler", "store", "runner", "tree"])


def test_a_vantage_point_that_never_returns_is_replaced(tmp_path: Path) -> None:
    """Its scan is killed with its worker, and it is silent for `lost_after`: the other one takes its part."""
    place = Place(tmp_path)
    with cluster(place, lost_after="12s") as fleet:
        place.hold()
        command = place.begin("--run-id", "r1")
        place.wait_held()
        fleet.processes["v1"].kill()
        kill_left(place, f"{place.folder}/v1/")
        place.release()
        wait_for(lambda: command.process.poll() is not None, "the end of the census")
        code, _, err = command.ended()
        assert code == 0, err
        assert "v1 is lost (silent since " in err
        assert "moved to v0: its targets are seen from there" in err
        assert place.fleet("fetch", "r1", "-o", "got").returncode == 0
        assert found(tmp_path / "got" / "merged") == truth()
        manifest = RunDirectory(tmp_path / "got" / "merged").read_manifest()
        assert isinstance(manifest.merged_from, list)
        assert [(origin.vantage, origin.shard) for origin in manifest.merged_from] == [("v0", 0), ("v0", 1)]
