"""A passive run of a network that a census or a survey has measured: grey space, known services, our own probes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyroaring import BitMap

from liveness.errors import LivenessError, UsageError
from liveness.passive.config import load_config
from liveness.passive.measured import measured
from liveness.passive.run import PassiveRun
from liveness.planes.blocks import Blocks
from liveness.planes.manifest import ProbeRounds, Scanner, SurveyManifest, Times, write_manifest
from liveness.planes.matrix import Planes, write_phases, write_planes
from liveness.planes.rundir import create_run
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from tests.passive.drawn import EPOCH_S, SECOND
from tests.passive.judge import SYN, TCP, Record
from tests.passive.test_command import liveness
from tests.passive.test_judge import run_of

SOURCE = "203.0.113.77"
ALIVE, SERVER, QUIET, ELSEWHERE = "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.1.0.5"
REMOTE = "80.0.0.9"
CLOSED, OPEN = 81, 80


def census(folder: Path) -> Path:
    """Write a census: two addresses of the network replied, one of them with an open port, and one elsewhere."""
    run = RunDirectory.create(folder, "census", "run")
    replies: list[tuple[ReplyKey, Role, list[str]]] = [
        (ReplyKey("tcp/80", Kind.SYN_ACK), Role.SOURCE, [SERVER, ELSEWHERE]),
        (ReplyKey("tcp/81", Kind.RST), Role.SOURCE, [SERVER]),
        (ReplyKey("icmp", Kind.ECHO_REPLY), Role.SOURCE, [ALIVE]),
        (ReplyKey("icmp", Kind.ERROR, 3, 1), Role.TARGET, [QUIET]),
    ]
    entries = [
        run.write_set(SetKey(key, role), BitMap([parse_address(text) for text in addresses]))
        for key, role, addresses in replies
    ]
    run.write_manifest(
        Manifest(
            name="census", run_id="run", status="complete", seed=1, config={},
            started="2026-11-01T00:00:00Z", targets=9,
            probes={name: ProbeCounts(sent=[9]) for name in ("tcp/80", "tcp/81", "icmp")}, sets=entries,
            source_addresses=[SOURCE],
        )
    )  # fmt: skip
    return run.path


def survey(path: Path) -> Path:
    """Write a survey of the network's first /24: the server answered on port 80 in one of three rounds."""
    blocks = Blocks.of(np.array([parse_address(SERVER) >> 8], np.int64))
    create_run(path, blocks)
    for probe, addresses in (("tcp/80", [SERVER]), ("icmp", [ALIVE])):
        planes = Planes.empty(256, 3)
        planes.sent[:] = 7
        index = np.array([parse_address(text) & 255 for text in addresses])
        planes.put("positive", index, np.array([1] * len(index)))
        planes.put("negative", np.array([parse_address(QUIET) & 255]), np.array([2]))
        write_planes(path, probe, iter([planes]))
    write_phases(path, np.zeros(256, np.uint32))
    rounds = ProbeRounds(sent=768, positive=1, negative=1)
    write_manifest(
        SurveyManifest(
            name="survey", run_id="run", status="complete", interval_s=660.0,
            survey=Times(start="2026-11-01T00:00:00Z"), start_ns=EPOCH_S * SECOND, rounds=3, blocks=1,
            probes={"tcp/80": rounds, "icmp": rounds},
            scanner=Scanner(source_addresses=[SOURCE]),
        ),
        path,
    )  # fmt: skip
    return path


def syn(dst: str, dport: int, src: str = REMOTE) -> Record:
    at = EPOCH_S * SECOND
    return Record(at, at, src, dst, 50_000, dport, TCP, 1, 40, SYN)


TRAFFIC = [syn(ALIVE, CLOSED), syn(SERVER, CLOSED), syn(SERVER, OPEN), syn(QUIET, OPEN), syn(SERVER, OPEN, SOURCE)]


def classes(document: dict[str, Any]) -> dict[str, int]:
    return {name: sums["flows"] for name, sums in document["totals"]["classes"].items() if sums["flows"]}


@pytest.mark.parametrize("make", [census, survey])
def test_what_replied_is_not_grey_and_what_is_open_is_a_service(make: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (tmp_path / "a").mkdir()
    alone = run_of(tmp_path / "a", TRAFFIC)
    assert alone["totals"]["signs"]["GreyIP"] == 5
    assert classes(alone) == {"MalScan": 5}
    (tmp_path / "b").mkdir()
    run = make(tmp_path / "measured")
    known = run_of(tmp_path / "b", TRAFFIC, censuses=[str(run)])
    assert known["records"]["own_probes"] == 1
    assert known["totals"]["signs"]["GreyIP"] == 1  # to the address of which there was an error or a reset only
    assert known["totals"]["signs"]["Unreach"] == 1
    assert classes(known) == {"MalScan": 1, "OtherMal": 2, "SrvUnreach": 1}
    assert [service["service"] for service in known["services"]] == [f"{SERVER}/tcp/{OPEN}"]
    path = tmp_path / "b/out/campus/run/sets/passive.grey.source.roaring"
    assert BitMap.deserialize(path.read_bytes()) == BitMap([parse_address(QUIET)])


def test_a_resumed_run_knows_what_was_measured(tmp_path: Path) -> None:
    run = census(tmp_path / "measured")
    (tmp_path / "b").mkdir()
    whole = run_of(tmp_path / "b", TRAFFIC, censuses=[str(run)])
    other = PassiveRun.create(load_config(tmp_path / "b/config.yaml"), "other", forced=True, note=lambda _line: None)
    other.release()
    resumed = PassiveRun.resume(other.path, forced=False, note=lambda _line: None)
    resumed.go([], follow=False)
    document = json.loads((other.path / "passive.json").read_text())
    assert document | {"run": ""} == whole | {"run": ""}


def test_what_is_no_census_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("start,src,dst,protocol,packets\n1,10.0.0.1,80.0.0.1,6,1\n")
    config = tmp_path / "c.yaml"
    for censuses, says in (
        (["nowhere"], f"{tmp_path}/nowhere: no such directory: give a run directory"),
        (["f.csv"], f"{tmp_path}/f.csv: not a directory: give a run directory"),
        (["a\0b"], f"{config}:1: $.censuses[0]: 'a\\x00b': expected the directory of a run, such as sets/campus/"),
    ):
        config.write_text(
            json.dumps({"name": "c", "local": ["10.0.0.0/16"], "inputs": ["f.csv"], "censuses": censuses})
        )
        refused = liveness("passive", "run", "--config", config, "-o", tmp_path / "out", code=2)
        assert refused.stderr.startswith(f"liveness: error: {says}")
        assert refused.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()
    path = survey(tmp_path / "survey")
    document = json.loads((path / "manifest.json").read_text())
    document["scanner"]["source_addresses"] = ["10.0.0.0/8"]
    (path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(LivenessError, match=r"source_addresses\[0\]: '10.0.0.0/8': expected an IPv4 address"):
        measured([str(path)], Intervals.everything())
    run = RunDirectory.create(tmp_path, "census", "empty")
    manifest = Manifest(
        name="c", run_id="empty", status="running", seed=1, config={}, started="", targets=1, probes={}, sets=[]
    )
    run.write_manifest(manifest)
    with pytest.raises(UsageError, match="nothing replied in this census: leave it out of censuses"):
        measured([str(run.path)], Intervals.everything())
