"""A kernel of its own for the transmit rings: what it has, what it refuses and when it sends is up to the test."""

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from liveness.errors import UnsupportedError
from liveness.net import tpacket, xdp
from liveness.net.system_calls import Kernel, KernelSocket, RingSocket


@dataclass
class SimulatedKernel(Kernel):
    """AF_XDP and PACKET_TX_RING in memory: frames that are sent are kept, and nothing needs a privilege."""

    refused: Collection[int] = ()
    """Options of AF_XDP that it does not have."""
    offsets_bytes: int = 128
    statistics_bytes: int = 48
    budget: int = 32
    """Frames a call; the option for more, where it is not refused, raises it."""
    answers: Iterable[int] = ()
    """What the next calls that shall send answer: an errno, or 0 to send as usual."""
    always: int = 0
    """What all calls after those answer, 0 to send as usual."""
    completes: bool = True
    refuses_bind: Collection[int] = ()
    """Flags of bind (XDP_COPY, XDP_ZEROCOPY) that it refuses."""
    refuses_kick: Mapping[int, int] = field(default_factory=dict)
    """Flags of bind, and the errno that every call on a socket bound with them answers."""
    queues: int = 4
    program: str = ""
    """Whose XDP program is attached to the interface."""
    sent: list[bytes] = field(default_factory=list)
    calls: int = 0
    sockets: list["SimulatedSocket"] = field(default_factory=list)

    def transmit_queues(self, interface: str) -> int:
        assert interface
        return self.queues

    def receive_ring_frames(self, interface: str) -> int | None:
        assert interface
        return 500

    def program_attached(self, interface: str) -> bool:
        assert interface
        return bool(self.program)

    def attach_pass_program(self, interface: str) -> int:
        if self.program:
            raise UnsupportedError(f"another XDP program is attached to {interface}")
        self.program = "ours"
        return os.eventfd(0)

    def open(self, family: int) -> RingSocket:
        """Open a socket of either kind."""
        self.answers = iter(self.answers)
        made = SimulatedXdpSocket(self) if family == xdp.AF_XDP else SimulatedPacketSocket(self)
        self.sockets.append(made)
        return made


class SimulatedSocket:
    """What both kinds share."""

    def __init__(self, kernel: SimulatedKernel) -> None:
        self.kernel = kernel
        self.address = b""
        self.flags = 0
        self.closed = False

    def bind(self, address: bytes) -> None:
        self.address = address

    def kick(self) -> int:
        kernel = self.kernel
        kernel.calls += 1
        code = next(iter(kernel.answers), None)
        code = kernel.always or kernel.refuses_kick.get(self.flags, 0) if code is None else code
        return code or self.send()

    def send(self) -> int:
        raise NotImplementedError

    def writable(self, timeout_s: float) -> bool:
        return timeout_s >= 0

    def fileno(self) -> int:
        """Return no descriptor."""
        return -1

    def close(self) -> None:
        self.closed = True


