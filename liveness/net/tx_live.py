"""Transmit ring of live frames: an XDP program copies frames from shared memory into pages that the driver sends.

No socket buffer is made, so that a core sends several times as many frames as through AF_XDP in copy mode. The frames
pass no queueing discipline, no firewall and no packet socket of this host.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import socket
import struct
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UnsupportedError
from liveness.kernel import fence
from liveness.net.links import IFF_UP
from liveness.net.live import counting, layout
from liveness.net.live.pump import Pump, batch_for
from liveness.net.live.refusals import REMEDY, process_refused, reason_of, refused
from liveness.net.live.sending import SHORTEST_FRAME, sending_program
from liveness.net.ring import STALL_S, RingSlots, StallWatch
from liveness.net.sockets import interface_index, lost_interface
from liveness.system import ebpf

SLOTS: Final = 1 << 16
"""Largest number of frames. So many that most of them are in the cache that all cores share when they are sent: to take
them from the own cache of the core that fills them costs more."""
SHORTEST_SLOT: Final = 64
NS_PER_S: Final = 1_000_000_000
LONGEST_FRAME: Final = 2048
"""The kernel puts a frame, its headroom and its own data into one page."""
NAP_S: Final = 50e-6
READY_S: Final = 2.0
"""Longest time to wait for the beginning of a call: some 25 ms are usual, and more on a busy machine."""
LEAD_S: Final = 8e-3
"""How long before its time a frame is filled at most: two ticks of the clock, because a kernel may keep the process
that fills from its core for one."""
FEWEST_FRAMES: Final = 64
CATCH_UP: Final = 2
"""Frames that are late leave at this multiple of the rate."""
LONGEST_GAP_NS: Final = 1000
"""Late frames leave at this distance at low rates: they are few, and need no spreading."""
SHORTEST_GAP_NS: Final = 50
"""Below this gap the rate is beyond what the kernel sends, so nothing is spread."""
LOOK_EVERY_S: Final = 0.001
SIOCGIFNAME: Final = 0x8910
SIOCGIFFLAGS: Final = 0x8913


class LiveTxRing:
    """TxRing of live frames on one interface. All transmit queues are the driver's choice.

    A frame is completed when the driver has taken it. A frame that the driver drops because it has no room, or that the
    kernel refuses, is an error: it is lost, and the ring pauses for a moment.
    """

    def __init__(self, interface: str, longest_frame: int, multiple_of: int = 1, *, program: int | None = None) -> None:
        """Open a ring for frames of up to `longest_frame` bytes, Ethernet header included.

        The number of slots is the largest multiple of `multiple_of` that fits. `program`, a descriptor, keeps an XDP
        program attached while the ring is open, for drivers that need one. Raises UnsupportedError if the kernel does
        not support this, a privilege is missing, or frames are too long.
        """
        if longest_frame > LONGEST_FRAME:
            raise UnsupportedError(f"xdp_live: frames of {longest_frame} bytes: {LONGEST_FRAME} at most")
        self.interface = interface
        self._index = interface_index(interface)
        slot_bytes = max(SHORTEST_SLOT, -(-longest_frame // 8) * 8)
        slots = SLOTS // multiple_of * multiple_of
        self._ring = RingSlots(slots)
        with contextlib.ExitStack() as opened:
            try:
                self._open(opened, slot_bytes, slots)
            except OSError as error:
                raise refused(interface, error) from error
            if program is not None:
                own = os.dup(program)
                opened.callback(os.close, own)
                self.descriptors += (own,)
            self._descriptors = opened.pop_all()
        self._control = np.frombuffer(self._control_memory, np.uint64, layout.CONTROL_BYTES // 8)
        self.frames: NDArray[np.uint8] = np.frombuffer(self._frame_memory, np.uint8, slots * slot_bytes).reshape(
            slots, slot_bytes
        )
        self._headers = np.frombuffer(self._frame_memory, np.uint64, slots, slots * slot_bytes)
        self._lead = 0  # unless a rate is set: a survey, which sets none, records which frames have left by when
        self._span_s: tuple[float, float] | None = None
        self._before = (0, 0)  # completed and failed before `count_from_here`
        self._committed = 0
        self._stall = StallWatch()
        self._looked_s = 0.0
        self._pump = Pump(self._program, slot_bytes, batch_for(multiple_of), self._settled)

    def _open(self, opened: contextlib.ExitStack, slot_bytes: int, slots: int) -> None:
        """Make the maps and load the programs; the descriptors that are needed later stay open with `opened`."""
        with contextlib.ExitStack() as unneeded:  # programs and mappings keep the maps

            def closed_with(stack: contextlib.ExitStack, descriptor: int) -> int:
                stack.callback(os.close, descriptor)
                return descriptor

            control, self._control_memory = ebpf.mapped_array(layout.CONTROL_BYTES, name="liveness")
            closed_with(unneeded, control)
            frames, self._frame_memory = ebpf.mapped_array(
                slots * (slot_bytes + layout.HEADER_BYTES), name="liveness_frames"
            )
            closed_with(unneeded, frames)
            targets = closed_with(unneeded, ebpf.create_map(ebpf.DEVMAP, 4, name="liveness_device"))
            ebpf.set_first(targets, struct.pack("=I", self._index))
            sending = sending_program(control, frames, targets, slot_bytes, slots)
            self._program = closed_with(opened, ebpf.load_program(ebpf.XDP, sending, name="liveness_send"))
            links = []
            for tracepoint, program in (
                (counting.TRACEPOINT_SENT, counting.sent_program(control)),
                (counting.TRACEPOINT_REFUSED, counting.refused_program(control, slots)),
            ):
                loaded = closed_with(unneeded, ebpf.load_program(ebpf.RAW_TRACEPOINT, program, name="liveness_count"))
                links.append(closed_with(opened, ebpf.open_raw_tracepoint(tracepoint, loaded)))
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            opened.callback(self._socket.close)
            self.descriptors: tuple[int, ...] = (self._program, *links, self._socket.fileno())
            """Descriptors that a process needs to use the ring."""

    @property
    def mappings(self) -> tuple[mmap.mmap, ...]:
        """Memory that the ring shares with the kernel."""
        return (self._control_memory, self._frame_memory)

    def _field(self, offset: int) -> int:
        return int(self._control[offset // 8])

    def _sent(self) -> int:
        return self._field(layout.SENT)

    def _failed(self) -> int:
        return self._field(layout.DROPPED) + self._field(layout.REFUSED)

    def _settled(self) -> int:
        """Return the number of frames that were sent or lost since the ring was opened."""
        return self._sent() + self._failed()

    @property
    def completed(self) -> int:
        """Frames that the driver took since opening."""
        return self._sent() - self._before[0]

    @property
    def errors(self) -> int:
        """Frames that the driver dropped or the kernel refused since opening."""
        return self._failed() - self._before[1]

    def count_from_here(self) -> None:
        """Restart `completed` and `errors` at 0."""
        self._before = (self._sent(), self._failed())

    def pace(self, frames_per_s: float, usual_bytes: int) -> float:
        """Send frames at their time, but late ones at no more than CATCH_UP times this rate; return the lead in s.

        The lead is how long before its time a frame may be committed: see `spread`. It is 0 at rates beyond what the
        kernel sends, at which frames leave at once. Frames of `usual_bytes` cost least. If nothing is waiting, return
        when the process that sends is ready, so that the clock of the rate can start.
        """
        gap_ns = min(LONGEST_GAP_NS, int(1e9 / CATCH_UP / frames_per_s))
        paced = gap_ns >= SHORTEST_GAP_NS
        self._control[layout.GAP_NS // 8] = gap_ns if paced else 0
        most = self._ring.count // 2
        self._lead = int(min(most, max(FEWEST_FRAMES, frames_per_s * LEAD_S)))
        self._pump.page_bytes = usual_bytes
        self._reclaim()
        if not self._ring.pending:
            self._make_ready()
        return min(LEAD_S, most / frames_per_s) if paced else 0.0

    def spread(self, first_s: float, end_s: float) -> None:
        """Have the frames of the next commit leave evenly from `first_s` to `end_s` (time.monotonic)."""
        self._span_s = (first_s, end_s)

    def _due(self, count: int) -> NDArray[np.uint64]:
        """Return the times at which the next `count` frames are due, or one for all, as their headers have them."""
        due_ns = np.array([time.monotonic_ns()])
        if self._span_s is not None:
            first_s, end_s = self._span_s
            due_ns = np.int64(first_s * NS_PER_S) + np.linspace(
                0, (end_s - first_s) * NS_PER_S, count, endpoint=False, dtype=np.int64
            )
            self._span_s = None
        return (due_ns >> layout.DUE_SHIFT << layout.LENGTH_BITS).astype(np.uint64)

    def _make_ready(self) -> None:
        """Start the process that sends, and wait until the kernel has begun its long call."""
        self._control[layout.IDLE // 8] = 0
        deadline = time.monotonic() + READY_S
        while not self._field(layout.IDLE) and time.monotonic() < deadline:
            if code := self._pump.keep_running(at_once=False):
                raise process_refused(self.interface, code)
            time.sleep(NAP_S)

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        self._reclaim()
        return self._ring.reserve(wanted)

    def _reclaim(self) -> None:
        self._ring.pending = self._committed - self._settled()

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots. Raises ValueError for a length that this ring cannot send."""
        run = self._ring.commit(count, lengths, SHORTEST_FRAME, self.frames.shape[1])
        self._headers[run] = self._due(count) | lengths[run]
        self._committed += count
        fence()  # frames and lengths must be visible before their number: another core reads them
        self._control[layout.COMMITTED // 8] = self._committed

    def kick(self) -> bool:
        """Have the committed frames sent; return whether so few are left that the next ones may be filled meanwhile.

        Unless `pace` has set a rate, that is none.

        Raises InterfaceDownError, InterfaceGoneError, and LivenessError if the kernel refuses to go on or nothing was
        sent for a long time.
        """
        self._reclaim()
        if self._ring.pending:
            hold, now_s = self._field(layout.HOLD), time.monotonic()
            if hold or now_s - self._looked_s >= LOOK_EVERY_S:
                self._looked_s = 0.0  # if this fails, the next call looks again
                self._look(hold)
                self._looked_s = now_s
        return self._ring.pending <= self._lead

    def _look(self, hold: int) -> None:
        """Raise the error of a ring that cannot send now. Otherwise start what sends, if it has stopped.

        `hold` is the errno for which the program takes no frames, or 0.
        """
        if hold not in (0, errno.ENETDOWN, errno.ENODEV):
            raise refused(self.interface, OSError(hold, os.strerror(hold)))
        try:
            state = 0 if self._flags() & IFF_UP else errno.ENETDOWN
        except OSError:
            state = errno.ENODEV
        if state:
            self._stop()
            raise lost_interface(self.interface, OSError(state, os.strerror(state)), self._index)
        if hold:
            self._control[layout.HOLD // 8] = 0
        if code := self._pump.keep_running():
            raise process_refused(self.interface, code)
        if self._stall.due() and self._stall.stalled(self._settled(), self._ring.pending):
            raise LivenessError(
                f"interface {self.interface}: none of {self._ring.pending} live frames has left for {STALL_S:.0f} s:"
                f" {REMEDY}"
            )

    def _flags(self) -> int:
        """Return the flags of the interface, whatever it is called now. Raises OSError if it is gone."""
        named = fcntl.ioctl(self._socket, SIOCGIFNAME, struct.pack("16si20x", b"", self._index))
        (flags,) = struct.unpack_from("H", fcntl.ioctl(self._socket, SIOCGIFFLAGS, named), 16)
        return int(flags)

    def flush(self, timeout_s: float) -> int:
        """Kick and wait until all committed frames were sent; return the number of unsent frames.

        The process that sends ends when the ring is empty: it would occupy its core for nothing.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self.kick()
            left_s = deadline - time.monotonic()
            if not self._ring.pending:
                self._stop()
                return 0
            if left_s <= 0:
                return self._ring.pending
            time.sleep(min(NAP_S, left_s))

    def _stop(self) -> None:
        """End the process that sends; the next kick starts it again."""
        self._pump.stop()
        self._looked_s = 0.0

    @property
    def waiting(self) -> int:
        """Frames that had not been sent at the last check: see TxRing."""
        return self._ring.pending

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and not sent, oldest first. None of them leaves until the next kick."""
        self._stop()
        self._reclaim()
        return self._ring.unsent()

    def wait(self, timeout_s: float) -> None:
        """Kick and sleep until a committed frame was sent, for at most `timeout_s`; at once if none is."""
        deadline = time.monotonic() + timeout_s
        before = self._settled()
        while True:
            self.kick()
            left_s = deadline - time.monotonic()
            if self._settled() > before or not self._ring.pending or left_s <= 0:
                return
            time.sleep(min(NAP_S, left_s))

    @property
    def refusal(self) -> str | None:
        """Why the driver dropped the last frame, or None if it only had no room."""
        code = self._last_error()
        return reason_of(code) if code else None

    @property
    def refused_by_driver(self) -> bool:
        """Whether the driver takes no frames from XDP programs; some do while one is attached to their card."""
        return self._last_error() in (errno.EOPNOTSUPP, errno.ENXIO)

    def _last_error(self) -> int:
        return -int(self._control.view(np.int64)[layout.LAST_ERROR // 8])

    def close(self) -> None:
        """End the process and unload the layout. Memory stays mapped while it is in use."""
        self._stop()
        self._descriptors.close()
