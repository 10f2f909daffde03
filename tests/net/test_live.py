"""Sending live frames over veth: every frame byte for byte and in order, exact counts, and reasons of refusals."""

import errno
import fcntl
import gc
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from pyroute2 import IPRoute

from liveness.errors import InterfaceDownError, InterfaceGoneError, UnsupportedError, UsageError
from liveness.net import tx_live
from liveness.net.links import switch_gro_on
from liveness.net.live import counting, pump
from liveness.net.live.layout import DUE_SHIFT, HOLD, IDLE, LENGTH_BITS
from liveness.net.live.pump import BATCH
from liveness.net.live.sending import CREDIT_NS
from liveness.net.rx_packet import PacketRxRing
from liveness.net.transport import XDP_LIVE, open_transport, try_ways, ways_for
from liveness.net.tx_live import LiveTxRing
from liveness.system.child import fork
from liveness.system.namespace import Namespace
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_network_of_root, in_private_network, set_link
from tests.net.test_rings import commit_frames, drain, inside, send_and_capture, write_frames

pytestmark = pytest.mark.lab

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x2, 0x1000
MOST_A_HANDOVER = BATCH
"""Frames that may be dropped before the sender pauses: those of a batch."""
PATIENCE_S = 30.0
"""Far more than a busy machine needs."""


@contextmanager
def joined(
    longest_frame: int = 120, multiple_of: int = 1, mtu: int = 1500
) -> Iterator[tuple[LiveTxRing, PacketRxRing, Namespace]]:
    """Yield a ring on one end of a veth link, a capture at the other, and the other end's namespace.

    All of it is on one core, because veth keeps the order of one core only.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with cable(mtu, gro=True) as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
        tx = LiveTxRing("v0", longest_frame, multiple_of)
        try:
            yield tx, rx, peer
        finally:
            tx.close()
            tx.close()
            rx.close()


def await_true(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def has_ended(pid: int) -> bool:
    """Return whether a process runs no more, even if its parent has not waited for it."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def arrived(rx: PacketRxRing, count: int) -> list[bytes]:
    """Return `count` frames, for which it waits, and any that come after them."""
    deadline = time.monotonic() + PATIENCE_S
    frames: list[bytes] = []
    while len(frames) < count and time.monotonic() < deadline:
        frames += drain(rx, 0.1)
    return frames + drain(rx, 0.1)


@pytest.mark.parametrize(("multiple_of", "longest_frame"), [(1, 120), (18, 300), (7, 1500)])
@in_network_of_root
def test_every_frame_arrives_byte_for_byte_and_in_order_round_the_ring(
    multiple_of: int, longest_frame: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tx_live, "SLOTS", 1500)
    with joined(longest_frame, multiple_of) as (tx, rx, _):
        assert len(tx.frames) % multiple_of == 0
        total = 3 * len(tx.frames) + 500
        sent, received = send_and_capture(tx, rx, total, batch=200)
        received += arrived(rx, total - len(received))
        assert received == sent
        assert (tx.completed, tx.errors, tx.waiting) == (total, 0, 0)
        assert len(tx.unsent()) == 0


@in_network_of_root
def test_a_trial_frame_is_in_no_count() -> None:
    with cable(gro=True):
        opened = open_transport("v0", 2, 120, 1, XDP_LIVE, "auto")
        assert opened.names == [XDP_LIVE, XDP_LIVE]
        for ring in opened.rings:
            assert (ring.completed, ring.errors, ring.waiting) == (0, 0, 0)
            commit_frames(ring, 7)
            assert ring.flush(PATIENCE_S) == 0
            assert (ring.completed, ring.errors) == (7, 0)
            ring.close()


@in_network_of_root
def test_an_interface_that_is_down_is_a_pause_that_loses_nothing() -> None:
    with joined() as (tx, rx, _):
        sent = commit_frames(tx, 5)
        tx.kick()
        for _ in range(2):
            assert tx.flush(PATIENCE_S) == 0  # the interface may not go down before they have left
            set_link("v0", "down")
            sent += commit_frames(tx, 10, number=len(sent))
            for _ in range(3):
                with pytest.raises(InterfaceDownError, match=r"interface v0: Network is down: .*ip link set v0 up"):
                    tx.kick()
            assert tx.unsent().tolist() == list(range(len(sent) - 10, len(sent)))
            set_link("v0", "up")
            assert tx.flush(PATIENCE_S) == 0
            assert (tx.completed, tx.errors) == (len(sent), 0)
        assert arrived(rx, len(sent)) == sent


