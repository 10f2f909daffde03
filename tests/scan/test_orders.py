"""Orders: shares of machines and senders, and a second order, rounds over a list, through the whole engine."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP

from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.order.block import Block
from liveness.order.due import DRAWN, empty_due
from liveness.order.once_per_block import OncePerBlock
from liveness.order.order import Order, Position, Share, Walk
from liveness.order.ticks import MAX_TICKS, UNKNOWN
from liveness.probes.template import LinkAddresses
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import Plan
from liveness.scan.progress import observe
from liveness.scan.receive.receiver import Receiver
from liveness.scan.receive.set_sink import SetSinks
from liveness.scan.receive.sink import Conclusion, Received, concluded
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan.instruments import CountingSinks, rounds
from tests.scan.test_census_in_memory import CONTROL_PORT, COUNT, FIRST, SOURCE, Network, name_of, small_config
from tests.scan.test_sinks import fails

LINK = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
ROUNDS = 3


def drawn_by(order: Order, part: int, share: Share) -> list[int]:
    """Return the indices that one sender draws in a part, in order."""
    probes = 2
    walk: Walk = order.walk(part, share, 1.0, np.zeros((probes, order.marks(part, share)), np.int64))
    due, drawn = empty_due(2 * MAX_TICKS, 64 + probes), list[int]()
    while not walk.finished:
        walk.draw(due, 64, UNKNOWN, 1)
        drawn += due.drawn[: due.counts[DRAWN]].tolist()
    return drawn


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.data())
def test_machines_and_senders_share_an_order(
    count: int, senders: int, machines: int, others: int, data: st.DataObject
) -> None:
    """Together they draw every target once; what a machine draws does not depend on how many senders it has."""
    quota = data.draw(st.integers(1, count))
    block = Block("10.0.0.0/8", Intervals.from_bounds([0], [count - 1]), quota, 7)
    order = OncePerBlock((block,), probes=2, attempts=1, queue=5, spacing_s=0.0, rate_pps=1.0)
    chosen = block.permutation.shard(0, 1, quota).indices().tolist()
    together: list[int] = []
    for machine in range(machines):
        of_machine = [drawn_by(order, 0, Share(sender, senders, machine, machines)) for sender in range(senders)]
        everything = [index for drawn in of_machine for index in drawn]
        together += everything
        otherwise = [
            index for sender in range(others) for index in drawn_by(order, 0, Share(sender, others, machine, machines))
        ]
        assert sorted(everything) == sorted(otherwise)
        for sender, drawn in enumerate(of_machine):
            share = Share(sender, senders, machine, machines)
            assert len(drawn) <= order.most_targets(0, share)
            assert [index for index in chosen if index in set(drawn)] == drawn
    assert sorted(together) == sorted(chosen)


class Recorded(Network):
    """A network that keeps the order of what passes."""

    def __init__(self, behaviours: dict[int, str]) -> None:
        super().__init__(behaviours, set())
        self.passed: list[tuple[int, str]] = []

    def __call__(self, frame: bytes) -> Iterator[bytes]:
        packet = IP(frame[14:])
        self.passed.append((parse_address(packet.dst), name_of(packet)))
        return super().__call__(frame)


def survey(folder: Path, start: Position | None = None) -> tuple[Plan, Shared, Recorded, RunDirectory, Conclusion]:
    """Send rounds in memory, from a position on, into the sets of a census and counts by target."""
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    config = small_config(retransmit={"attempts": 1, "queue": 0})
    plan = Plan(config, targets, CONTROL_PORT, bytes(range(16)))
    plan = replace(plan, order_of=rounds(ROUNDS), sinks=(SetSinks(), CountingSinks()))
    constants = constants_of(plan, LINK, (SOURCE,))
    network = Recorded({FIRST + 3: "host", FIRST + 300: "closed", FIRST + 650: "router"})
    rx_ring = MemoryRxRing()
    tx_ring = MemoryTxRing(network, rx_ring, slots=40 * len(plan.probes), frames_a_kick=100)
    shared = Shared(plan)
    if start is not None:
        shared.drained[:] = start.block
    directory = RunDirectory.create(folder, "survey", "run" if start is None else "resumed")
    Sender(plan, constants, tx_ring, shared, 0, start).run()
    shared.finish[0] = 1
    assert Receiver(plan, constants, rx_ring, shared, directory).run() is None
    return plan, shared, network, directory, concluded(plan, directory, Received.of(directory), fails)


def test_rounds_over_a_list_go_through_the_whole_engine(tmp_path: Path) -> None:
    plan, shared, network, directory, kept = survey(tmp_path)
    probes = len(plan.probes)
    assert len(network.passed) == ROUNDS * COUNT * probes
    orders = []
    for number in range(ROUNDS):
        passed = network.passed[number * COUNT * probes : (number + 1) * COUNT * probes]
        order = [target for target, _ in passed[::probes]]
        assert sorted(order) == list(range(FIRST, FIRST + COUNT))
        orders.append(order)
        for at in range(0, len(passed), probes):  # every probe at once
            assert {target for target, _ in passed[at : at + probes]} == {passed[at][0]}
            assert {name for _, name in passed[at : at + probes]} == {probe.name for probe in plan.probes}
    assert len({tuple(order) for order in orders}) == ROUNDS
    assert orders[0][:5] == plan.first_addresses(5).tolist()
    counts = json.loads((directory.path / "counts.json").read_text())
    assert counts["10.1.0.3 icmp"] == ROUNDS
    assert counts["10.1.1.44 tcp/80"] == ROUNDS
    assert set(Counter(counts.values())) == {ROUNDS}
    sets = {(entry.probe, entry.kind, entry.role): set(directory.read_set(entry)) for entry in kept.fields["sets"]}
    assert sets["icmp", "echo-reply", "direct"] == {FIRST + 3}
    progress = observe(plan, shared, 1.0, sending=False)
    assert (progress.blocks, progress.blocks_drained) == (ROUNDS, ROUNDS)
    assert progress.sent == progress.planned == ROUNDS * COUNT * probes


@pytest.mark.parametrize("tick", [0, 100, 699])
def test_rounds_are_resumed_where_they_ended(tmp_path: Path, tick: int) -> None:
    _, _, whole, _, _ = survey(tmp_path)
    plan, shared, rest, _, _ = survey(tmp_path, Position(block=1, tick=tick))
    probes = len(plan.probes)
    assert rest.passed == whole.passed[(COUNT + tick) * probes :]
    assert shared.sent_before[0].tolist() == [[tick]] * probes


def test_the_end_of_a_walk_does_not_move_when_its_spacing_widens() -> None:
    """The end tells whether two looks at a sender saw one walk: a loss between them must not be all of the walk."""
    block = Block("10.0.0.0/8", Intervals.from_bounds([0], [4999]), 5000, 7)
    order = OncePerBlock((block,), probes=2, attempts=2, queue=50, spacing_s=0.1, rate_pps=1000.0, searched=True)
    share = Share(0, 1)
    walk = order.walk(0, share, 100.0, np.zeros((order.lanes, order.marks(0, share)), np.int64))
    due = empty_due(2 * MAX_TICKS, 64 + order.lanes)
    walk.draw(due, 64, UNKNOWN, 1)
    before, spacing = walk.end, walk.spacing
    while not walk.take_rate(900.0):
        walk.draw(due, 1, UNKNOWN, 1)
    assert walk.spacing > spacing
    assert walk.end == before
    while not walk.finished:
        assert walk.tick <= walk.end
        walk.draw(due, 64, UNKNOWN, 1)
