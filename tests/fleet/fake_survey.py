"""``python -m tests.fleet.fake_survey survey run ...``: a survey that sends nothing, with what a fleet sees of it.

It has the options, files, lock, exit codes and signals of `liveness survey run`. Who answers in which round follows
from a hash. A line for each round goes to the trace. Its rounds do not wait for the clock.
"""

import argparse
import hashlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from liveness.clock import utc
from liveness.config.load import read_entries
from liveness.planes.live import ROUNDS_FOLDER
from liveness.planes.manifest import ProbeRounds, Scanner, SurveyManifest, load_manifest, write_manifest
from liveness.planes.matrix import Planes, write_phases, write_planes
from liveness.planes.withdrawn import withdrawn_runs
from liveness.runs.manifest import Vantage
from liveness.runs.rundir import RunDirectory
from liveness.survey.conclusion import Record, running
from liveness.survey.config_files import load_survey_config
from liveness.survey.recorded import recorded, resumable, write_blocks
from liveness.survey.schedule import Survey, plan_survey
from tests.fleet.fake_scan import HELD_STEPS, HOLD, PAUSE_S, trace

HELD_ROUNDS = HELD_STEPS


def answers(address: int, number: int) -> bool:
    """Return whether a host is up in a round."""
    return hashlib.sha256(address.to_bytes(4, "big") + bytes([number])).digest()[0] < 96


class Session:
    """One session."""

    def __init__(self, run: RunDirectory, survey: Survey, resumed: list[str]) -> None:
        self.run, self.survey, self.resumed = run, survey, resumed
        self.addresses = survey.blocks.addresses
        config = survey.config
        self.label = f"{run.path.name}/{config.vantage}/{config.shard.index}"
        self.rounds = survey.order.rounds
        self.stopped = False

    def work(self) -> int:
        """Do the rounds that are left; return the exit code."""
        signal.signal(signal.SIGINT, self.stop)
        signal.signal(signal.SIGTERM, self.stop)
        state = self.run.path / ROUNDS_FOLDER / "state.json"
        sent: list[list[int]] = json.loads(state.read_text()) if state.exists() else []
        self.write(running(self.survey, self.record()))
        trace(event="begin", scan=self.label, done=len(sent))
        while time.time_ns() < self.survey.order.start_ns and not self.stopped:
            time.sleep(0.02)
        while len(sent) < self.rounds and not self.stopped:
            if len(sent) >= HELD_ROUNDS and HOLD.exists():
                time.sleep(0.02)
                continue
            blocked = read_entries(self.survey.census.targets.blocklists)
            targets = self.survey.targets.intervals.difference(blocked)
            step = self.addresses[targets.contains(self.addresses)].tolist()
            trace(event="probed", scan=self.label, round=len(sent), targets=list(targets.entries()))
            sent.append(step)
            temporary = state.with_suffix(".tmp")
            temporary.write_text(json.dumps(sent))
            temporary.rename(state)
            time.sleep(PAUSE_S)
        trace(event="end", scan=self.label, done=len(sent))
        self.finish(sent)
        return 0 if len(sent) == self.rounds else 130

    def stop(self, *_: object) -> None:
        self.stopped = True

    def record(self) -> Record:
        config = self.survey.config
        vantage = Vantage(name=config.vantage, region=config.place.region)
        return Record(self.run.path.name, None, Scanner(host="here"), vantage=vantage, resumed=self.resumed)

    def write(self, manifest: SurveyManifest) -> None:
        write_manifest(manifest, self.run.path)

    def finish(self, sent: list[list[int]]) -> None:
        """Write planes and manifest."""
        complete = len(sent) == self.rounds
        rounds = max(1, len(sent))
        planes = Planes.empty(len(self.addresses), rounds)
        first = np.zeros(len(self.addresses), np.int64)
        for number, targets in enumerate(sent):
            rows = np.searchsorted(self.addresses, np.array(targets, np.uint32))
            first[rows] = number + 1
            up = rows[[answers(address, number) for address in targets]]
            planes.put("sent", rows, np.full(len(rows), number))
            planes.put("positive", up, np.full(len(up), number))
        write_planes(self.run.path, "icmp", iter([planes]))
        write_phases(self.run.path, self.survey.order.phases_ms())
        counts = {"sent": sum(map(len, sent)), "positive": int(np.unpackbits(planes.positive).sum())}
        withdrawn = int((rounds - first).sum()) if sent else len(self.addresses)
        not_sent = len(self.addresses) * rounds - counts["sent"] - withdrawn
        changes: dict[str, Any] = {
            "status": "complete" if complete else "partial",
            "reason": None if complete else "interrupted",
            "rounds": rounds,
            "finished": utc(time.time_ns()),
            "probes": {"icmp": ProbeRounds(**counts, withdrawn=withdrawn, not_sent=not_sent)},
            "withdrawn": withdrawn_runs(self.addresses, first, rounds),
        }
        self.write(msgspec.structs.replace(running(self.survey, self.record()), **changes))
        if complete:
            with self.run.files() as files:
                files.remove_tree(ROUNDS_FOLDER)
            self.run.remove_traces()


def main() -> int:
    if OPTIONS.metrics_file:
        Path(OPTIONS.metrics_file).touch()
    if OPTIONS.resume:
        path = Path(OPTIONS.resume)
        run, manifest = resumable(path)
        run.lock()
        survey = recorded(run, manifest).starting(manifest.start_ns)
        return Session(run, survey, [*load_manifest(path).resumed, utc(time.time_ns())]).work()
    config = load_survey_config(Path(OPTIONS.config))
    survey = plan_survey(config, lab=False, origin=OPTIONS.config)
    survey = survey.starting(config.start_ns or 0)
    run = RunDirectory.create(Path(config.output), config.name, OPTIONS.run_id)
    run.lock()
    (run.path / ROUNDS_FOLDER).mkdir()
    run.write_targets(survey.targets.intervals.entries())
    run.write_key(bytes(16))
    write_blocks(run, survey)
    return Session(run, survey, []).work()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs=2, choices=("survey", "run"))
    parser.add_argument("-q", action="store_true")
    for name in ("--metrics-file", "--config", "--run-id", "--resume"):
        parser.add_argument(name)
    OPTIONS = parser.parse_args()
    sys.exit(main())