@in_network_of_root
def test_an_interface_that_goes_down_while_frames_leave_loses_none_of_those_in_the_ring() -> None:
    """The program notices it by the first frame that is refused, which goes back into the ring."""
    with joined() as (tx, rx, _):
        sent = commit_frames(tx, 1)
        tx.kick()
        assert tx.flush(PATIENCE_S) == 0
        set_link("v0", "down")
        sent += commit_frames(tx, 50, number=1)
        assert tx._pump.keep_running() == 0
        await_true(lambda: tx._field(HOLD) == errno.ENETDOWN)  # the program has stopped
        with pytest.raises(InterfaceDownError):
            tx.kick()
        assert tx.unsent().tolist() == list(range(1, 51))
        set_link("v0", "up")
        assert tx.flush(PATIENCE_S) == 0
        assert (tx.completed, tx.errors) == (51, 0)
        assert arrived(rx, len(sent)) == sent


@in_network_of_root
def test_an_interface_that_is_removed_is_gone_and_the_ring_keeps_its_frames() -> None:
    with joined() as (tx, _, _):
        with IPRoute() as netlink:
            netlink.link("del", index=netlink.link_lookup(ifname="v0")[0])
        commit_frames(tx, 3)
        with pytest.raises(InterfaceGoneError, match=r"interface v0: .*it was removed"):
            tx.kick()
        assert tx.unsent().tolist() == [0, 1, 2]


@in_network_of_root
def test_frames_that_the_driver_drops_are_errors_and_not_completed() -> None:
    """The other end of the link goes down: its driver has no queue any more."""
    with joined() as (tx, rx, peer):
        commit_frames(tx, 3)
        assert tx.flush(PATIENCE_S) == 0
        peer.run(lambda: set_link("v1", "down"))
        commit_frames(tx, 7, number=3)
        assert tx.flush(PATIENCE_S) == 0
        assert (tx.completed, tx.errors) == (3, 7)
        peer.run(lambda: set_link("v1", "up"))
        sent = commit_frames(tx, 5, number=10)
        assert tx.flush(PATIENCE_S) == 0
        assert (tx.completed, tx.errors) == (8, 7)
        assert arrived(rx, 8)[-5:] == sent


@in_network_of_root
def test_a_frame_longer_than_the_mtu_is_an_error_and_the_others_leave() -> None:
    with joined(1000, mtu=500) as (tx, rx, _):
        lengths = np.full(len(tx.frames), 60, np.uint16)
        lengths[2] = 900
        first, count = tx.reserve(5)
        sent = write_frames(tx, first, count, 0, lengths)
        tx.commit(count, lengths)
        assert tx.flush(PATIENCE_S) == 0
        assert (tx.completed, tx.errors) == (4, 1)
        assert arrived(rx, 4) == [sent[i] for i in (0, 1, 3, 4)]


@in_network_of_root
def test_frames_that_nobody_kicked_stay_in_the_ring() -> None:
    with joined() as (tx, rx, _):
        lengths = np.full(len(tx.frames), 60, np.uint16)
        commit_frames(tx, 4)
        assert tx.unsent().tolist() == [0, 1, 2, 3]
        for wrong in (13, tx.frames.shape[1] + 1):
            tx.reserve(5)
            with pytest.raises(ValueError, match="out of bounds"):
                tx.commit(5, np.full(len(tx.frames), wrong, np.uint16))
        tx.reserve(2)
        with pytest.raises(ValueError, match="commit of 3 slots, 2 are reserved"):
            tx.commit(3, lengths)
        assert drain(rx, 0.1) == []
        assert tx.flush(PATIENCE_S) == 0
        assert len(arrived(rx, 4)) == tx.completed == 4


