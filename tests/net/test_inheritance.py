"""What a child has of rings: it receives from its own, sends through none, and has nothing of the others."""

import ctypes
import fcntl
import os
import platform
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from liveness.net import inheritance
from liveness.net.inheritance import given, withhold
from liveness.net.ring import descriptors_of
from liveness.net.rx_packet import PacketRxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.scan.process import Child
from liveness.system.child import libc, run_in_child
from liveness.system.privileges import confine_to, drop_privileges
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_private_network
from tests.system.test_privileges import outcome, work_in

SENDING: dict[str, Callable[[int, int], object]] = {
    "write": lambda ring, _: os.write(ring, bytes(60)),
    "writev": lambda ring, _: os.writev(ring, [bytes(60)]),
    "pwrite": lambda ring, _: os.pwrite(ring, bytes(60), 0),
    "pwritev": lambda ring, _: os.pwritev(ring, [bytes(60)], 0),
    "sendfile": lambda ring, file: os.sendfile(ring, file, 0, 60),
    "splice": lambda ring, file: os.splice(file, ring, 60, offset_src=0),
    "dup": lambda ring, _: os.write(os.dup(ring), bytes(60)),
    "dup2": lambda ring, _: os.write(os.dup2(ring, 99), bytes(60)),
    "fcntl": lambda ring, _: os.write(fcntl.fcntl(ring, fcntl.F_DUPFD, 50), bytes(60)),
    "ioctl": lambda ring, _: fcntl.ioctl(ring, 0x8933, bytes(40)),
    "send": lambda ring, _: libc_call("send", ring, bytes(60), 60, 0),
    "aio": lambda _ring, _file: libc_call("syscall", 206 if platform.machine() == "x86_64" else 0, 1, bytes(8)),
}
"""Ways to send through the socket of a capture, or to prepare one."""


def libc_call(name: str, *arguments: object) -> None:
    if int(getattr(libc, name)(*arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")


@in_private_network
def test_a_receiver_cannot_send_through_the_socket_that_it_receives_from(tmp_path: Path) -> None:
    """What another socket sees on the interface is the judge: before it is confined each way to send works."""
    with cable():
        watch = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        watch.bind(("v0", 3))
        watch.settimeout(0.2)
        (tmp_path / "frame").write_bytes(bytes(60))

        def sent() -> int:
            """Return how many frames have left since the last call."""
            count = 0
            with suppress(TimeoutError):
                while True:
                    data, address = watch.recvfrom(2048)
                    count += address[2] == socket.PACKET_OUTGOING and data == bytes(60)
            return count

        def receiver() -> dict[str, str]:
            ring = PacketRxRing("v0", ethertype_filter(TEST_ETHERTYPE), 1)
            file = os.open(tmp_path / "frame", os.O_RDONLY)
            drop_privileges(None)
            os.write(ring.fileno(), bytes(60))  # as long as it is not confined
            confine_to(tmp_path, (ring.fileno(),))
            found = {name: outcome(partial(attempt, ring.fileno(), file)) for name, attempt in SENDING.items()}
            ring.statistics()
            ring.blocks(0.05)
            work_in(tmp_path)
            return found

        sent()
        found = run_in_child(receiver)
        assert sent() == 1
        assert found == dict.fromkeys(SENDING, "EPERM")


def open_files() -> list[str]:
    """Return what the descriptors of this process name, but the standard ones."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor of the listing itself
            found += [str(link.readlink())] * (int(link.name) > 2)
    return found


@pytest.mark.parametrize("gives_back", [True, False])
@in_private_network
def test_a_receiver_inherits_nothing_of_a_sender_s_ring(gives_back: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the descriptor nor the memory: a frame that stands in a ring cannot be changed, and poll flushes none.

    Also where the kernel does not give memory back that was withheld, as Linux 7.3.
    """
    if not gives_back:
        monkeypatch.setattr(inheritance, "_can_be_given", lambda _: False)
    with cable():
        tx = XdpTxRing("v0", 60)
        rx = PacketRxRing("v0", ethertype_filter(TEST_ETHERTYPE), 1)
        maps_before = sum("socket:" in line for line in Path("/proc/self/maps").read_text().splitlines())
        for ring in (tx, rx):
            withhold(ring)

        def look() -> tuple[list[str], int]:
            sockets = [file for file in open_files() if file.startswith("socket:")]
            maps = Path("/proc/self/maps").read_text().splitlines()
            assert rx.blocks(0.01) is None  # its own ring works
            return sockets, sum("socket:" in line for line in maps)

        with given(rx):
            child: Child[tuple[list[str], int]] = Child("receiver", look, keep=descriptors_of(rx))
        while not child.ended():
            time.sleep(0.01)
        assert child.problem() is None
        sockets, maps = child.result() or ([], 0)
        assert sockets == [str(Path(f"/proc/self/fd/{rx.fileno()}").readlink())]
        assert (maps_before, maps) == (3, 1)

        def touch() -> None:
            tx.frames[0, 0] = 1

        with given(rx):
            touching: Child[None] = Child("receiver", touch, keep=descriptors_of(rx))
        while not touching.ended():
            time.sleep(0.01)
        assert touching.problem() == "receiver process was killed by SIGSEGV"
        tx.frames[0, 0] = 2  # the sender's own is there
        tx.close()
        rx.close()
