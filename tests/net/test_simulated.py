"""The transmit rings over kernels that are not this machine's: older, shorter, refusing, or stuck."""

import errno
import itertools
import os
import re

import numpy as np
import pytest

from liveness.errors import InterfaceDownError, InterfaceGoneError, LivenessError, UnsupportedError
from liveness.net import ring, xdp
from liveness.net.ring import TxRing
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import SLOT_BYTES, SLOTS, XdpTxRing
from tests.net.simulated import SimulatedKernel, SimulatedXdpSocket
from tests.net.test_rings import commit_frames, write_frames

LOOPBACK = "lo"
NO_BUDGET = frozenset({xdp.XDP_MAX_TX_SKB_BUDGET})


def xdp_ring(kernel: SimulatedKernel, multiple_of: int = 1, *, zero_copy: bool = False) -> XdpTxRing:
    return XdpTxRing(LOOPBACK, 100, multiple_of, zero_copy=zero_copy, kernel=kernel)


def ring_of(kind: str, kernel: SimulatedKernel) -> TxRing:
    return xdp_ring(kernel) if kind == "af_xdp" else PacketTxRing(LOOPBACK, 100, kernel=kernel)


@pytest.mark.parametrize("refused", [frozenset(), NO_BUDGET])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 1000, SLOTS])
def test_one_kick_sends_everything_however_little_a_call_does(refused: frozenset[int], count: int) -> None:
    kernel = SimulatedKernel(refused=refused)
    tx = xdp_ring(kernel)
    sent = commit_frames(tx, count)
    assert tx.kick()
    assert kernel.sent == sent
    assert tx.completed == count
    assert tx.unsent().size == 0
    assert kernel.calls == (-(-count // 32) if refused else 1)
    assert tx.frames_a_call == (32 if refused else 4096)


def test_a_queue_that_is_full_for_a_while_keeps_frames_for_the_next_kick() -> None:
    """However many calls the frames may need, a kick comes to an end, and says that something is left."""
    kernel = SimulatedKernel(refused=NO_BUDGET, answers=[0, *[errno.EAGAIN] * 5])
    tx = xdp_ring(kernel)
    sent = commit_frames(tx, 96)
    assert not tx.kick()
    assert kernel.calls == 3
    assert kernel.sent == sent[:32]
    assert not tx.kick()
    assert tx.flush(5) == 0
    assert kernel.sent == sent


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOBUFS, errno.EINTR])
@pytest.mark.parametrize("kind", ["af_xdp", "af_packet"])
def test_back_pressure_loses_nothing(kind: str, code: int) -> None:
    kernel = SimulatedKernel(answers=itertools.cycle([code, code, 0]))
    tx = ring_of(kind, kernel)
    sent = commit_frames(tx, 700)
    assert not tx.kick()
    assert tx.unsent().tolist() == list(range(700))
    assert tx.flush(5) == 0
    assert kernel.sent == sent
    assert (tx.completed, tx.errors) == (700, 0)


def test_frames_that_the_interface_drops_are_counted_and_end() -> None:
    """EBUSY is a frame each, which is lost and completed."""
    kernel = SimulatedKernel(answers=[errno.EBUSY] * 3)
    tx = xdp_ring(kernel)
    commit_frames(tx, 5)
    assert tx.kick()
    assert (tx.completed, tx.errors) == (2, 3)
    kernel.always = errno.EBUSY
    commit_frames(tx, 5)
    assert tx.kick()
    assert (tx.completed, tx.errors, tx.unsent().size) == (2, 8, 0)
    zero_copy = xdp_ring(kernel, zero_copy=True)  # where it tells nothing about a frame
    commit_frames(zero_copy, 5)
    assert not zero_copy.kick()
    assert (zero_copy.completed, zero_copy.errors, zero_copy.unsent().size) == (0, 0, 5)


@pytest.mark.parametrize("kind", ["af_xdp", "af_packet"])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENETDOWN, InterfaceDownError),
        (errno.ENXIO, InterfaceGoneError),
        (errno.ENODEV, InterfaceGoneError),
        (errno.EPERM, LivenessError),
    ],
)
def test_a_wake_up_that_is_refused_is_classified(kind: str, code: int, error: type[LivenessError]) -> None:
    kernel = SimulatedKernel(always=code)
    tx = ring_of(kind, kernel)
    sent = commit_frames(tx, 3)
    with pytest.raises(error, match=f"interface lo: {os.strerror(code)}") as caught:
        tx.kick()
    assert type(caught.value) is error
    assert tx.unsent().tolist() == [0, 1, 2]
    kernel.always = 0
    assert tx.kick()
    assert kernel.sent == sent


@pytest.mark.parametrize("code", [errno.ENXIO, errno.EINVAL])
def test_a_driver_that_wants_a_program_for_zero_copy_is_not_called_removed(code: int) -> None:
    """As ixgbe, i40e, ice, igc, mlx5 and gve answer."""
    tx = xdp_ring(SimulatedKernel(always=code), zero_copy=True)
    commit_frames(tx, 1)
    with pytest.raises(
        LivenessError, match=r"lo, queue 0: its driver refuses .*: set network.zero_copy: never"
    ) as raised:
        tx.kick()
    assert not isinstance(raised.value, InterfaceGoneError)


