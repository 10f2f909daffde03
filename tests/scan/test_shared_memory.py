"""Shared memory on machines that show stores in another order: torn copies, made by hand, are never taken."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from liveness.kernel import COMPILED, fence
from liveness.order.order import Position
from liveness.probes.hops import Hops
from liveness.scan.losses.repairs import RepairRequests, Stretch
from liveness.scan.path.hop_table import HopTable
from liveness.scan.send.positions import CONTENT, GENERATION, SEAL, TICK, Activities, Activity, Positions, TickRows
from liveness.scan.send.withdrawn import WithdrawnList
from liveness.space.intervals import Intervals

PARTS = ("_bounds", "_lengths", "_seals", "_generation")


def waits_for(read: Callable[[], Any], mend: Callable[[], None]) -> Any:  # noqa: ANN401 - whatever is read
    """Check that a reader does not return before `mend`, and return what it reads then."""
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(read()))
    reader.start()
    time.sleep(0.05)
    assert found == []
    mend()
    reader.join()
    return found[0]


@pytest.mark.parametrize(
    "late", [("_bounds",), ("_lengths",), ("_seals",), ("_bounds", "_lengths"), PARTS[:3]], ids=str
)
def test_a_withdrawn_list_whose_generation_is_seen_first_is_waited_for(late: tuple[str, ...]) -> None:
    """What arrives late is as it was before: of the list two publications ago."""
    shared = WithdrawnList(16)
    old, new = Intervals.from_bounds([1, 9], [3, 12]), Intervals.from_bounds([1, 9, 20], [3, 12, 22])
    for withdrawn in (old, Intervals.empty()):
        shared.publish(withdrawn)
    before = {name: getattr(shared, name).copy() for name in late}
    shared.publish(new)
    after = {name: getattr(shared, name).copy() for name in late}
    for name in late:
        getattr(shared, name)[:] = before[name]

    def arrive() -> None:
        for name in reversed(late):
            getattr(shared, name)[:] = after[name]

    generation, read = waits_for(shared.read, arrive)
    assert generation == 3
    assert (read.first.tolist(), read.last.tolist()) == (new.first.tolist(), new.last.tolist())


def test_a_table_of_next_hops_is_waited_for_too() -> None:
    table = HopTable(1, 8)

    def hops(mac: int) -> Hops:
        return Hops(np.array([0, 5], np.uint32), np.full((2, 3), mac, np.uint16), np.full(3, mac + 1, np.uint16))

    assert table.read()[0] == 0
    for mac in (1, 2, 3):
        table.publish(hops(mac))
    macs = table._macs.copy()
    table._macs[1, 1] = 1  # of the first table

    def arrive() -> None:
        table._macs[:] = macs

    generation, read = waits_for(table.read, arrive)
    assert (generation, read.macs.tolist(), read.own.tolist()) == (3, [[3] * 3] * 2, [4] * 3)


@given(st.lists(st.sampled_from([GENERATION, SEAL, TICK, *range(CONTENT, CONTENT + 5)]), unique=True))
def test_a_position_is_read_whole_whatever_arrives_late(late: list[int]) -> None:
    """Either the position published first or the one published last, never lags of one and the tick of the other."""
    positions = Positions(1, 2)
    first = Position(block=1, tick=100, lags=[0, 10], begins=[0, 10])
    second = Position(block=2, tick=140, lags=[0, 30], begins=[0, 150])
    positions.publish(0, first)
    before = positions.rows.records.copy()
    positions.publish(0, second)
    record = positions.rows.records[0]
    after = record.copy()
    record[late] = before[0, late]
    attempts = iter(range(3))

    class Looked(Exception):  # noqa: N818 - no error: the reader looks again
        pass

    def copied(_rows: TickRows, _sender: int) -> Any:  # noqa: ANN401 - an array
        if next(attempts, None) is None:
            raise Looked
        return record.copy()

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TickRows, "_copied", copied)
            found = positions.now()[0]
    except Looked:
        record[:] = after
        found = positions.now()[0]
    assert found in (first, second)


def test_an_answer_and_an_activity_that_arrive_in_parts_are_waited_for() -> None:
    desk = RepairRequests(1, 1)
    desk.request(0, 3)
    desk.answer(0, Stretch(3, 10, 20, [0], [0], 0.5))
    whole = desk._rows.copy()
    desk._rows[0, -1] = 99
    assert waits_for(lambda: desk.answered_stretch(0), lambda: desk._rows.__setitem__(slice(None), whole)) == Stretch(
        3, 10, 20, [0], [0], 0.5, number=1
    )
    activities = Activities(1, 1)
    activities.begin(0, Position(block=1, tick=5, lags=[0], begins=[0]), 0, 50)
    activities.tick(0, 7)
    known = activities.rows.records.copy()
    activities.rows.records[0, -2] = 4
    found = waits_for(lambda: activities.now(0), lambda: activities.rows.records.__setitem__(slice(None), known))
    assert found == Activity(1, 7, 0, 50, (0,), (0,))


@given(st.integers(0, 2**46 - 1), st.integers(0, 70_000))
def test_a_tick_comes_back_whatever_the_generation(tick: int, generation: int) -> None:
    positions = Positions(2, 1)
    positions.rows.records[1, GENERATION] = generation
    positions.publish(1, Position(block=3, tick=7, lags=[4], begins=[5]))
    positions.publish_tick(1, tick)
    assert positions.now() == [
        Position(block=0, tick=0),
        Position(block=3, tick=tick, lags=[4], begins=[5]),
    ]


def test_concurrent_reads_see_whole_positions() -> None:
    """In two threads: each position that is read was published."""
    positions = Positions(1, 4)
    ended = threading.Event()

    def write() -> None:
        for number in range(1, 20_000):
            lags = [number, 2 * number, 3 * number, 4 * number]
            positions.publish(0, Position(block=number, tick=number, lags=lags, begins=lags))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        found = positions.now()[0]
        assert found.tick == found.block
        assert found.lags in ([], [found.block * place for place in range(1, 5)])
    writer.join()


def test_a_fence_is_an_instruction_of_the_compiled_code() -> None:
    """Of the intermediate code: which instruction it becomes is the machine's matter (none on x86-64, dmb on ARM)."""
    known: Any = fence
    fresh: Any = njit()(known.py_func) if COMPILED else known  # one from the cache shows no code
    fresh()
    code: dict[object, str] = getattr(fresh, "inspect_llvm", dict)()
    assert len(code) == COMPILED
    assert all("fence acq_rel" in text for text in code.values())
