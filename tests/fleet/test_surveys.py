"""A survey in a fleet: split and fetched as one run, from several places, interrupted, killed, cancelled, redacted."""

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from liveness.errors import RefusedError, UsageError
from liveness.fleet.vantages import load_fleet
from liveness.fleet.work import Work, check_work
from liveness.planes.manifest import load_manifest
from liveness.planes.rundir import SurveyRun
from liveness.space.addresses import parse_entry
from liveness.space.prefixes import parse_lines
from liveness.survey.config_files import load_survey_config
from tests.fleet.fake_survey import answers
from tests.fleet.support import Place, check_alone, cleaned, kill_left, probed_after_an_opt_out

FAKE: Final = [sys.executable, "-m", "tests.fleet.fake_survey"]
ROUNDS: Final = 6
BLOCKS: Final = ("9.9.0.0", "9.9.1.0", "9.9.7.0", "9.10.0.0")
BLOCKED: Final = "9.9.1.0/28"
DURING: Final = "9.9.7.128/25"
SURVEY: Final[dict[str, Any]] = {
    "name": "wide",
    "seed": 5,
    "survey": {"blocks": "blocks.csv", "interval": "1m", "duration": f"{ROUNDS}m"},
    "targets": {"block": ["blocklist.txt"]},
    "contact": "https://example.org/survey",
}


def place_of(folder: Path, points: list[dict[str, Any]] | None = None, **changes: Any) -> Place:  # noqa: ANN401 - fields
    """Return a fleet that takes a survey."""
    if points is None:
        points = [{"name": f"v{at}", "directory": str(folder / f"v{at}"), "command": FAKE} for at in (0, 1)]
    document: dict[str, Any] = {"config": "survey.yaml", "vantages": points}
    place = Place(folder)
    place.file.write_text(yaml.safe_dump(yaml.safe_load(place.file.read_text()) | document | changes))
    (folder / "blocklist.txt").write_text(f"{BLOCKED}\n")
    lines = [f"{first}/24,given,1\n" for first in BLOCKS]
    (folder / "blocks.csv").write_text("block,policy,weight\n" + "".join(lines))
    (folder / "survey.yaml").write_text(yaml.safe_dump(SURVEY))
    return place


