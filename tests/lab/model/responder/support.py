"""A far end in memory: populations of one answer, frames put to it, and what comes back, read by scapy."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import numpy as np
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from liveness.lab.model.population.answer import AT_ANSWERS, PROBES, row_of
from liveness.lab.model.population.load import Population, load_population
from liveness.lab.model.population.truth import truth
from liveness.lab.model.responder import state
from liveness.lab.model.responder.bytes import flat_bytes
from liveness.lab.model.responder.conditions import Conditions
from liveness.lab.model.responder.record import Record
from liveness.lab.model.responder.respond import emit, respond_slots
from liveness.lab.model.responder.state import Model, make_model
from liveness.lab.model.responder.verdict import Verdict
from liveness.packets.block import pack_block
from liveness.probes.fill import finished_frame
from liveness.probes.registry import probes_of_run
from liveness.probes.run_constants import CookieParameters, RunConstants, build_constants
from liveness.probes.template import LinkAddresses
from liveness.replies import CONTROL

NOW_NS: Final = 1_795_305_600_000_000_000
SECOND_NS: Final = 1_000_000_000
ALL_NS: Final = 17 * SECOND_NS
"""After so long nothing waits any more."""
SCANNER: Final = 0xCB007102
CONTROL_PORT: Final = 51833
SLOTS: Final = 512

SENT: Final = probes_of_run([name for name in PROBES if name != CONTROL], CONTROL_PORT)
CONSTANTS: Final[RunConstants] = build_constants(
    SENT,
    CookieParameters(bytes(range(16)), 32768, 61000, 2),
    LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002")),
    (SCANNER,),
    contact="https://example.org/scan",
)


def probe_frame(probe: str, target: int, attempt: int = 0) -> bytes:
    """Return the frame that our scanner sends."""
    return finished_frame(CONSTANTS, [probe.name for probe in SENT].index(probe), attempt, target, NOW_NS)


def talk_frame(syn: bytes, initial: int, data: bytes = b"", flags: str = "A") -> bytes:
    """Return the segment that a client sends after a SYN-ACK whose sequence number is `initial`, built by scapy."""
    sent = Ether(syn)
    ports = {"sport": sent[TCP].sport, "dport": sent[TCP].dport, "window": 1460}
    numbers = {"seq": (sent[TCP].seq + 1) % 2**32, "ack": (initial + 1) % 2**32}
    frame = Ether(src=sent.src, dst=sent.dst) / IP(src=sent[IP].src, dst=sent[IP].dst, id=7, flags="DF")
    return bytes(frame / TCP(**ports, **numbers, flags=flags) / data)


@functools.cache
def packaged() -> Population:
    """Return the population that comes with the package."""
    return load_population()


@dataclass
class FarEnd:
    """A model without rings; frames go in one by one."""

    population: Population = field(default_factory=packaged)
    conditions: Conditions = field(default_factory=Conditions)
    model: Model = field(init=False)
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        self.model = make_model(self.population.tables, self.population.seed, self.conditions)

    def take(self, frame: bytes, at_ns: int = NOW_NS) -> Verdict:
        """Take a frame, alone in memory; return what was found in it."""
        before = self.model.verdicts.copy()
        memory = np.frombuffer(frame, np.uint8).copy()
        respond_slots(self.model, memory, 0, np.array([len(frame)], np.uint16), 0, 1, at_ns)
        count = int(self.model.numbers[state.LOST_COUNT])
        self.record.lose(self.model.lost_targets[:count], self.model.lost_events[:count])
        self.model.numbers[state.LOST_COUNT] = 0
        (found,) = np.flatnonzero(self.model.verdicts - before)
        return Verdict(int(found))

    def due(self, now_ns: int) -> list[bytes]:
        """Return the frames that leave until some time, in order."""
        slots, step = flat_bytes(ring := np.zeros((SLOTS, state.SLOT_BYTES), np.uint8))
        lengths, events = np.zeros(SLOTS, np.uint16), np.zeros(SLOTS, np.uint8)
        targets = np.zeros(SLOTS, np.uint32)
        left: list[bytes] = []
        while sent := emit(self.model, now_ns, slots, step, 0, SLOTS, lengths, targets, events):
            self.record.sent(targets[:sent], events[:sent])
            left += [ring[slot, : int(lengths[slot])].tobytes() for slot in range(sent)]
        return left

    def replies(self, frame: bytes, at_ns: int = NOW_NS) -> list[Any]:
        """Return all that a frame brings, as scapy reads it."""
        self.take(frame, at_ns)
        return [Ether(n) for n in self.due(at_ns + ALL_NS)]


def answering(population: Population, probe: str, label: str) -> list[int]:
    """Return targets of a sample that answer a probe with a kind, ``error-3-13`` for an error."""
    found: list[int] = []
    for key, members in truth(population, sample(), [probe]).items():
        if key.reply.label == label and key.role == "target":
            found += members[:2000]
    assert found, (probe, label)
    return found


def every_answer(answer: int) -> Population:
    """Return the packaged population, in which every address in use answers every probe alike."""
    population = packaged()
    tables = population.tables.copy()
    first = int(tables[AT_ANSWERS])
    tables[first + len(PROBES) : first + len(PROBES) * len(population.rows.rows)] = answer
    return replace(population, tables=tables)


def used(count: int) -> list[int]:
    """Return addresses that answer something, of many /24s."""
    return list(first_used(count))


@functools.cache
def first_used(count: int) -> tuple[int, ...]:
    """Look at no more addresses than are needed: as plain Python each takes a while."""
    tables = packaged().tables
    return tuple(islice((address for address in sample().tolist() if row_of(tables, address)), count))


def sample(count: int = 1 << 17) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Return addresses all over IPv4, ascending."""
    return (np.arange(count, dtype=np.uint64) * ((1 << 32) // count) + np.uint64(7)).astype(np.uint32)


def packed(frames: Sequence[bytes], at_ns: int = NOW_NS) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return frames in a block as a ring has them."""
    return pack_block([(at_ns, frame) for frame in frames])