@pytest.mark.parametrize("kind", ["af_xdp", "af_packet"])
@pytest.mark.parametrize("completes", [False, True])
def test_no_progress_with_frames_committed_is_an_error(
    kind: str, completes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the kernel takes them and never completes them, or never takes them."""
    monkeypatch.setattr(ring, "STALL_S", 0.3)
    monkeypatch.setattr(ring, "LOOK_EVERY_S", 0.01)
    kernel = SimulatedKernel(always=errno.EAGAIN if completes else 0, completes=completes)
    tx = ring_of(kind, kernel)
    tx.kick()
    commit_frames(tx, 7)
    with pytest.raises(LivenessError, match=r"interface lo.*: none of 7 frames has left") as raised:
        tx.flush(60)
    assert re.search(r"ethtool -l lo|tc -s qdisc show dev lo", str(raised.value))
    assert tx.unsent().size == 7


def test_a_stall_counts_only_while_frames_are_waited_for() -> None:
    now_s = 100.0
    watch = ring.StallWatch(lambda: now_s)

    def look(after_s: float, left: int, waiting: int) -> bool:
        nonlocal now_s
        now_s += after_s
        assert watch.due()
        return watch.stalled(left, waiting)

    assert not look(0.5, 0, 3)
    assert not any(look(0.5, 0, 3) for _ in range(10))
    assert look(0.5, 0, 3)
    assert not look(0.5, 1, 3)  # one left
    assert not any(look(0.5, 1, 3) for _ in range(10))
    assert not look(60, 1, 3)  # suspended, or held: the kernel was not asked meanwhile
    assert not any(look(0.5, 1, 3) for _ in range(10))
    assert look(0.5, 1, 3)
    assert not any(look(0.5, 1, 0) for _ in range(30))  # nothing is to leave


@pytest.mark.parametrize(("offsets_bytes", "statistics_bytes"), [(96, 24), (128, 24), (128, 48)])
def test_structures_of_older_kernels_are_read_by_their_length(offsets_bytes: int, statistics_bytes: int) -> None:
    """xdp_mmap_offsets before Linux 5.4, xdp_statistics before 5.9."""
    kernel = SimulatedKernel(refused=NO_BUDGET, offsets_bytes=offsets_bytes, statistics_bytes=statistics_bytes)
    tx = xdp_ring(kernel)
    sent = commit_frames(tx, 100)
    assert tx.kick()
    assert kernel.sent == sent
    (handle,) = kernel.sockets
    assert isinstance(handle, SimulatedXdpSocket)
    handle.invalid = 4
    assert (tx.completed, tx.errors) == (100, 4)


@pytest.mark.parametrize("offsets_bytes", [0, 64])
def test_a_structure_of_another_length_is_unsupported(offsets_bytes: int) -> None:
    kernel = SimulatedKernel(offsets_bytes=offsets_bytes)
    with pytest.raises(UnsupportedError, match=f"ring offsets of {offsets_bytes} bytes"):
        xdp_ring(kernel)
    assert kernel.sockets[0].closed


@pytest.mark.parametrize("option", [xdp.XDP_UMEM_REG, xdp.XDP_TX_RING, xdp.XDP_MMAP_OFFSETS])
def test_an_option_that_is_needed_and_refused_is_unsupported(option: int) -> None:
    kernel = SimulatedKernel(refused={option})
    with pytest.raises(UnsupportedError, match=r"AF_XDP: cannot register frames: Protocol not available"):
        xdp_ring(kernel)
    assert kernel.sockets[0].closed


@pytest.mark.parametrize("longest", [60, SLOT_BYTES - 1, SLOT_BYTES, 1000])
def test_no_frame_ends_where_its_chunk_does(longest: int) -> None:
    """Kernels before 6.5 refuse a frame whose last byte is its chunk's last."""
    kernel = SimulatedKernel()
    tx = XdpTxRing(LOOPBACK, longest, kernel=kernel)
    lengths = np.full(len(tx.frames), longest, np.uint16)
    first, count = tx.reserve(len(tx.frames))
    sent = write_frames(tx, first, count, 0, lengths)
    tx.commit(count, lengths)
    assert tx.kick()
    assert tx.errors == 0
    assert kernel.sent == sent


@pytest.mark.parametrize("kind", ["af_xdp", "af_packet"])
def test_what_left_before_the_count_began_is_not_in_it(kind: str) -> None:
    kernel = SimulatedKernel()
    tx = ring_of(kind, kernel)
    assert isinstance(tx, XdpTxRing | PacketTxRing)
    commit_frames(tx, 2)
    assert tx.kick()
    tx.count_from_here()
    assert (tx.completed, tx.errors) == (0, 0)
    commit_frames(tx, 3)
    assert tx.kick()
    assert (tx.completed, tx.errors) == (3, 0)