def bits(path: Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what was sent and what was positive, (addresses, rounds)."""
    run = SurveyRun.open(path)
    with run.matrix() as matrix:
        planes = matrix.planes("icmp", 0, len(run.blocks))
    rounds = run.manifest.rounds
    unpacked = [np.unpackbits(rows, axis=1, bitorder="little")[:, :rounds] for rows in (planes.sent, planes.positive)]
    return unpacked[0].astype(np.bool_), unpacked[1].astype(np.bool_)


def expected(addresses: NDArray[np.uint32], *blocked: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what a survey of one machine sends and finds."""
    bounds = [parse_entry(entry) for entry in (BLOCKED, *blocked)]
    sent = np.array([[not any(low <= one <= high for low, high in bounds)] * ROUNDS for one in addresses.tolist()])
    up = np.array([[answers(one, number) for number in range(ROUNDS)] for one in addresses.tolist()])
    return sent, sent & up


def check_whole(path: Path, *blocked: str) -> None:
    """Check that a run has all /24s, and every bit of the truth."""
    run = SurveyRun.open(path)
    assert (run.manifest.status, run.manifest.rounds) == ("complete", ROUNDS)
    assert [run.blocks.name(at) for at in range(len(run.blocks))] == [f"{first}/24" for first in BLOCKS]
    for found, wanted in zip(bits(path), expected(run.blocks.addresses, *blocked), strict=True):
        assert np.array_equal(found, wanted)
    counts = run.manifest.probes["icmp"]
    assert counts.sent == bits(path)[0].sum()
    assert counts.sent + counts.not_sent + counts.withdrawn == ROUNDS * 256 * len(BLOCKS)


def test_a_split_survey_is_fetched_as_one_run(tmp_path: Path) -> None:
    with cleaned(place_of(tmp_path)) as place:
        done = place.fleet("run", "--run-id", "r1")
        assert (done.returncode, done.stdout) == (0, "wide/r1\n"), done.stderr
        fetched = place.fleet("fetch", "r1", "-o", "got")
        assert (fetched.returncode, fetched.stdout) == (0, "got/merged\n"), fetched.stderr
        check_whole(tmp_path / "got" / "merged")
        manifest = load_manifest(tmp_path / "got" / "merged")
        assert [origin.vantage for origin in manifest.merged_from] == ["v0", "v1"]
        assert not list((tmp_path / "store").rglob("key")), "the key stays on its machine"
        again = place.fleet("run", "--run-id", "r1")
        assert (again.returncode, len(place.lines("begin"))) == (0, 2), "nothing is left to do"


def test_replicas_survey_everything_each_at_its_time(tmp_path: Path) -> None:
    points = [
        {"name": f"v{at}", "directory": str(tmp_path / f"v{at}"), "command": FAKE, "offset": f"{at}s", "region": "NL"}
        for at in (0, 1)
    ]
    with cleaned(place_of(tmp_path, mode="replicate", points=points)) as place:
        done = place.fleet("run", "--run-id", "r1")
        assert done.returncode == 0, done.stderr
        fetched = place.fleet("fetch", "-o", "got")
        assert (fetched.returncode, fetched.stdout) == (0, "got/v0\ngot/v1\n"), fetched.stderr
        starts = []
        for name in ("v0", "v1"):
            check_whole(tmp_path / "got" / name)
            manifest = load_manifest(tmp_path / "got" / name)
            assert manifest.vantage is not None
            assert (manifest.vantage.name, manifest.vantage.region) == (name, "NL")
            starts.append(manifest.start_ns)
        assert starts[1] - starts[0] == 1_000_000_000


def test_a_survey_that_was_killed_is_resumed_by_the_same_command(tmp_path: Path) -> None:
    with cleaned(place_of(tmp_path)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held()
        kill_left(place)
        first.ended()
        place.release()
        done = place.fleet("run")
        assert (done.returncode, done.stdout) == (0, "wide/r1\n"), done.stderr
        assert place.fleet("fetch", "-o", "got").returncode == 0
        check_whole(tmp_path / "got" / "merged")
        check_alone(place)


def test_a_cancelled_survey_is_stored_as_far_as_it_is(tmp_path: Path) -> None:
    with cleaned(place_of(tmp_path)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held()
        assert place.fleet("cancel", "r1").returncode == 0
        code, out, err = first.ended()
        assert (code, out) == (5, "wide/r1\n"), err
        fetched = place.fleet("fetch", "r1", "-o", "got", "--partial")
        assert (fetched.returncode, fetched.stdout) == (5, "got/merged\n"), fetched.stderr
        manifest = load_manifest(tmp_path / "got" / "merged")
        assert (manifest.status, manifest.rounds) == ("partial", 3)
        assert not list((tmp_path / "store").rglob("rounds")), "nothing resumes a stored run"


def test_what_opts_out_during_a_survey_and_after_it_is_nowhere(tmp_path: Path) -> None:
    with cleaned(place_of(tmp_path)) as place:
        lines = probed_after_an_opt_out(place, DURING)
        low, high = parse_entry(DURING)
        after = [parse_lines(line["targets"]) for line in lines]
        assert not any(targets.contains([low, high]).any() for targets in after)
        (tmp_path / "more.txt").write_text("9.10.0.0/26\n9.9.0.3\n")
        done = place.fleet("blocklist", "-b", "more.txt")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("opted-out data removed from the stored run") == 2
        assert place.fleet("fetch", "r1", "-o", "got").returncode == 0
        check_whole(tmp_path / "got" / "merged", DURING, "9.10.0.0/26", "9.9.0.3")
        first = {entry.first: entry.round for entry in load_manifest(tmp_path / "got" / "merged").withdrawn}
        assert first == {"9.9.0.3": 0, "9.9.1.0": 0, "9.9.7.128": 0, "9.10.0.0": 0}
        assert place.fleet("blocklist").stderr == "wide: nothing new to publish\n"


def test_the_part_of_a_lost_vantage_point_is_missing_because_its_rounds_have_passed(tmp_path: Path) -> None:
    with cleaned(place_of(tmp_path)) as place:
        assert place.fleet("drain", "v1", "--lost").returncode == 0
        done = place.fleet("run", "--run-id", "r1")
        assert done.returncode == 5
        assert "its run is missing, nobody replaces it" in done.stderr
        fetched = place.fleet("fetch", "-o", "got", "--partial")
        assert (fetched.returncode, fetched.stdout) == (5, "got/merged\n"), fetched.stderr
        assert load_manifest(tmp_path / "got" / "merged").status == "partial"
        assert [job["state"] for job in place.status()["jobs"]] == ["complete", "missing"]


def work(folder: Path, **changes: Any) -> Work:  # noqa: ANN401 - fields
    place = place_of(folder, **changes)
    fleet = load_fleet(place.file)
    return Work.of_survey(fleet, load_survey_config(Path(fleet.config)), lab=False)


def test_what_no_survey_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lost_after: the rounds of a survey that have passed"):
        check_work(work(tmp_path, lost_after="10m"))
    with pytest.raises(UsageError, match=r"v0 has a rate: that of a survey follows from its interval"):
        check_work(work(tmp_path, points=[{"name": "v0", "rate": "1kpps"}]))
    with pytest.raises(UsageError, match="shard 4 has no address to probe: there are 4 /24s in all"):
        work(tmp_path, points=[{"name": f"v{at}"} for at in range(5)])


def test_the_load_of_all_places_counts(tmp_path: Path) -> None:
    check_work(work(tmp_path, max_pps_per_24=5))
    with pytest.raises(RefusedError, match="from 2 vantage points together one /24 may get 9 packets"):
        check_work(work(tmp_path, max_pps_per_24=5, mode="replicate"))


def test_another_list_of_24s_is_another_run(tmp_path: Path) -> None:
    one = work(tmp_path)
    (tmp_path / "blocks.csv").write_text("block,policy,weight\n9.9.0.0/24,given,2\n9.9.1.0/24,given,1\n")
    fleet = load_fleet(tmp_path / "vantages.yaml")
    other = Work.of_survey(fleet, load_survey_config(Path(fleet.config)), lab=False)
    assert one.digest != other.digest
