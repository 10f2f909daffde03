"""Floods through the receiver: memory stays bounded, sets stay right, and the counters tell."""

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scapy.layers.inet import TCP

from liveness.config.model import from_document
from liveness.net.ring import RxStatistics
from liveness.packets.block import pack_block
from liveness.runs.merge import Gathered, merge
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import Plan
from liveness.scan.receive.receiver import BATCH_REPLIES, Receiver
from liveness.scan.receive.top_sources import FEWEST_REPLIES
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.frames import CONTROL_PORT, NAMES, NOW_NS, ROUTER, Scanner, address, echo, error, segment

SCANNER = Scanner()
FIRST, LAST = address("203.0.113.0"), address("203.0.113.255")
PACKETS = 1000
"""In a block."""
TIMES = 20 if os.environ.get("NUMBA_DISABLE_JIT") == "1" else 1000
"""How often such a block comes: a million packets in all, or what plain Python can do in a while."""


class RepeatingRing:
    """A receive ring whose blocks come many times: a flood without the cost of making it."""

    ethernet = True

    def __init__(self, blocks: Sequence[tuple[list[bytes], int]]) -> None:
        packed = [(pack_block([(NOW_NS, frame) for frame in frames]), times) for frames, times in blocks]
        self._blocks: Iterator[NDArray[np.uint8]] = (block for block, times in packed for _ in range(times))
        self._current: NDArray[np.uint8] | None = None
        self._packets = sum(len(frames) * times for frames, times in blocks)

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:
        del timeout_s
        if self._current is None:
            self._current = next(self._blocks, None)
        return self._current

    def release(self) -> None:
        self._current = None

    def statistics(self) -> RxStatistics:
        return RxStatistics(self._packets, 0, 0)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        """Do nothing."""


class Watched(Receiver):
    """A receiver that notes how much it ever held."""

    most_held = 0

    def step(self, timeout_s: float) -> bool:
        ended = super().step(timeout_s)
        Watched.most_held = max(Watched.most_held, self.held)
        return ended


def flood(folder: Path, blocks: Sequence[tuple[list[bytes], int]]) -> tuple[Gathered, dict[str, set[int]], int]:
    """Return what a receiver gathers from these blocks, each so many times, its sets by file, the most it held."""
    config = from_document(
        {
            "name": "flood",
            "targets": {"allow": ["203.0.113.0/24"]},
            "probes": list(NAMES[:-1]),
            "senders": 1,
            "receive": {"receivers": 1},
        }
    )
    targets = Targets.build(Intervals.from_bounds([FIRST], [LAST]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, CONTROL_PORT, SCANNER.settings.key)
    directory = RunDirectory.create(folder, "flood", "1")
    shared = Shared(plan)
    shared.finish[0] = 1
    Watched.most_held = 0
    assert Watched(plan, SCANNER.constants, RepeatingRing(blocks), shared, directory).run() is None
    gathered = merge(directory, directory.segments(), NAMES, plan.attempts)
    sets = {Path(entry.file).name: set(directory.read_set(entry)) for entry in gathered.sets}
    return gathered, sets, Watched.most_held


def test_a_target_that_answers_one_probe_a_million_times(tmp_path: Path) -> None:
    target, quiet = FIRST + 7, FIRST + 8
    once = [bytes(echo(SCANNER.frame("icmp", quiet, attempt))) for attempt in (0, 1)]
    again = bytes(echo(SCANNER.frame("icmp", target, 1)))
    gathered, sets, held = flood(tmp_path, [(once, 1), ([again] * PACKETS, TIMES)])
    assert sets == {
        f"icmp.echo-reply.{role}.roaring": {7 + FIRST, 8 + FIRST} for role in ("source", "target", "direct")
    }
    assert gathered.attempts == {"icmp": {"11": 1, "01": 1}}
    assert gathered.tally.messages == {"icmp": {"echo-reply": TIMES * PACKETS + 2}}
    assert gathered.duplicates == {"icmp": {"echo-reply": [0, TIMES * PACKETS - 1]}}
    assert set(gathered.tally.top_sources) == {target}
    assert 0.99 * TIMES * PACKETS <= gathered.tally.top_sources[target] <= TIMES * PACKETS
    assert held <= 2 * BATCH_REPLIES


def test_a_router_that_answers_for_everybody(tmp_path: Path) -> None:
    errors = [bytes(error(SCANNER.frame("tcp/80", target), 3, 10)) for target in range(FIRST, LAST + 1)]
    gathered, sets, held = flood(tmp_path, [(errors, TIMES)])
    assert sets == {
        "tcp-80.error-3-10.source.roaring": {address(ROUTER)},
        "tcp-80.error-3-10.target.roaring": set(range(FIRST, LAST + 1)),
    }
    assert gathered.duplicates == {"tcp/80": {"error-3-10": [(TIMES - 1) * 256, 0]}}
    assert gathered.tally.top_sources == {address(ROUTER): TIMES * 256}
    assert held <= 4 * BATCH_REPLIES


def test_an_attacker_who_sprays_is_counted_and_fills_no_set(tmp_path: Path) -> None:
    """SYN-ACKs of every target from the right ports to right and wrong ones, with acknowledgments out of the air."""
    chance = random.Random(5)
    forged = []
    for _ in range(PACKETS):
        reply = segment(SCANNER.frame("tcp/443", chance.randint(FIRST, LAST)), "SA")
        reply[TCP].ack = chance.getrandbits(32)
        if chance.random() < 1 / 2:
            reply[TCP].dport = chance.randint(32768, 61000)
        forged.append(bytes(reply))
    true = bytes(segment(SCANNER.frame("tcp/443", FIRST + 3), "SA"))
    gathered, sets, held = flood(tmp_path, [(forged, TIMES // 4), ([true], 1), (forged, TIMES // 4)])
    assert sets == {f"tcp-443.syn-ack.{role}.roaring": {FIRST + 3} for role in ("source", "target")}
    assert gathered.tally.messages == {"tcp/443": {"syn-ack": 1}}
    rejected = gathered.tally.rejected
    assert set(rejected) == {"bad-port", "bad-cookie"}
    assert sum(rejected.values()) == TIMES // 4 * 2 * PACKETS == gathered.tally.packets - 1
    assert gathered.tally.top_sources == {}
    assert held <= 8


def test_an_ordinary_census_reports_no_top_sources(tmp_path: Path) -> None:
    replies = [bytes(echo(SCANNER.frame("icmp", target))) for target in range(FIRST, LAST + 1)]
    gathered, _, _ = flood(tmp_path, [(replies, 2)])
    assert gathered.tally.top_sources == {}
    assert FEWEST_REPLIES > 2
