"""Next hops: the table against a dictionary, and frames that are filled and redirected by it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.config.model import from_document
from liveness.probes.hops import Hops, hops_of, put_hops, redirect, with_neighbours
from liveness.probes.run_constants import with_hops
from liveness.probes.template import LinkAddresses
from liveness.scan.path.hop_table import HopTable
from liveness.scan.plan import Plan
from liveness.scan.session import constants_of
from liveness.space.addresses import parse_address
from liveness.space.intervals import ADDRESS_SPACE, Intervals
from liveness.space.targets import Targets
from tests.scan.stepped_sender import Running, Script

OWN = bytes([2, 0, 0, 0, 1, 1])
MACS = [bytes([2, 0, 0, 0, 0, number]) for number in range(4)]
EDGES = [0, 1, 255, 256, 257, 1 << 16, (1 << 32) - 2, (1 << 32) - 1]


@st.composite
def partitions(draw: st.DrawFn) -> list[tuple[bytes, Intervals]]:
    """Return disjoint sets of addresses for all MAC addresses but the first."""
    bounds = sorted(draw(st.sets(st.sampled_from(EDGES) | st.integers(0, 600), max_size=12)))
    owners = [draw(st.integers(0, 3)) for _ in bounds]
    parts = []
    for number, mac in enumerate(MACS):
        mine = [
            (low, high - 1)
            for low, high, owner in zip(bounds, [*bounds[1:], ADDRESS_SPACE], owners, strict=False)
            if owner == number
        ]
        parts.append((mac, Intervals.from_bounds([low for low, _ in mine], [high for _, high in mine])))
    return parts


@given(partitions(), st.lists(st.sampled_from(EDGES) | st.integers(0, 700), min_size=1, max_size=20))
def test_each_target_has_the_hop_that_serves_it(parts: list[tuple[bytes, Intervals]], targets: list[int]) -> None:
    hops = hops_of(parts, OWN)
    assert hops.first[0] == 0
    expected = [
        next((mac for mac, part in parts[1:] if len(part) and part.contains([target])[0]), MACS[0])
        for target in targets
    ]
    frames = np.zeros((len(targets), 64), np.uint8)
    frames[:, 30:34] = np.array(targets, ">u4").view(np.uint8).reshape(-1, 4)
    put_hops(frames.view(np.uint16).reshape(-1), 0, 32, hops.first, hops.macs, np.array(targets, np.uint32))
    assert [row[:6].tobytes() for row in frames] == expected
    frames[:, :6] = 0
    redirect(frames, hops)
    assert [row[:6].tobytes() for row in frames] == expected
    assert {row[6:12].tobytes() for row in frames} == {OWN}


def test_one_hop_is_in_the_templates_alone() -> None:
    everybody = Intervals.from_bounds([parse_address("10.1.0.0")], [parse_address("10.1.0.9")])
    config = from_document({"name": "hops", "targets": {"allow": ["10.1.0.0/24"]}})
    plan = Plan(config, Targets.build(everybody, Intervals.empty(), lab=True), 50_000, bytes(16))
    constants = constants_of(plan, LinkAddresses(bytes(6), MACS[0]), (1,))
    assert len(constants.hop_first) == 0
    changed = with_hops(constants, hops_of([(MACS[3], everybody)], OWN))
    assert len(changed.hop_first) == 0
    assert {row[:3].tobytes() for row in changed.templates} == {MACS[3]}
    assert {row[:3].tobytes() for row in constants.templates} == {MACS[0]}, "others may still use it"
    assert len(with_hops(constants, hops_of([(MACS[0], Intervals.empty()), (MACS[1], everybody)], OWN)).hop_first) == 3


def test_the_newest_table_is_read() -> None:
    table = HopTable(1, capacity=8)
    assert table.generation == 0
    for number in (1, 2, 3):
        far = Intervals.from_bounds([number], [number + 5])
        hops = hops_of([(MACS[0], Intervals.empty()), (MACS[number], far)], OWN)
        assert table.publish(hops) == number
        generation, read = table.read()
        assert generation == number
        assert np.array_equal(read.first, hops.first)
        assert np.array_equal(read.macs, hops.macs)


def test_a_sender_takes_a_new_table_while_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(monkeypatch)
    middle = parse_address("10.1.1.0")
    far = Intervals.from_bounds([middle], [middle + (1 << 16)])
    taken = 0

    def script() -> Script:
        nonlocal taken
        yield lambda: len(running.frames) >= 100
        generation = running.shared.hops.publish(hops_of([(MACS[1], Intervals.empty()), (MACS[2], far)], OWN))
        yield lambda: running.shared.hops.taken[0] == generation
        taken = len(running.frames)

    running.run(script())
    frames = [frame for _, frame in running.frames]
    assert {frame[:6] for frame in frames[:100]} == {bytes(6)}
    later = frames[taken + 64 :]
    assert later
    for frame in later:
        assert frame[:6] == (MACS[2] if int.from_bytes(frame[30:34], "big") >= middle else MACS[1])


def test_hops_are_never_empty() -> None:
    assert hops_of([(MACS[2], Intervals.empty())], OWN).macs.tobytes() == MACS[2]
    assert isinstance(hops_of([(MACS[2], Intervals.everything())], OWN), Hops)


@given(
    st.lists(st.integers(0, 40), max_size=6, unique=True).map(sorted),
    st.lists(st.integers(0, 2**32 - 1), max_size=6, unique=True).map(sorted),
)
def test_neighbours_have_hops_of_their_own(near: list[int], far: list[int]) -> None:
    """Judged by a dictionary over the hops of before, at the neighbours and beside them."""
    base = hops_of(
        [
            (b"\x02GATE1", Intervals.everything()),
            (b"\x02GATE2", Intervals.from_bounds([10, 30, 2**32 - 5], [19, 30, 2**32 - 1])),
        ],
        OWN,
    )
    addresses = sorted({*near, *far})
    own = {address: bytes([2, 0, *address.to_bytes(4, "big")]) for address in addresses}
    macs = np.frombuffer(b"".join(own.values()), np.uint8).reshape(len(own), 6)
    hops = with_neighbours(base, np.array(addresses, np.uint32), macs)
    assert hops.first[0] == 0
    assert np.all(np.diff(hops.first.astype(np.int64)) > 0)

    def hop(table: Hops, address: int) -> bytes:
        return bytes(table.macs[np.searchsorted(table.first, np.uint32(address), side="right") - 1].tobytes())

    for address in {*range(45), *(address + step for address in addresses for step in (-1, 0, 1)), 2**32 - 1}:
        if 0 <= address < 2**32:
            assert hop(hops, address) == own.get(address, hop(base, address))
