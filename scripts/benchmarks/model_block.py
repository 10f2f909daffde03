"""One block of a census in one process: the sender's frames meet the model in memory, the receiver its replies."""

import resource
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from pyroaring import BitMap

from liveness.lab.model.check import truth_of
from liveness.lab.model.population.load import Population
from liveness.lab.model.responder.conditions import Conditions
from liveness.lab.model.responder.memory import BlockRing, ModelTxRing
from liveness.lab.model.responder.state import WAITING, make_model
from liveness.net.tx_xdp import SLOTS
from liveness.probes.template import LinkAddresses
from liveness.runs.merge import Gathered, merge
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import Plan
from liveness.scan.receive import receiver as receiving
from liveness.scan.receive.receiver import Receiver
from liveness.scan.send import sender as sending
from liveness.scan.send.sender import Sender
from liveness.scan.shared import Shared
from scripts.benchmarks.plans import BEYOND_REACH, kit_for, one_block, plan_over

LINK: Final = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
TELL_EVERY_S: Final = 10.0
PATIENCE_S: Final = 20.0
"""No reply of a model is later than this."""


@dataclass
class BlockRun:
    """A run over the first `targets` addresses of a /3: the paper's probes and queue, the control, two attempts."""

    population: Population
    conditions: Conditions
    targets: int
    folder: Path
    quiet: bool
    plan: Plan = field(init=False)
    shared: Shared = field(init=False)
    receiver_ns: int = 0
    """Time that the receiver took, its writing apart."""
    _began_s: float = 0.0
    _tell_at_s: float = 0.0

    def __post_init__(self) -> None:
        """Plan it: one sender, one receiver, no pacing and no cooldown."""
        changes = {"cooldown": "0s", "contact": "in memory"}
        self.plan = plan_over(one_block(self.targets), **BEYOND_REACH, **changes)
        self.shared = Shared(self.plan)

    def run(self) -> dict[str, Any]:
        """Run it, or as far as Ctrl-C lets it, and return what it took and found."""
        plan = self.plan
        constants = kit_for(plan, LINK)
        sending.warm_up(plan, constants)
        receiving.warm_up(plan, constants)
        directory = RunDirectory.create(self.folder, "block", "run")
        replies = BlockRing()
        receiver = Receiver(plan, constants, replies, self.shared, directory)
        receiver.open_sinks()
        model = make_model(self.population.tables, self.population.seed, self.conditions)

        def receive() -> None:
            began_ns = time.perf_counter_ns()
            receiver.step(0)
            self.receiver_ns += time.perf_counter_ns() - began_ns
            self._tell()

        a_target = len(plan.probes) * plan.attempts
        slots = SLOTS // a_target * a_target
        ring = ModelTxRing(model, replies, receive, slots)
        ring.warm_up()
        before = signal.signal(signal.SIGINT, self._stop)
        self._began_s = self._tell_at_s = time.monotonic()
        cpu_s = time.process_time()
        try:
            Sender(plan, constants, ring, self.shared, 0).run()
            patience_s = time.monotonic() + PATIENCE_S
            while model.numbers[WAITING] and time.monotonic() < patience_s:
                if not ring.deliver(time.time_ns()):
                    time.sleep(0.001)
            sent_s = time.monotonic() - self._began_s
            self.shared.finish[0] = 1
            receiver.run()
            gathered = merge(directory, directory.segments(), [probe.name for probe in plan.probes], plan.attempts)
        finally:
            signal.signal(signal.SIGINT, before)
        seconds = time.monotonic() - self._began_s
        cpu_s = time.process_time() - cpu_s
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        document = self._document(gathered, ring, seconds, sent_s) | {
            "cpu_seconds": round(cpu_s, 1),
            "peak_mib": round(peak_mib, 1),
            "malformed": int(model.verdicts[3:].sum()),
        }
        document["problems"] = self._problems(directory, gathered, document)
        return document

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's arguments
        self.shared.stop[0] = 1

    def _tell(self) -> None:
        now_s = time.monotonic()
        if self.quiet or now_s < self._tell_at_s + TELL_EVERY_S:
            return
        self._tell_at_s = now_s
        sent = int(self.shared.sent.sum())
        rate = sent / (now_s - self._began_s) / 1e6
        share = sent / (self.plan.target_count * len(self.plan.probes) * self.plan.attempts)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stderr.write(f"{share:6.1%}  {sent:,} probes  {rate:.2f} Mpps  {peak_mib:,} MiB\n")

    def _document(self, gathered: Gathered, ring: ModelTxRing, seconds: float, sent_s: float) -> dict[str, Any]:
        sent = int(self.shared.sent.sum())
        set_bytes = sum((self.folder / "block" / "run" / entry.file).stat().st_size for entry in gathered.sets)
        return {
            "targets": self.plan.target_count,
            "complete": not self.shared.stopping(),
            "probes": sent,
            "replies": gathered.tally.packets,
            "rejected": sum(gathered.tally.rejected.values()),
            "seconds": round(seconds, 1),
            "probes_mpps": round(sent / sent_s / 1e6, 3),
            "sender_ns": round((sent_s * 1e9 - ring.model_ns - self.receiver_ns) / max(1, sent), 1),
            "model_ns": round(ring.model_ns / max(1, sent), 1),
            "receiver_ns": round(self.receiver_ns / max(1, sent), 1),
            "sets": len(gathered.sets),
            "members": sum(entry.cardinality for entry in gathered.sets),
            "set_bytes": set_bytes,
        }

    def _problems(self, directory: RunDirectory, gathered: Gathered, document: dict[str, Any]) -> list[str]:
        """Return what is not as it must be, a line each: of a complete run without loss every set is the truth."""
        problems = [f"{document['malformed']:,} probes are malformed"] if document["malformed"] else []
        if self.shared.stopping() or not self.conditions.lossless:
            return problems
        names = [probe.name for probe in self.plan.probes]
        expected = truth_of(self.population, self.plan.config, self.plan.targets, names)
        found = {entry.key: entry for entry in gathered.sets}
        for key in expected.keys() | found.keys():
            have = directory.read_set(found[key]) if key in found else BitMap()
            want = expected.get(key, BitMap())
            if have != want:
                problems.append(f"{key.file}: {len(want - have):,} members missing, {len(have - want):,} extra")
        return problems