@in_network_of_root
def test_the_process_that_sends_ends_when_nothing_is_sent_and_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short calls stand for the long ones, between which nothing may be lost or sent twice."""
    monkeypatch.setattr(pump, "RUNS", 1 << 10)
    with joined() as (tx, rx, _):
        sent, received = send_and_capture(tx, rx, 5000, batch=500)
        received += arrived(rx, 5000 - len(received))
        pid = start(tx)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert sent == received
        more = commit_frames(tx, 10, number=5000)
        assert tx.flush(PATIENCE_S) == 0
        assert arrived(rx, 11)[-10:] == more


def start(tx: LiveTxRing) -> int:
    """Send one frame, and return the id of the process that sends."""
    before = tx.completed
    commit_frames(tx, 1, number=1 << 20)
    await_true(lambda: tx.kick() and tx.completed > before)
    return tx._pump._pid


@in_network_of_root
def test_the_process_that_sends_has_no_privileges_and_dies_with_the_owner_of_the_ring() -> None:
    with cable(gro=True):
        reader, writer = os.pipe()
        owner = fork()
        if owner == 0:
            os.write(writer, str(start(LiveTxRing("v0", 120))).encode())
            signal.pause()
        pid = int(os.read(reader, 20))
        status = Path(f"/proc/{pid}/status").read_text()
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        assert {line.split()[1] for line in status.splitlines() if line.startswith("Cap")} == {"0" * 16}
        await_true(lambda: has_ended(pid))


@pytest.mark.parametrize(
    ("allowed", "taken", "expected"),
    [({0, 1, 2}, {1}, {0, 2}), ({0, 1}, {0}, {1}), ({0, 1}, {0, 1}, {0, 1}), ({5}, {5}, {5})],
)
def test_the_process_that_sends_has_other_cores_than_the_owner(
    allowed: set[int], taken: set[int], expected: set[int]
) -> None:
    assert pump.cores_for_sending(allowed, taken) == expected


def test_a_batch_has_whole_periods_of_frames() -> None:
    assert [pump.batch_for(period) for period in (1, 9, 18, 64, 100, 128)] == [128, 126, 126, 128, 100, 128]
    assert pump.batch_for(129) == pump.BATCH, "no period fits"


@in_network_of_root
def test_the_process_that_sends_is_bound_to_its_cores() -> None:
    with cable(gro=True):
        allowed = os.sched_getaffinity(0)
        tx = LiveTxRing("v0", 120)
        os.sched_setaffinity(0, {min(allowed)})
        assert os.sched_getaffinity(start(tx)) == pump.cores_for_sending(allowed, {min(allowed)})
        tx.close()


@in_network_of_root
def test_rings_on_the_same_interface_count_their_own_frames_only() -> None:
    with cable(gro=True) as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
        rings = [LiveTxRing("v0", 120) for _ in range(3)]
        for _ in range(4):
            for count, ring in enumerate(rings, 1):
                commit_frames(ring, 256 * count)
            for ring in rings:  # all of them send at the same time
                ring.kick()
            assert [ring.flush(PATIENCE_S) for ring in rings] == [0, 0, 0]
        assert [ring.completed + ring.errors for ring in rings] == [1024, 2048, 3072]
        sent, deadline = sum(ring.completed for ring in rings), time.monotonic() + PATIENCE_S
        while rx.statistics().packets < sent and time.monotonic() < deadline:
            time.sleep(0.01)
        assert rx.statistics().packets == sent  # also those for which the capture had no room meanwhile
        for ring in rings:
            ring.close()
        rx.close()


@in_network_of_root
def test_a_ring_that_knows_its_rate_is_ready_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """The long call of the kernel has begun, so that the first frames leave at their rate."""
    monkeypatch.setattr(pump, "FIRST_S", 2 * PATIENCE_S)  # before the long call, if frames were sent one by one
    with joined() as (tx, rx, _):
        tx.pace(1000, 60)
        assert tx._field(IDLE) == 1
        pid = tx._pump._pid
        sent = commit_frames(tx, 5)
        await_true(lambda: tx.kick() and tx.completed == 5)
        assert tx._pump._pid == pid
        tx.pace(2000, 60)  # another rate needs no other process
        assert tx._pump._pid == pid
        assert arrived(rx, 5) == sent


@in_network_of_root
def test_a_ring_without_a_rate_has_frames_waiting_until_each_of_them_has_left() -> None:
    """A survey, which sets no rate, records a frame as sent when the kick says that nothing is left to send."""
    with joined() as (tx, rx, _):
        for number in range(0, 30, 10):
            commit_frames(tx, 10, number=number)
            while not tx.kick():
                tx.wait(PATIENCE_S)
            assert (tx.completed, tx.errors, tx.waiting) == (number + 10, 0, 0)
        assert len(arrived(rx, 30)) == 30


@in_network_of_root
def test_frames_are_no_closer_together_than_the_pace_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tx_live, "LONGEST_GAP_NS", 10**9)
    with joined() as (tx, _, _):
        tx.pace(25, 60)  # at most a frame each 20 ms
        began_ns = time.monotonic_ns()
        commit_frames(tx, 60)
        await_true(lambda: tx.kick() and tx.completed == 60)
        assert time.monotonic_ns() - began_ns >= 59 * 20 * 10**6 - CREDIT_NS
        assert tx.errors == 0


@in_network_of_root
def test_no_frame_leaves_before_its_time() -> None:
    """Half of the frames are late, the others are due in steps of 20 s."""
    with joined() as (tx, rx, _):
        count, step_s = 40, 20.0
        assert tx.pace(1000, 60) == tx_live.LEAD_S
        first_s = time.monotonic() - 20 * step_s
        tx.spread(first_s, first_s + count * step_s)
        sent = commit_frames(tx, count)
        await_true(lambda: tx.kick() and tx.completed >= 20)
        tx._control[IDLE // 8] = 0
        await_true(lambda: tx._field(IDLE) == 1)  # the program has found nothing that is due
        assert 20 <= tx.completed <= (time.monotonic() - first_s) / step_s + 1
        tx._headers[:count] = tx._due(1) | np.uint64(60)
        assert tx.flush(PATIENCE_S) == 0
        assert arrived(rx, count) == sent


@in_network_of_root
def test_the_times_of_a_commit_are_not_those_of_the_next_one() -> None:
    with joined() as (tx, rx, _):
        tx.pace(1000, 60)
        tx.spread(time.monotonic() - 2, time.monotonic() - 1)
        sent = commit_frames(tx, 3)
        early = int(tx._headers[2])
        sent += commit_frames(tx, 3, number=3)
        assert tx._headers[3] == tx._headers[5]
        assert int(tx._headers[3]) - early > int(1e9) >> DUE_SHIFT << LENGTH_BITS
        assert tx.flush(PATIENCE_S) == 0
        assert arrived(rx, 6) == sent


@in_network_of_root
def test_frames_leave_at_any_time_at_rates_beyond_what_the_kernel_sends() -> None:
    with joined() as (tx, rx, _):
        assert tx.pace(1e9, 60) == 0
        tx.spread(time.monotonic() + 10 * PATIENCE_S, time.monotonic() + 20 * PATIENCE_S)
        sent = commit_frames(tx, 10)
        assert tx.flush(PATIENCE_S) == 0
        assert arrived(rx, 10) == sent


@pytest.mark.parametrize("page_bytes", [20, 60, 90, 120, 400, 1500])
@in_network_of_root
def test_frames_of_all_lengths_leave_whatever_is_usual(page_bytes: int) -> None:
    with joined(1500) as (tx, rx, _):
        tx.pace(1e9, page_bytes)
        lengths = np.resize(np.r_[14:140, 300, 1499, 1500].astype(np.uint16), len(tx.frames))
        total = 129
        first, count = tx.reserve(total)
        assert count == total
        sent = write_frames(tx, first, count, 0, lengths)
        tx.commit(count, lengths)
        assert tx.flush(PATIENCE_S) == 0
        assert (tx.completed, tx.errors) == (total, 0)
        assert arrived(rx, total) == sent


@in_network_of_root
def test_closing_a_ring_leaves_nothing_open() -> None:
    with cable(gro=True):
        before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names
        tx = LiveTxRing("v0", 120)
        opened = set(os.listdir("/proc/self/fd")) - before  # noqa: PTH208 - names
        assert len(opened) == len(tx.descriptors) + len(tx.mappings)  # Python keeps a copy of a mapped descriptor
        pid = start(tx)
        tx.close()
        assert not Path(f"/proc/{pid}").exists()
        del tx
        gc.collect()
        assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names


@in_network_of_root
def test_a_link_whose_other_end_has_no_gro_is_refused_with_the_remedy() -> None:
    with cable() as peer:
        with pytest.raises(UnsupportedError, match=r"xdp_live on v0.*ndo_xdp_xmit.*ethtool -K NAME gro on"):
            open_transport("v0", 1, 120, 1, XDP_LIVE, "auto")
        peer.run(lambda: switch_gro_on("v1"))
        (trial,) = [trial for trial in try_ways("v0") if trial.way == XDP_LIVE]
        assert trial.passed


@in_network_of_root
def test_loopback_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="its driver takes no frames from XDP programs"):
        open_transport("lo", 1, 120, 1, XDP_LIVE, "auto")


@in_private_network
def test_root_of_a_user_namespace_is_refused_with_the_remedy() -> None:
    with cable(gro=True), pytest.raises(UnsupportedError, match="in the initial user namespace: run as root"):
        open_transport("v0", 1, 120, 1, XDP_LIVE, "auto")


@in_network_of_root
def test_a_kernel_that_refuses_the_process_without_privileges_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(pump, "run_on_live_frames", refuse)
    with cable(gro=True):
        with pytest.raises(UnsupportedError, match=r"xdp_live on v0: .*Linux 5\.19.*: set network\.transport: auto"):
            open_transport("v0", 1, 120, 1, XDP_LIVE, "auto")
        tx = LiveTxRing("v0", 120)
        with pytest.raises(UnsupportedError, match=r"Linux 5\.19"):
            tx.pace(1000, 60)
        tx.close()


@in_network_of_root
def test_frames_that_do_not_fit_into_a_page_are_refused() -> None:
    with cable(gro=True), pytest.raises(UnsupportedError, match="frames of 4000 bytes: 2048 at most"):
        open_transport("v0", 1, 4000, 1, XDP_LIVE, "auto")


def test_an_interface_without_ethernet_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"xdp_live sends Ethernet frames: set network\.transport to auto"):
        open_transport("tun0", 1, 120, 1, XDP_LIVE, "auto", ethernet=False)


def test_zero_copy_cannot_be_required_with_it() -> None:
    with pytest.raises(UsageError, match=r"network.zero_copy: require: xdp_live copies"):
        open_transport("lo", 1, 120, 1, XDP_LIVE, "require")


@pytest.mark.parametrize("zero_copy", ["auto", "never", "require"])
@pytest.mark.parametrize("transport", ["auto", "af_xdp", "af_packet"])
def test_it_is_used_only_where_it_is_named(transport: str, zero_copy: str) -> None:
    assert XDP_LIVE not in ways_for(transport, zero_copy)
    assert ways_for(XDP_LIVE, "auto") == (XDP_LIVE,)


@contextmanager
def tap(name: str) -> Iterator[int]:
    """Yield the descriptor of a TAP device: its queue of frames is emptied only by reading from it."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        set_link(name, "up")
        yield descriptor
    finally:
        os.close(descriptor)


