"""A scanner of its own that surveys the model in memory, by a virtual clock: echo requests, in numpy, without us.

It shares no code with the scanner of the package: frames, matching and planes are written here once more, as plainly as
can be. Thus the judge is tried on surveys whose faults are known.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc
from liveness.kernel import kernel
from liveness.lab.model.origin.hidden import EVERYWHERE
from liveness.lab.model.population.load import Population
from liveness.lab.model.responder.bytes import flat_bytes
from liveness.lab.model.responder.conditions import Conditions
from liveness.lab.model.responder.probe_log import ProbeLog
from liveness.lab.model.responder.queue import forget
from liveness.lab.model.responder.record import Record, summarise
from liveness.lab.model.responder.respond import emit, respond_block
from liveness.lab.model.responder.state import SLOT_BYTES, make_model
from liveness.packets.block import BLOCK_HEADER_BYTES, FRAME_AT, put_packet, seal_block
from liveness.planes.blocks import Blocks
from liveness.planes.manifest import ProbeRounds, SurveyManifest, Times, write_manifest
from liveness.planes.matrix import Planes, write_phases, write_planes
from liveness.planes.rundir import create_run

REAL_NS = 1_800_000_000_000_000_000
FRAME_BYTES = 58
SCANNER = (203, 0, 113, 2)
STEPS = 64
"""Of each round: replies are received at the end of a step."""
SLOTS = 4096


def echo_requests(targets: NDArray[np.uint32], rounds: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the frames of echo requests, (targets, FRAME_BYTES); the sequence number is the round."""
    frames = np.zeros((len(targets), FRAME_BYTES), np.uint8)
    frames[:, :14] = list(bytes.fromhex("020000000002020000000001") + b"\x08\x00")
    frames[:, 14], frames[:, 17], frames[:, 22], frames[:, 23] = 0x45, FRAME_BYTES - 14, 64, 1
    frames[:, 26:30] = SCANNER
    frames[:, 30:34] = targets.astype(">u4").view(np.uint8).reshape(-1, 4)
    frames[:, 34] = 8
    frames[:, 38:40] = (0x7A, 0x7A)
    frames[:, 40:42] = rounds.astype(">u2").view(np.uint8).reshape(-1, 2)
    for begin, end, at in ((14, 34, 24), (34, FRAME_BYTES, 36)):
        words = np.ascontiguousarray(frames[:, begin:end]).view(">u2").astype(np.int64).sum(axis=1)
        words = (words & 0xFFFF) + (words >> 16)
        words = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
        frames[:, at : at + 2] = words.astype(">u2").view(np.uint8).reshape(-1, 2)
    return frames


@kernel
def _pack(frames: NDArray[np.uint8], times_ns: NDArray[np.int64], block: NDArray[np.uint8]) -> None:
    at = last = BLOCK_HEADER_BYTES
    for index in range(len(frames)):
        for byte in range(FRAME_BYTES):
            block[at + FRAME_AT + byte] = frames[index, byte]
        last = at
        at = put_packet(block, at, FRAME_AT, times_ns[index], FRAME_BYTES, FRAME_BYTES)
    seal_block(block, len(frames), last, at)