class SimulatedXdpSocket(SimulatedSocket):
    """As Linux 5.3 to 6.18 do it, in copy mode and in zero-copy mode alike."""

    def __init__(self, kernel: SimulatedKernel) -> None:
        super().__init__(kernel)
        self.options: dict[int, int | bytes] = {}
        self.maps: dict[int, mmap.mmap] = {}
        self.budget = kernel.budget
        self.invalid = 0
        self._consumed = 0

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        if level == xdp.SOL_XDP:
            if option in self.kernel.refused:
                raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
            self.options[option] = value
            if option == xdp.XDP_MAX_TX_SKB_BUDGET:
                assert isinstance(value, int)
                self.budget = value

    def option(self, level: int, option: int, size: int) -> bytes:
        assert level == xdp.SOL_XDP
        if option in self.kernel.refused:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        if option == xdp.XDP_MMAP_OFFSETS:
            numbers = 4 if self.kernel.offsets_bytes >= 128 else 3
            ring = (0, 64, 192, 128)[:numbers]
            return struct.pack(f"{4 * numbers}Q", *ring * 4)[: min(size, self.kernel.offsets_bytes)]
        assert option == xdp.XDP_STATISTICS
        return struct.pack("6Q", 0, 0, self.invalid, 0, 0, 0)[: min(size, self.kernel.statistics_bytes)]

    def map(self, size: int, offset: int = 0) -> mmap.mmap:
        self.maps[offset] = mmap.mmap(-1, size)
        return self.maps[offset]

    def bind(self, address: bytes) -> None:
        super().bind(address)
        _, self.flags, _, _, _ = struct.unpack("HHIII", address)
        if self.flags in self.kernel.refuses_bind:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def frame(self, address: int, length: int) -> bytes | None:
        """Return a frame of the registered memory; None if it leaves its chunk, as kernels before 6.5 judge that."""
        region = self.options[xdp.XDP_UMEM_REG]
        assert isinstance(region, bytes)
        start, _, chunk, _, _, _ = struct.unpack("QQIIII", region)
        if address // chunk != (address + length) // chunk:
            return None
        return ctypes.string_at(start + address, length)

    def kick(self) -> int:
        code = super().kick()
        if code != errno.EBUSY or self.flags == xdp.XDP_ZEROCOPY:
            return code
        (producer,) = struct.unpack_from("I", self.maps[xdp.TX_PAGE_OFFSET], 0)
        if producer == self._consumed:
            return 0
        self._consumed = (self._consumed + 1) & 0xFFFFFFFF  # the interface dropped it
        self._complete()
        return code

    def _complete(self) -> None:
        completions = self.maps[xdp.COMPLETION_PAGE_OFFSET]
        (done,) = struct.unpack_from("I", completions, 0)
        struct.pack_into("I", completions, 0, (done + 1) & 0xFFFFFFFF)

    def send(self) -> int:
        ring = self.maps[xdp.TX_PAGE_OFFSET]
        entries = self.options[xdp.XDP_TX_RING]
        assert isinstance(entries, int)
        (producer,) = struct.unpack_from("I", ring, 0)
        budget = self.budget
        while self._consumed != producer:
            if budget == 0:
                return errno.EAGAIN
            budget -= 1
            address, length, _ = struct.unpack_from("QII", ring, 192 + 16 * (self._consumed % entries))
            self._consumed = (self._consumed + 1) & 0xFFFFFFFF
            frame = self.frame(address, length)
            if frame is None:
                self.invalid += 1
                continue
            self.kernel.sent.append(frame)
            if self.kernel.completes:
                self._complete()
        struct.pack_into("I", ring, 64, self._consumed)
        return 0


class SimulatedPacketSocket(SimulatedSocket):
    """PACKET_TX_RING in TPACKET_V2."""

    def __init__(self, kernel: SimulatedKernel) -> None:
        super().__init__(kernel)
        self._slots = self._slot_bytes = self._next = 0

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        if (level, option) == (tpacket.SOL_PACKET, tpacket.PACKET_TX_RING):
            assert isinstance(value, bytes)
            _, _, self._slot_bytes, self._slots = struct.unpack("4I", value)

    def option(self, level: int, option: int, size: int) -> bytes:
        raise NotImplementedError

    def map(self, size: int, offset: int = 0) -> mmap.mmap:
        assert offset == 0
        self.memory = mmap.mmap(-1, size)
        return self.memory

    def send(self) -> int:
        for _ in range(self._slots):
            at = self._next * self._slot_bytes
            status, length = struct.unpack_from("2I", self.memory, at)
            if status != tpacket.TP_STATUS_SEND_REQUEST:
                break
            begin = at + tpacket.TX_DATA
            self.kernel.sent.append(self.memory[begin : begin + length])
            after = tpacket.TP_STATUS_AVAILABLE if self.kernel.completes else tpacket.TP_STATUS_SENDING
            struct.pack_into("I", self.memory, at, after)
            self._next = (self._next + 1) % self._slots
        return 0


@dataclass
class Scripted(Kernel):
    """The kernel that runs here, but for some of its answers."""

    refused: Collection[int] = ()
    """Options of AF_XDP that it does not have."""
    answer: Callable[[int], int] = lambda _: 0
    """What the n-th call that shall send answers, an errno; 0 leaves it to the kernel."""
    calls: int = 0

    def open(self, family: int) -> RingSocket:
        """Open a socket of the kernel, and stand before it."""
        return _ScriptedSocket(family, self)


class _ScriptedSocket(KernelSocket):
    def __init__(self, family: int, script: Scripted) -> None:
        super().__init__(family)
        self._script = script

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        if level == xdp.SOL_XDP and option in self._script.refused:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        super().set_option(level, option, value)

    def kick(self) -> int:
        self._script.calls += 1
        return self._script.answer(self._script.calls) or super().kick()


def without_budget() -> Scripted:
    """Return the kernel that runs here as it was before Linux 6.17: 32 frames a call, then EAGAIN."""
    return Scripted(refused={xdp.XDP_MAX_TX_SKB_BUDGET})
