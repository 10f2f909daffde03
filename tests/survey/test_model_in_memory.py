"""Days of a survey of the model Internet in memory: our sender and receiver, the model's rings, a virtual clock."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from liveness.lab.model.responder.conditions import Conditions
from liveness.lab.model.responder.memory import BlockRing, ModelTxRing, VirtualClock
from liveness.lab.model.responder.probe_log import ProbeLog
from liveness.lab.model.responder.record import Record as LabRecord
from liveness.lab.model.responder.record import summarise
from liveness.lab.model.responder.state import Model, make_model
from liveness.planes.blocks import Blocks
from liveness.planes.live import BOOT, LISTENED_NS, START_NS, LivePlanes
from liveness.planes.manifest import write_manifest
from liveness.planes.rundir import create_run
from liveness.planes.stored import StoredRounds
from liveness.runs.rundir import RunDirectory
from liveness.scan.receive.receiver import Receiver
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.survey.conclusion import Record, conclude
from liveness.survey.judgement import judge_survey
from liveness.survey.plane_sink import PlaneSinks
from liveness.survey.recorder import RoundRecorder, boot_hash
from liveness.survey.schedule import Survey, survey_of
from liveness.survey.sender import Clock, RoundSender
from tests.lab.model.change.support import DAY_NS, STARTS_NS, blocks, changing
from tests.survey.virtual import KEY, LINK, SOURCE, survey_config

INTERVAL_NS = 660_000_000_000
DAYS = 14
TIME = (
    "{behaviours: [{name: a, kind: diurnal, jitter: 1h}, {name: b, kind: sessions, slot: 2h, up: 0.7},"
    " {name: c, kind: pool, lease: 12h}], outages: {share: 0.05, shortest: 1h, longest: 3h},"
    " late: {hosts: 0.2, replies: 0.5, up_to: 50m}}"
)


@dataclass
class ModelSurvey:
    """One survey by the engine of `survey run`, without its processes."""

    path: Path
    survey: Survey
    model: Model
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(STARTS_NS - INTERVAL_NS))

    def __post_init__(self) -> None:
        """Open planes, recorder, sender and receiver."""
        survey, order = self.survey, self.survey.order
        create_run(self.path, survey.blocks)
        (self.path / "segments").mkdir()
        self.live = LivePlanes.create(self.path, len(survey.blocks), len(survey.probes), survey.depth)
        self.live.header[BOOT], self.live.header[START_NS] = boot_hash(), order.start_ns
        plan = replace(survey.plan(None, KEY), sinks=(PlaneSinks(order, self.live, self.clock.now_ns),))
        stored = StoredRounds(self.path, survey.probes, len(survey.blocks), 0)
        self.recorder = RoundRecorder(self.path, order, survey.probes, self.live, stored, lambda _: None)
        constants, shared, replies = constants_of(plan, LINK, (SOURCE,)), Shared(plan), BlockRing()
        self.receiver = Receiver(plan, constants, replies, shared, RunDirectory(self.path))
        self.receiver.open_sinks()
        self.ring = ModelTxRing(self.model, replies, lambda: self.receiver.step(0), 512, self.clock.now_ns)
        self.sender = RoundSender(
            plan, order, constants, self.ring, shared, self.live, 50_000_000, Clock(self.clock.now_ns, self._sleep)
        )
        self.log = ProbeLog(self.path)
        self.walk = self.sender.begin()
        self.number = -1

    def _sleep(self, seconds: float) -> None:
        """Let time pass to the next slot: what lies between is the same."""
        del seconds
        order = self.survey.order
        due_ns = order.due_ns(self.walk.tick) if not self.walk.finished else order.end_ns
        self._pass_to(max(due_ns, self.clock.now_ns() + 1_000_000))

    def _pass_to(self, time_ns: int) -> None:
        self.clock.pass_to(time_ns)
        self.ring.deliver(time_ns)
        self.live.header[LISTENED_NS] = time_ns
        number = self.survey.order.round_at(time_ns)
        if number != self.number:
            self.number = number
            self.log.take(self.model)
            self.recorder.look(time_ns)

    def run(self) -> None:
        """Send all rounds, listen for an interval more, and write everything."""
        order = self.survey.order
        while not self.walk.finished:
            self.sender.step(self.walk)
        for part in range(1, 12):  # of the interval after the last round, and a little more
            self._pass_to(order.end_ns + part * INTERVAL_NS // 10)
        manifest = conclude(self.survey, self.recorder, Record("run", None), complete=True, now_ns=self.clock.now_ns())
        write_manifest(manifest, self.path)
        self.log.take(self.model)
        self.log.write()
        LabRecord().write(self.path, summarise(self.model, lossless=True, overrun=0), "name: x\n")


@pytest.mark.slow
def test_days_of_a_survey_are_what_the_model_answered(tmp_path: Path) -> None:
    population = changing(TIME)
    numbers = blocks(population, 60)[1:2]
    first = numbers << np.uint32(8)
    targets = Targets.build(Intervals.from_bounds(first, first | np.uint32(255)), Intervals.empty(), lab=True)
    config = survey_config(survey={"blocks": "x", "interval": "11m", "duration": f"{DAYS * 24}h"})
    survey = survey_of(config, Blocks.of(numbers), targets).starting(STARTS_NS)
    model = make_model(population.tables, population.seed, Conditions(), population.model.time, STARTS_NS)
    run = ModelSurvey(tmp_path / "run", survey, model)
    run.run()
    judgement = judge_survey(tmp_path / "run", population)
    (rounds,), (found,) = judgement.comparison.probes, judgement.findings
    assert judgement.equal, judgement.lines()
    assert rounds.sent == 256 * survey.order.rounds == 256 * -(-DAYS * DAY_NS // INTERVAL_NS)
    assert (rounds.unrecorded, rounds.other_figures, found.other_figures) == (0, 0, 0)
    assert (found.outages_invented, found.outages_missed) == (0, 0)
    assert found.outages_found > 3
    assert judgement.comparison.timing.within_50_ms == 1
    manifest = judgement.comparison.run.manifest
    assert manifest.probes["icmp"].late > 500
    assert manifest.probes["icmp"].positive > 10_000