@dataclass
class Surveyor:
    """One survey of some /24s of a population; `run` takes it and writes its run directory."""

    population: Population
    numbers: NDArray[np.uint32]
    rounds: int
    interval_ns: int
    conditions: Conditions = field(default_factory=Conditions)
    not_sent: NDArray[np.bool_] | None = None
    """Pairs of address and round that are left out."""
    place: str = ""
    """The vantage point from which it is taken; by default none, which sees all."""
    lab_ends: tuple[int, ...] = ()
    """Rounds at whose beginning a new lab takes the place of the last one, and nobody sends what waited there."""

    def __post_init__(self) -> None:
        """Choose a slot for each address."""
        self.blocks = Blocks.of(self.numbers)
        self.addresses = self.blocks.addresses
        count = len(self.addresses)
        slots = np.argsort(
            np.random.default_rng(7).permuted(np.arange(256 * len(self.blocks)).reshape(-1, 256), axis=1)
        )
        places = slots * len(self.blocks) + np.arange(len(self.blocks))[:, None]
        self.phases_ms = (places.ravel() * (self.interval_ns / count) / 1e6).astype(np.uint32)
        self.sent = np.ones((count, self.rounds), np.bool_) if self.not_sent is None else ~self.not_sent
        self.planes = Planes.empty(count, self.rounds)
        self.ring = np.zeros((SLOTS, SLOT_BYTES), np.uint8)

    def run(self, path: Path) -> Path:
        """Take the survey and write it to a directory, with the record of its lab."""
        places = [] if self.population.model.vantages is None else self.population.model.vantages.places
        number = [place.name for place in places].index(self.place) if self.place else EVERYWHERE
        model = make_model(
            self.population.tables, self.population.seed, self.conditions, self.population.model.time, REAL_NS, number
        )
        create_run(path, self.blocks)
        log = ProbeLog(path)
        block = np.zeros(1 << 20, np.uint8)
        order = np.argsort(self.phases_ms, kind="stable")
        step_ns = self.interval_ns // STEPS
        for number in range(self.rounds + 2):  # the last two are for late replies
            begin_ns = REAL_NS + number * self.interval_ns
            if number in self.lab_ends:
                forget(model)
            due_ns = begin_ns + self.phases_ms[order].astype(np.int64) * 1_000_000
            edges = np.searchsorted(due_ns, begin_ns + np.arange(STEPS + 1) * step_ns)
            edges[-1] = len(order)
            for step in range(STEPS):
                part = order[edges[step] : edges[step + 1]]
                if number < self.rounds:
                    part = part[self.sent[part, number]]
                    rounds = np.full(len(part), number)
                    times_ns = begin_ns + self.phases_ms[part].astype(np.int64) * 1_000_000
                    _pack(echo_requests(self.addresses[part], rounds), times_ns, block)
                    respond_block(model, block)
                    log.take(model)
                self._receive(model, begin_ns + (step + 1) * step_ns)
        log.write()
        summary = summarise(model, lossless=self.conditions.lossless, overrun=0)
        summary.vantage = self.place
        summary.ended_ns = [REAL_NS + number * self.interval_ns for number in self.lab_ends]
        Record().write(path, summary, "name: x\n")
        self._write(path)
        return path

    def _receive(self, model: object, now_ns: int) -> None:
        slots, step = flat_bytes(self.ring)
        lengths, events = np.zeros(SLOTS, np.uint16), np.zeros(SLOTS, np.uint8)
        targets = np.zeros(SLOTS, np.uint32)
        while count := emit(model, now_ns, slots, step, 0, SLOTS, lengths, targets, events):  # type: ignore[arg-type]
            self._match(self.ring[:count], now_ns)

    def _match(self, frames: NDArray[np.uint8], now_ns: int) -> None:
        """Find address and round of each reply, and set its bits."""
        positive = frames[:, 34] == 0
        at = np.where(positive, 34, 62)  # of the echo reply, or of the request that an error quotes
        rows = np.arange(len(frames))
        number = frames[rows, at + 6].astype(np.int64) << 8 | frames[rows, at + 7]
        address_at = np.where(positive, 26, 58)
        octets = np.stack([frames[rows, address_at + place] for place in range(4)], axis=1)
        address = np.ascontiguousarray(octets).view(">u4").ravel().astype(np.uint32)
        index = np.searchsorted(self.addresses, address)
        assert (self.addresses[index] == address).all()
        due_ns = REAL_NS + number * self.interval_ns + self.phases_ms[index].astype(np.int64) * 1_000_000
        late = now_ns - due_ns > self.interval_ns
        for plane, chosen in (("positive", positive & ~late), ("negative", ~positive & ~late), ("late", late)):
            self.planes.put(plane, index[chosen], number[chosen])

    def _write(self, path: Path) -> None:
        self.planes.sent[:] = np.packbits(self.sent, axis=1, bitorder="little")
        write_planes(path, "icmp", iter([self.planes]))
        write_phases(path, self.phases_ms)
        sent = int(self.sent.sum())
        manifest = SurveyManifest(
            name="survey",
            run_id="run",
            status="complete",
            interval_s=self.interval_ns / 1e9,
            survey=Times(start=utc(REAL_NS)),
            start_ns=REAL_NS,
            rounds=self.rounds,
            blocks=len(self.blocks),
            probes={"icmp": ProbeRounds(sent=sent, not_sent=self.sent.size - sent)},
        )
        write_manifest(manifest, path)
