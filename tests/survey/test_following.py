"""A survey that follows a census: drawn from its runs, begun by the same call, continued by the next."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from liveness.cli import following, survey_run
from liveness.cli.following import exit_code_of
from liveness.config.load import load_config
from liveness.errors import UsageError
from liveness.planes.blocks import read_blocks
from liveness.planes.live import LivePlanes
from liveness.planes.manifest import SurveyManifest, load_manifest
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.survey.availability import BlockAvailability
from liveness.survey.config_files import to_record
from liveness.survey.following import config_of, last_run
from liveness.survey.schedule import survey_of
from liveness.survey.selection import select
from liveness.system.child import run_in_child
from tests.census.support import EXEC, LIVENESS, run, write_yaml
from tests.survey.test_survey_config import manifest_of

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80, 22], dns: answer, ntp: payload}
  - {name: closed, kind: host, prefixes: [10.2.0.0/25]}
  - {name: dark, kind: silent, prefixes: [10.2.0.128/25, 10.3.0.0/24]}
"""
TIMEOUT_S: Final = 240
TARGETS: Final = Targets.build(Intervals.from_bounds([0x0A010000], [0x0A0100FF]), Intervals.empty(), lab=True)


def census_file(folder: Path, survey: dict[str, object], **changed: object) -> Path:
    """Write the configs of a census of four /24s and of the survey after it."""
    (folder / "lab.yaml").write_text(LAB)
    rounds = {"interval": "2s", "tolerance": "200ms", "count": 2, "mix": "novel=1"} | survey
    after = {"name": "after", "seed": 5, "output": str(folder / "sets"), "survey": rounds}
    write_yaml(folder / "survey.yaml", after)
    census = {
        "name": "weekly",
        "targets": {"allow": ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"]},
        "probes": ["icmp"],
        "control": False,
        "rate": "2kpps",
        "retransmit": {"attempts": 1},
        "cooldown": "1s",
        "output": str(folder / "sets"),
        "then": "survey",
    }
    return write_yaml(folder / "weekly.yaml", census | changed)


def manifest_in(folder: Path) -> SurveyManifest:
    (path,) = (folder / "sets" / "after").glob("*/manifest.json")
    return load_manifest(path.parent)


@pytest.mark.lab
@pytest.mark.slow
def test_a_census_is_followed_by_a_survey_that_the_next_call_continues(tmp_path: Path) -> None:
    config = census_file(tmp_path, {"duration": "40s"})
    words = [*EXEC, "--internet", str(tmp_path / "lab.yaml"), "--"]
    begin = [*LIVENESS, "census", "run", "--config", str(config)]
    done = run(*words, sys.executable, "-c", INTERRUPTER, tmp_path / "sets" / "after", *begin, timeout=TIMEOUT_S)
    assert done.returncode == 130, done.stderr
    assert "census weekly" in done.stdout, "the line of the census"
    interrupted = manifest_in(tmp_path)
    assert (interrupted.status, interrupted.reason) == ("partial", "interrupted by SIGINT")
    (census,) = (tmp_path / "sets" / "weekly").glob("*/manifest.json")
    assert interrupted.run_id == census.parent.name
    assert interrupted.blocks == 2
    drawn = (census.parents[2] / "after" / interrupted.run_id / "blocks.csv").read_text().splitlines()
    assert drawn == ["block,policy,weight", "10.1.0.0/24,novel,1.0", "10.2.0.0/24,novel,1.0"]

    done = run(*words, *begin, "--unfinished", timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    resumed = manifest_in(tmp_path)
    assert (resumed.status, len(resumed.resumed)) == ("complete", 1)
    assert resumed.probes["icmp"].positive > 0
    done = run(*words, *begin, "--unfinished", timeout=TIMEOUT_S)
    assert (done.returncode, len(manifest_in(tmp_path).resumed)) == (0, 1), "nothing is left to do"


INTERRUPTER: Final = """
import pathlib, signal, subprocess, sys, time
home, *command = sys.argv[1:]
process = subprocess.Popen(command)
deadline = time.monotonic() + 120
while not list(pathlib.Path(home).glob("*/rounds.jsonl")) and process.poll() is None and time.monotonic() < deadline:
    time.sleep(0.1)
process.send_signal(signal.SIGINT)
sys.exit(process.wait())
"""


def test_a_survey_that_cannot_follow_is_refused(tmp_path: Path) -> None:
    file = census_file(tmp_path, {"blocks": "blocks.csv"})
    with pytest.raises(UsageError, match=r"survey\.yaml:\d+: \$\.survey\.blocks: 'blocks\.csv': the /24s are"):
        config_of(load_config(file), file)
    file = census_file(tmp_path, {"mix": "novel=2"})
    with pytest.raises(UsageError, match=r"\$\.survey\.mix: 'novel=2': .*add up to 1"):
        config_of(load_config(file), file)
    file = census_file(tmp_path, {}, name="after")
    with pytest.raises(UsageError, match=r"\$\.name: 'after': the census has this name too"):
        config_of(load_config(file), file)
    file = census_file(tmp_path, {}, then="other.yaml")
    with pytest.raises(UsageError, match=r"other\.yaml: cannot read the config: no such file"):
        config_of(load_config(file), file)


def test_without_a_run_there_is_nothing_to_continue(tmp_path: Path) -> None:
    file = census_file(tmp_path, {})
    survey = config_of(load_config(file), file)
    assert last_run(survey) is None
    (tmp_path / "sets" / "after" / "x").mkdir(parents=True)
    (tmp_path / "sets" / "after" / "x" / "manifest.json").write_text("damaged")
    assert last_run(survey) is None


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("state", ["sound", "over", "without its key"])
def test_a_survey_that_cannot_go_on_gives_way_to_that_of_a_new_census(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, *, new: bool
) -> None:
    file = census_file(tmp_path, {"duration": "4h", "interval": "1h"})
    census = load_config(file)
    survey = config_of(census, file)
    folder = tmp_path / "sets" / "after" / "run"
    (folder / "rounds").mkdir(parents=True)
    (folder / "blocks.csv").write_text("block,policy,weight\n10.1.0.0/24,random,1\n")
    start_ns = time.time_ns() - (5 if state == "over" else 1) * 3_600 * 10**9
    manifest_of(folder, config=to_record(survey), start_ns=start_ns, planned_rounds=4, rounds=1, interval_s=3600.0)
    (folder / "targets.txt").write_text("10.1.0.0/24\n")
    LivePlanes.create(folder, 1, 1, survey_of(survey, read_blocks(folder / "blocks.csv"), TARGETS).depth).close()
    if state == "without its key":
        (folder / "key").unlink()
    begun: list[str] = []
    runs = iter([["one"], ["one", "two"] if new else ["one"]])
    monkeypatch.setattr(following, "exit_code_of", lambda _: 0)
    monkeypatch.setattr(following, "complete_runs", lambda _: next(runs))
    monkeypatch.setattr(survey_run, "run_config", lambda *_, **__: begun.append("next"))
    monkeypatch.setattr(survey_run, "run_resumed", lambda *_, **__: begun.append("last"))
    following.run_followed(lambda: None, census, file, (None, None, None), quiet=True, fresh=False)
    assert begun == ["next" if new and state != "sound" else "last"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_census_in_a_child_gets_the_signals_of_its_parent(number: signal.Signals) -> None:
    def ended_by() -> int:
        def work() -> None:
            signal.signal(number, lambda *_: os._exit(42))
            os.kill(os.getppid(), number)
            while True:
                time.sleep(0.01)  # pause() may begin after the signal has come

        return exit_code_of(work)

    assert run_in_child(ended_by) == 42
    assert run_in_child(lambda: exit_code_of(lambda: os._exit(5))) == 5
    assert run_in_child(lambda: exit_code_of(lambda: os.kill(os.getpid(), signal.SIGKILL))) == 128 + signal.SIGKILL


def test_the_service_of_a_census_may_write_the_directory_of_its_survey(tmp_path: Path) -> None:
    file = census_file(tmp_path, {})
    options = ["--config", str(file), "--user", "nobody", "--dir", str(tmp_path), "--yes"]
    done = run(*LIVENESS, "census", "install", *options)
    assert done.returncode == 0, done.stderr
    (written,) = {line for line in done.stdout.splitlines() if line.startswith("ReadWritePaths=")}
    assert written.partition("=")[2].split() == [str(tmp_path / "sets" / name) for name in ("weekly", "after")]
    assert "OnFailure=liveness-weekly-boot.service" in done.stdout
    survey = tmp_path / "survey.yaml"
    whole = survey.read_text()
    survey.write_text(f"{whole}limits: {{max_runtime: 1d}}\n")
    limited = run(*LIVENESS, "census", "install", *options)
    assert limited.returncode == 0, limited.stderr
    assert "OnFailure=" not in limited.stdout, "a survey that reached its limit is not resumed at once"
    survey.write_text(whole)
    done = run(*LIVENESS, "census", "install", "--config", str(file), "--dir", str(tmp_path), "--yes")
    assert done.returncode == 2
    assert "a user that systemd makes up writes only below" in done.stderr


def test_nothing_unfinished_is_no_error(tmp_path: Path) -> None:
    census_file(tmp_path, {"blocks": "blocks.csv"})
    words = ("survey", "run", "--config", str(tmp_path / "survey.yaml"), "--unfinished")
    done = run(*LIVENESS, *words)
    assert (done.returncode, done.stdout) == (0, "survey after: nothing unfinished\n"), done.stderr


def test_the_config_of_a_survey_after_a_census_is_checked_and_resumes_it(tmp_path: Path) -> None:
    census_file(tmp_path, {})
    config = tmp_path / "survey.yaml"
    done = run(*LIVENESS, "config", "check", config, "--elsewhere", "--lab", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["name"], found["blocks"], found["addresses"]) == ("after", 2, 512)
    done = run(*LIVENESS, "survey", "run", "--config", config, "--unfinished")
    assert (done.returncode, done.stdout) == (0, "survey after: nothing unfinished\n"), done.stderr
    done = run(*LIVENESS, "survey", "run", "--config", config, "--resume", tmp_path / "none")
    assert "no run of a survey" in done.stderr
    done = run(*LIVENESS, "survey", "run", "--config", config)
    assert done.returncode == 2
    assert "$.survey.blocks: missing" in done.stderr


def test_a_survey_of_more_24s_than_the_census_has_names_its_config() -> None:
    numbers = np.array([1, 2], np.uint32)
    nothing = BlockAvailability(numbers, np.ones(2), np.ones(2))
    counts = {"random": 0, "spaced": 0, "novel": 3}
    with pytest.raises(UsageError, match=r"novel: 3 blocks of 2 eligible ones: lower survey\.count in s\.yaml"):
        select(numbers, numbers, nothing, counts, None, 1, "survey.count in s.yaml")


def test_a_survey_that_cannot_begin_is_notified(tmp_path: Path) -> None:
    census_file(tmp_path, {"blocks": "missing.csv"})
    config = tmp_path / "survey.yaml"
    note = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    command = {"command": [sys.executable, "-c", note, str(tmp_path / "message")], "on": ["failure"]}
    config.write_text(f"{config.read_text()}notify: {json.dumps(command)}\n")
    done = run(*LIVENESS, "survey", "run", "--config", str(config))
    assert done.returncode == 2, done.stderr
    message = json.loads((tmp_path / "message").read_text())
    assert (message["events"], message["run"], message["exit_code"]) == (["failure"], None, 2)
    assert "missing.csv" in message["summary"]