def read_frames(descriptor: int) -> list[bytes]:
    """Return the frames of our tests in the queue of a TAP device, and not those of its IPv6 stack."""
    frames = []
    with suppress(BlockingIOError):
        while True:
            frames.append(os.read(descriptor, 2048))
    return [frame for frame in frames if frame[12:14] == TEST_ETHERTYPE.to_bytes(2, "big")]


@in_network_of_root
def test_frames_that_find_the_queue_of_the_driver_full_are_dropped_and_counted_exactly() -> None:
    with tap("t0") as descriptor:
        tx = LiveTxRing("t0", 120)
        for number in range(3):
            sent = commit_frames(tx, 3000, number=number * 3000)
            assert tx.flush(PATIENCE_S) == 0
            received = read_frames(descriptor)
            assert 0 < len(received) < 3000
            assert (tx.completed, tx.errors) == (len(received), 3000 - len(received))
            assert sorted(set(received) - set(sent)) == []
            assert received == sorted(set(received))  # in order, none twice
            tx.count_from_here()
        tx.close()


@in_network_of_root
def test_a_driver_without_room_gets_frames_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each drop the sender pauses: a full queue may not cost as many frames as the ring can hold."""
    pause_ns = 5 * 10**6
    monkeypatch.setattr(counting, "BACK_PRESSURE_NS", pause_ns)
    with tap("t0") as descriptor:
        tx = LiveTxRing("t0", 120)
        commit_frames(tx, 3000)
        began_ns = time.monotonic_ns()
        assert tx.flush(PATIENCE_S) == 0
        drops = -(-tx.errors // MOST_A_HANDOVER)
        assert len(read_frames(descriptor)) + tx.errors == 3000
        assert time.monotonic_ns() - began_ns >= (drops - 1) * pause_ns
        tx.close()


@in_network_of_root
def test_what_one_ring_loses_is_not_counted_by_another_one() -> None:
    with cable(gro=True), tap("t0"):
        sending, losing = LiveTxRing("v0", 120), LiveTxRing("t0", 120)
        for _ in range(5):
            for ring in (sending, losing):
                commit_frames(ring, 3000)
            for ring in (losing, sending):  # at the same time
                ring.kick()
            assert [ring.flush(PATIENCE_S) for ring in (sending, losing)] == [0, 0]
        assert losing.errors > 10_000
        assert sending.completed + sending.errors == losing.completed + losing.errors == 15_000
        assert sending.errors < losing.errors / 10  # the link has room unless the other end's core is busy
        for ring in (sending, losing):
            ring.close()
