"""Planes of a running survey: what a kill leaves, what a power failure cuts, and the turn to addresses."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.errors import LivenessError
from liveness.planes import stored as stored_rounds
from liveness.planes.live import LISTENED_NS, SENT, STORED, SYNCED_NS, LivePlanes
from liveness.planes.matrix import PLANES, Planes
from liveness.planes.stored import BLOCKS_AT_ONCE, StoredRounds, stored_name, transpose_bits

BLOCKS, PROBES, DEPTH = 3, 2, 5
NAMES = ("icmp", "tcp/80")


def test_the_planes_outlive_those_who_set_them(tmp_path: Path) -> None:
    live = LivePlanes.create(tmp_path, BLOCKS, PROBES, DEPTH)
    live.of_round(4)[1, SENT, 7] = 0b1010
    live.close()
    del live
    again = LivePlanes.open(tmp_path, BLOCKS, PROBES, DEPTH)
    assert again.of_round(4)[1, SENT, 7] == 0b1010
    assert again.of_round(4).sum() == 0b1010
    with pytest.raises(ValueError, match="round 5"):
        again.of_round(5)
    assert (tmp_path / "rounds" / "live").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("killed", ["before", "between", "after"])
def test_a_kill_while_a_round_is_stored_leaves_it_once(tmp_path: Path, killed: str) -> None:
    live = LivePlanes.create(tmp_path, BLOCKS, PROBES, DEPTH)
    for number in range(DEPTH):
        live.of_round(number)[:] = number + 1
    with StoredRounds(tmp_path, NAMES, BLOCKS, 0) as stored:
        stored.append(live.of_round(0))
        if killed == "between":
            live.header[STORED] = 1
        if killed == "after":
            live.release(0)
    del live
    live = LivePlanes.open(tmp_path, BLOCKS, PROBES, DEPTH)
    first = 0 if killed == "before" else 1
    with StoredRounds(tmp_path, NAMES, BLOCKS, live.stored) as stored:
        assert stored.rounds == live.stored == first
        for number in range(first, DEPTH):
            stored.append(live.of_round(number))
            live.release(number)
        assert not live.of_round(DEPTH).any()
        for probe in range(PROBES):
            (planes,) = stored.by_address(probe, ())
            for plane in PLANES:
                bits = np.unpackbits(getattr(planes, plane), axis=1, bitorder="little")[:, :DEPTH]
                for number in range(DEPTH):
                    bytes_of = np.packbits(bits[:, number], bitorder="little")
                    assert set(bytes_of.tolist()) == {number + 1}


def test_a_torn_tail_is_dropped_and_a_short_file_refused(tmp_path: Path) -> None:
    LivePlanes.create(tmp_path, BLOCKS, PROBES, DEPTH)
    planes = np.full((PROBES, len(PLANES), BLOCKS * 32), 3, np.uint8)
    with StoredRounds(tmp_path, NAMES, BLOCKS, 0) as stored:
        stored.append(planes)
        stored.append(planes)
    torn = tmp_path / stored_name("tcp/80", "sent")
    os.truncate(torn, 2 * BLOCKS * 32 - 1)
    with StoredRounds(tmp_path, NAMES, BLOCKS, 1):
        assert torn.stat().st_size == BLOCKS * 32
    with pytest.raises(LivenessError, match=r"icmp\.sent\.bits: 96 bytes, where 2 rounds take 192"):
        StoredRounds(tmp_path, NAMES, BLOCKS, 2)


def test_a_round_without_a_bit_takes_no_space(tmp_path: Path) -> None:
    blocks = 2_000
    LivePlanes.create(tmp_path, blocks, 1, DEPTH)
    with StoredRounds(tmp_path, ("icmp",), blocks, 0) as stored:
        for _ in range(100):
            stored.append(np.zeros((1, len(PLANES), blocks * 32), np.uint8))
        assert not any(planes.sent.any() for planes in stored.by_address(0, ()))
    found = (tmp_path / stored_name("icmp", "sent")).stat()
    assert found.st_size == 100 * blocks * 32
    assert found.st_blocks * 512 < blocks * 32


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_rounds_become_addresses(stored_rounds: int, live_rounds: int, seed: int) -> None:
    blocks = BLOCKS_AT_ONCE + 1
    random = np.random.default_rng(seed)
    rounds = stored_rounds + live_rounds
    bits = random.integers(0, 2, (rounds, len(PLANES), blocks * 256), np.uint8)
    records = np.packbits(bits, axis=2, bitorder="little")[:, None]
    with tempfile.TemporaryDirectory() as folder:
        LivePlanes.create(Path(folder), 1, 1, 1)
        with StoredRounds(Path(folder), ("icmp",), blocks, 0) as stored:
            for record in records[:stored_rounds]:
                stored.append(record)
            parts: list[Planes] = list(stored.by_address(0, list(records[stored_rounds:])))
    for at, plane in enumerate(PLANES):
        whole = np.concatenate([getattr(part, plane) for part in parts])
        assert np.array_equal(whole, np.packbits(bits[:, at].T, axis=1, bitorder="little"))


def test_a_square_is_transposed_bit_by_bit() -> None:
    for round_, address in np.ndindex(16, 24):
        by_round = np.zeros((16, 3), np.uint8)
        by_round[round_, address // 8] = 1 << address % 8
        by_address = np.full((24, 2), 0xFF, np.uint8)
        transpose_bits(by_round, by_address)
        assert by_address[address, round_ // 8] == 1 << round_ % 8
        assert np.count_nonzero(by_address) == 1


def test_damage_is_named(tmp_path: Path) -> None:
    LivePlanes.create(tmp_path, BLOCKS, PROBES, DEPTH)
    with pytest.raises(LivenessError, match="rounds/live: a damaged file, or one of another survey"):
        LivePlanes.open(tmp_path, BLOCKS, DEPTH, PROBES)
    with pytest.raises(LivenessError, match="rounds/live"):
        LivePlanes.open(tmp_path, BLOCKS + 1, PROBES, DEPTH)
    (tmp_path / "rounds" / "live").unlink()
    with pytest.raises(LivenessError, match="rounds/live: cannot open the rounds of this survey: No such file"):
        LivePlanes.open(tmp_path, BLOCKS, PROBES, DEPTH)


def test_a_sync_notes_until_when_somebody_listened(tmp_path: Path) -> None:
    live = LivePlanes.create(tmp_path, BLOCKS, PROBES, DEPTH)
    live.header[LISTENED_NS] = 12345
    live.sync()
    assert live.header[SYNCED_NS] == 12345


def test_many_rounds_are_turned_fewer_blocks_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of 2**20 rounds, all blocks that are turned at once would take 21 GB."""
    monkeypatch.setattr(stored_rounds, "BYTES_AT_ONCE", 1 << 20)
    LivePlanes.create(tmp_path, 1, 1, 1)
    for rounds, parts in ((200, 2), (5_000, 22), (40_000, 130)):
        with StoredRounds(tmp_path, ("icmp",), 130, 0) as stored:
            stored.append_nothing(rounds)
            first = next(stored.by_address(0, ()))
        assert -(-130 * 256 // len(first.sent)) == parts
        assert first.sent.nbytes <= 2 << 20


class Disk:
    """What is on the disk after each flush of the live planes: the rounds that are stored, tags and bits."""

    def __init__(self, live: LivePlanes) -> None:
        self.live = live
        self.mapping = live._mapping
        self.states: list[tuple[int, list[int], list[bool]]] = []
        live._mapping = self  # type: ignore[assignment]

    def flush(self, *part: int) -> None:
        self.mapping.flush(*part)
        live = self.live
        self.states.append((live.stored, live.tags.tolist(), [bool(bits.any()) for bits in live.bits]))


def full(path: Path, blocks: int) -> tuple[LivePlanes, Disk]:
    path.mkdir()
    live = LivePlanes.create(path, blocks, PROBES, 3)
    live.bits[:] = 1
    return live, Disk(live)


@pytest.mark.parametrize("blocks", [1, 3, 32])
def test_what_is_stored_is_on_disk_before_its_bits_go_and_they_before_the_place_has_another_round(
    tmp_path: Path, blocks: int
) -> None:
    """Otherwise a power failure could leave a stored round without bits, or a new one with those of another."""
    live, disk = full(tmp_path / "a", blocks)
    live.release(0)
    live.release(1)
    assert disk.states == [
        (1, [0, 1, 2], [True, True, True]),
        (1, [0, 1, 2], [False, True, True]),
        (2, [3, 1, 2], [False, True, True]),
        (2, [3, 1, 2], [False, False, True]),
    ]
    assert live.tags.tolist() == [3, 4, 2]
    live, disk = full(tmp_path / "b", blocks)
    live.begin_at(2)
    assert disk.states == [(2, [0, 1, 2], [True, True, True]), (2, [0, 1, 2], [False, False, True])]
    assert live.tags.tolist() == [3, 4, 2]
