"""Surveys whose targets or whose own link fail while they run, with the far end's kernel answering for 16 /24s."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.planes.rundir import SurveyRun
from tests.census.rig import Rig, Scan, rig
from tests.census.support import write_yaml
from tests.net.support import in_private_network

pytestmark = [pytest.mark.lab, pytest.mark.slow]

BLOCKS = 16
LEARNED_S = 6
APPEND = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'\\n')"


def start(built: Rig, duration: str) -> Scan:
    """Start a survey of all /24s, of rounds of two seconds, that notifies a file."""
    blocks = "".join(f"9.9.{block}.0/24,random,1\n" for block in range(BLOCKS))
    (built.folder / "blocks.csv").write_text(f"block,policy,weight\n{blocks}")
    config = {
        "name": "rig",
        "survey": {"blocks": "blocks.csv", "interval": "2s", "duration": duration, "tolerance": "200ms"},
        "contact": "https://example.org/survey",
        "output": str(built.folder / "sets"),
        "notify": {
            "command": [sys.executable, "-c", APPEND, str(built.folder / "messages")],
            "learn": f"{LEARNED_S}s",
        },
    }
    path = write_yaml(built.folder / "survey.yaml", config)
    return built.start("survey", "run", "--config", str(path), "--run-id", "run")


def messages(built: Rig) -> list[dict[str, Any]]:
    path = built.folder / "messages"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def bits(built: Rig) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the planes sent and positive, (addresses, rounds)."""
    run = SurveyRun.open(built.folder / "sets" / "rig" / "run")
    with run.matrix() as matrix:
        planes = matrix.planes("icmp", 0, BLOCKS)
    sent, positive = (
        np.unpackbits(plane, axis=1, bitorder="little")[:, : run.manifest.rounds]
        for plane in (planes.sent, planes.positive)
    )
    return sent, positive


@in_private_network
def test_an_outage_is_notified_as_it_begins_and_as_it_ends(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        survey = start(built, "10m")
        survey.wait_for(lambda line: line["gauges"].get("survey_blocks_judged") == BLOCKS, "all /24s are judged")
        began_s = time.time()
        built.far_ip("route", "add", "blackhole", "9.9.3.0/24", "table", "local")
        survey.wait_for(lambda line: line["gauges"].get("survey_blocks_down") == 1, "an outage")
        built.far_ip("route", "del", "blackhole", "9.9.3.0/24", "table", "local")
        seen = len(survey.lines())
        survey.wait_for(
            lambda line: line["gauges"].get("survey_blocks_down") == 0 and line in survey.lines()[seen:], "its end"
        )
        survey.process.send_signal(signal.SIGINT)
        assert survey.finish() == 130, survey.output
        outage, recovery, end = messages(built)
        assert (outage["events"], recovery["events"], end["events"]) == (["outage"], ["recovery"], ["failure"])
        ((down,), (back,)) = outage["outages"], recovery["recoveries"]
        assert (down["block"], down["end"], down["ever"], outage["down"]) == ("9.9.3.0/24", None, 256, 1)
        assert (back["block"], back["start"], recovery["down"]) == ("9.9.3.0/24", down["start"], 0)
        assert outage["summary"].startswith(f"survey rig/run: round {outage['round']}: 9.9.3.0/24 went down; 1 down")
        began = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(began_s))
        assert down["start"][:16] >= began
        assert down["end"] is None
        assert back["end"] > back["start"]
        assert end["exit_code"] == 130
        sent, positive = bits(built)
        dark = np.flatnonzero((positive | (1 - sent)).reshape(BLOCKS, 256, -1).sum(axis=(1, 2)) < sent.size // BLOCKS)
        assert dark.tolist() == [3]


@in_private_network
def test_a_link_that_breaks_makes_rounds_not_sent_and_no_outage(tmp_path: Path) -> None:
    """All addresses answer whatever reaches them, so a probe that is counted as sent has its answer."""
    with rig(tmp_path) as built:
        survey = start(built, "50s")
        survey.wait_for(lambda line: line["gauges"].get("survey_blocks_judged") == BLOCKS, "all /24s are judged")
        built.far_ip("link", "set", "ps0", "down")
        survey.wait_for(lambda line: line["state"] == "paused", "a pause")
        time.sleep(5)
        built.far_ip("link", "set", "ps0", "up")
        built.far_ip("route", "replace", "local", "9.9.0.0/16", "dev", "lo")
        assert survey.finish() == 0, survey.output
        sent, positive = bits(built)
        assert np.array_equal(sent, positive)
        manifest = SurveyRun.open(tmp_path / "sets" / "rig" / "run").manifest
        assert [gap.cause for gap in manifest.gaps] == ["interface s0 has no carrier"]
        assert manifest.probes["icmp"].not_sent >= 2 * BLOCKS * 256, "five seconds of them"
        assert max(line["gauges"].get("survey_blocks_down", 0) for line in survey.lines()) == 0
        assert [message["events"] for message in messages(built)] == [["complete"]]
