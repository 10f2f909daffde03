"""The far end of a model lab under load: probes over veth at a rate, and how many of them it answers."""

import os
import select
import signal
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from liveness.errors import LivenessError
from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.bytes import flat_bytes
from liveness.lab.model.responder.conditions import Conditions
from liveness.lab.model.responder.lab import EVERYTHING, RETIRE_MS, RING_MIB
from liveness.lab.model.responder.process import Responder, warm_up
from liveness.lab.model.responder.queue import forget
from liveness.lab.model.responder.respond import respond_slots
from liveness.lab.model.responder.state import LOST_COUNT, SLOT_BYTES, make_model
from liveness.net.links import find_link
from liveness.net.rx_packet import PacketRxRing
from liveness.net.transport import open_transport
from liveness.probes.fill import fill_frames, flat_words, hash_targets, put_template
from liveness.probes.run_constants import RunConstants
from liveness.probes.template import LinkAddresses
from liveness.scan.plan import Plan
from liveness.scan.process import Child
from scripts.benchmarks.generator import send_pool
from scripts.benchmarks.network import make_veth, pin, two_cores
from scripts.benchmarks.plans import census_plan, kit_for
from scripts.benchmarks.replies import Pool

PROBES_MADE: Final = 1 << 18
FRAME_BYTES: Final = 128
ELSEWHERE: Final = bytes.fromhex("020000000001")
"""Nobody's address, so that no stack has anything to do with what is sent."""
SETTLE_S: Final = 1.0


def measure_far_end(source: str, conditions: Conditions, rate_pps: float, seconds: float) -> dict[str, Any]:
    """Send probes at a rate, 0 for as fast as they leave, to a far end on the other core; return what became of it."""
    sending, answering = two_cores()
    make_veth()
    plan = census_plan()
    pool = probe_pool(plan, kit_for(plan, LinkAddresses(find_link("veth").mac, ELSEWHERE)))
    in_memory_ns = _in_memory(source, conditions, pool)
    ready, writer = os.pipe()
    child = Child("far end", lambda: _answer(source, conditions, writer), answering)
    os.close(writer)
    os.read(ready, 1)
    pin(sending)
    (ring,) = open_transport("veth", 1, FRAME_BYTES, 1, "auto", "auto").rings
    sent = send_pool(pool, ring, rate_pps, seconds)
    ring.close()
    time.sleep(SETTLE_S)
    os.kill(child.pid, signal.SIGTERM)
    while not child.ended():
        time.sleep(0.01)
    answered = child.result()
    if answered is None:
        raise LivenessError(f"the far end failed: {child.problem()}")
    offered = sent.left + sent.dropped
    lost = offered - answered["probes"]
    problems = [f"{lost:,} of {offered:,} probes were not answered for"] if lost else []
    if answered["malformed"]:
        problems.append(f"{answered['malformed']:,} probes are malformed")
    return {
        "offered": offered,
        "offered_mpps": round(offered / sent.seconds / 1e6, 3),
        "answered_for": answered["probes"],
        "answered_for_mpps": round(answered["probes"] / sent.seconds / 1e6, 3),
        "replies": answered["replies"],
        "dropped_by_link": sent.dropped,
        "dropped_by_ring": answered["drops"],
        "cpu_ns": round(answered["cpu_s"] / max(1, answered["probes"]) * 1e9, 1),
        "in_memory_ns": round(in_memory_ns, 1),
        "problems": problems,
    }


def probe_pool(plan: Plan, constants: RunConstants) -> Pool:
    """Return probes of a census in the order of its targets, each in its turn."""
    frames = np.zeros((PROBES_MADE, FRAME_BYTES), np.uint8)
    words, step = flat_words(frames)
    probes = len(plan.probes)
    targets = plan.first_addresses(-(-PROBES_MADE // probes))
    lengths = np.zeros(PROBES_MADE, np.uint16)
    hashes = np.zeros(len(targets), np.uint64)
    for probe in range(probes):
        mine = targets[: len(range(probe, PROBES_MADE, probes))]
        for at in range(probe, PROBES_MADE, probes):
            put_template(words, at * step, constants.templates, probe)
        lengths[probe::probes] = constants.lengths[probe]
        hash_targets(mine, constants.numbers[probe], hashes)
        fill_frames(words, probe * step, probes * step, constants.numbers[probe], constants.sources, 0, mine, hashes, 1)
    return Pool(frames, lengths, np.zeros(PROBES_MADE, np.bool_))


def _in_memory(source: str, conditions: Conditions, pool: Pool) -> float:
    """Return what taking a probe costs without a kernel, ns of CPU time, its reply made but not sent."""
    population = load_population(source)
    model = make_model(population.tables, population.seed, conditions)
    frames, step = flat_bytes(pool.frames)
    respond_slots(model, frames, step, pool.lengths, 0, 1, time.time_ns())
    spent_ns, chunk = 0, 1 << 14
    for first in range(0, PROBES_MADE, chunk):
        began_ns = time.process_time_ns()
        respond_slots(model, frames, step, pool.lengths, first, chunk, time.time_ns())
        spent_ns += time.process_time_ns() - began_ns
        forget(model)
        model.numbers[LOST_COUNT] = 0
    return spent_ns / PROBES_MADE


def _answer(source: str, conditions: Conditions, ready: int) -> dict[str, Any]:
    """In the child: be the far end until SIGTERM, and return what came."""
    population = load_population(source)
    model = make_model(population.tables, population.seed, conditions)
    tx_ring = open_transport("far", 1, SLOT_BYTES, 1, "auto", "auto").rings[0]
    warm_up(model, tx_ring)
    rx_ring = PacketRxRing("far", EVERYTHING, RING_MIB, RETIRE_MS)
    responder = Responder(model, conditions, "", rx_ring, tx_ring, Path(f"/nonexistent/{os.getpid()}"))
    woken, wake = os.pipe()
    signal.signal(signal.SIGTERM, lambda _number, _frame: os.write(wake, b"!"))
    responder.turn()
    began_s = time.process_time()
    os.write(ready, b"!")
    responder.run(lambda: bool(select.select([woken], [], [], 0)[0]))
    return {
        "probes": responder.packets,
        "replies": responder.replies,
        "malformed": sum(responder.malformed.values()),
        "drops": responder.overrun,
        "cpu_s": time.process_time() - began_s,
    }
