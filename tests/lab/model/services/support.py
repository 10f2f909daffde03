"""Scans in memory that talk to the model Internet, and their judge."""

import functools
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from pyroaring import BitMap

from liveness.applications.registry import ENTRIES
from liveness.config.model import Config, from_document
from liveness.lab.model.check import ModelComparison, compare, delivered_sets
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.tables import layout
from liveness.lab.model.population.truth import truth
from liveness.lab.model.responder.conditions import Conditions, parse_conditions
from liveness.lab.model.responder.record import Summary, summarise
from liveness.lab.model.responder.sending import KIND_MASK, PROBE_SHIFT
from liveness.lab.model.services.section import ServiceSection
from liveness.lab.model.services.truth import with_talks
from liveness.lab.services.behaviours import LABELS
from liveness.lab.services.behaviours import PROBES as TALKED
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.probes.template import LinkAddresses
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Manifest
from liveness.runs.merge import Gathered, merge
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import Plan
from liveness.scan.receive.receiver import Receiver
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.scan.talk import talker
from liveness.scan.talk.talker import Talker
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.lab.model.responder.support import ALL_NS, SCANNER, FarEnd, packaged, sample

LINK: Final = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
MOST_S: Final = 200
EVERYTHING: Final[dict[str, float]] = dict.fromkeys(LABELS, 1.0)
"""Every behaviour, equally often."""


def with_services(**section: Any) -> Population:  # noqa: ANN401 - any field of the section
    """Return the packaged population with another `services` section, or with none."""
    population = packaged()
    services = msgspec.convert(section, ServiceSection) if section else None
    model = msgspec.structs.replace(population.model, services=services)
    tables = layout(model, population.rows, population.kinds, population.mixes, population.seed)
    return replace(population, model=model, tables=tables)


@functools.cache
def open_somewhere(count: int) -> tuple[int, ...]:
    """Return addresses on which any of the ports is open, as many with each port, and a few that are silent."""
    addresses = sample()
    sets = truth(packaged(), addresses, TALKED)
    found = BitMap(addresses[::8000].tolist())
    for probe in TALKED:
        members = sets[SetKey(ReplyKey(probe, Kind.SYN_ACK), Role.TARGET)]
        found |= BitMap(members[:: max(1, len(members) // (count // len(TALKED)))])
    reset = sets[SetKey(ReplyKey("tcp/80", Kind.RST), Role.TARGET)]
    both = sets[SetKey(ReplyKey("tcp/80", Kind.SYN_ACK), Role.TARGET)] & reset
    return tuple(found | both[:20])


@dataclass
class Network:
    """The far end as the network of a ring in memory: what is late comes at once, in its order."""

    end: FarEnd
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, frame: bytes) -> list[bytes]:
        now_ns = time.time_ns()
        with self.lock:
            self.end.take(frame, now_ns)
            return self.end.due(now_ns + ALL_NS)


def config_of(**changed: object) -> Config:
    """Return the config of a scan that talks on all ports."""
    document = {
        "name": "memory",
        "targets": {"allow": ["0.0.0.0/0"]},
        "probes": list(TALKED),
        "applications": [entry.name for entry in ENTRIES],
        "talk": {"wait": "1500ms", "rate": "1Mpps"},
        "contact": "https://example.org/scan",
        "rate": "10Mpps",
        "control": False,
        "block_prefix": 1,
        "probe_spacing": "1us",
        "cooldown": "0s",
        "retransmit": {"attempts": 2, "queue": 4},
    }
    return from_document(document | changed)


class Talked:
    """A scan in memory of a population, with what the far end let through."""

    def __init__(self, population: Population, network: object = None, count: int = 300, **changed: object) -> None:
        conditions = Conditions() if network is None else parse_conditions(network, "test")
        self.config = config_of(**changed)
        self.population = population
        self.addresses = np.array(open_somewhere(count), np.uint32)
        targets = Targets.build(Intervals.from_bounds(self.addresses, self.addresses), Intervals.empty(), lab=True)
        self.plan = Plan(self.config, targets, None, bytes(range(16)))
        self.end = FarEnd(population, conditions)
        self.gathered, sets = self._scan()
        expected = truth(population, self.addresses, self.config.probes)
        talked = [f"tcp/{entry.port}" for entry in ENTRIES if entry.name in self.config.applications]
        self.expected = with_talks(population, expected, talked)
        self.found = sets
        self.talked = talked
        self.comparison = self.judge()

    def _scan(self) -> tuple[Gathered, dict[SetKey, BitMap]]:
        plan, network = self.plan, Network(self.end)
        constants = constants_of(plan, LINK, (SCANNER,))
        talker.warm_up(plan, constants)
        for kind in plan.sinks:
            kind.warm_up(plan)
        rx_ring, shared = MemoryRxRing(), Shared(plan)
        with tempfile.TemporaryDirectory() as folder:
            directory = RunDirectory.create(Path(folder), "memory", "run")
            receiver = Receiver(plan, constants, rx_ring, shared, directory)
            receiver.open_sinks()
            rings = [MemoryTxRing(network, rx_ring, 40 * len(plan.probes) * plan.attempts) for _ in range(plan.senders)]
            senders = [Sender(plan, constants, ring, shared, number) for number, ring in enumerate(rings)]
            with ThreadPoolExecutor(len(senders)) as threads:  # they wait for each other after each block
                list(threads.map(Sender.run, senders))
            if shared.talk is not None:
                talks, quiet = Talker(plan, constants, MemoryTxRing(network, rx_ring, 64, 1024), shared), 0
                deadline = time.monotonic() + MOST_S
                while not (quiet > 20 and talks.idle()):
                    quiet = quiet + 1 if receiver.step(0.01) and not talks.step() else 0
                    assert time.monotonic() < deadline
            shared.finish[0] = 1
            assert receiver.run() is None
            gathered = merge(directory, directory.segments(), [probe.name for probe in plan.probes], plan.attempts)
            return gathered, {entry.key: directory.read_set(entry) for entry in gathered.sets}

    @functools.cached_property
    def delivered(self) -> dict[tuple[str, Kind], BitMap]:
        """The targets of which replies were let through, by probe and kind."""
        return {
            (PROBES[event >> PROBE_SHIFT], Kind(event & KIND_MASK)): collector.finish()
            for event, collector in self.end.record.passed.items()
        }

    @property
    def summary(self) -> Summary:
        """What the far end counted."""
        return summarise(self.end.model, lossless=True, overrun=0)

    def judge(self) -> ModelComparison:
        """Compare what was found with what the far end let through."""
        config, delivered = self.config, self.delivered
        passed = delivered_sets(self.population, self.expected, delivered, config.probes, self.talked)
        return compare(self.manifest, self.expected, self.found, passed, self.summary, self.talked)

    @property
    def manifest(self) -> Manifest:
        """The record of the run, as far as its judge reads it."""
        return Manifest(
            name="memory",
            run_id="run",
            status="complete",
            seed=0,
            config={},
            started="2026-11-21T00:00:00Z",
            targets=len(self.addresses),
            probes={},
            sets=[],
        )
