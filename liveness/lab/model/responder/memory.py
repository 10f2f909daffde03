"""The responder without network interfaces: rings in memory connect a scanner and the model in one process."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, unowned
from liveness.lab.model.responder import state as s
from liveness.lab.model.responder.bytes import copy, flat_bytes
from liveness.lab.model.responder.queue import give_back, next_due
from liveness.lab.model.responder.respond import respond_slots
from liveness.lab.model.responder.state import Model
from liveness.net.ring import RingSlots, RxStatistics
from liveness.packets.block import BLOCK_HEADER_BYTES, FRAME_AT, put_packet, seal_block

BLOCK_BYTES: Final = 1 << 20
FRAME_BYTES: Final = 256


@kernel
def emit_block(model: Model, now_ns: int, block: NDArray[np.uint8]) -> int:
    """Write due replies into a TPACKET_V3 block, with the timestamp `now_ns`; return how many fitted in."""
    model, block = unowned(model), unowned(block)
    at = last = BLOCK_HEADER_BYTES
    count = 0
    while at + FRAME_AT + s.SLOT_BYTES <= len(block):
        slot = next_due(model.heads, model.links, model.numbers, now_ns)
        if slot == s.NO_SLOT:
            break
        begin, length = slot * s.SLOT_BYTES, model.lengths[slot]
        copy(block, at + FRAME_AT, model.frames, begin, begin + length)
        last = at
        at = put_packet(block, at, FRAME_AT, now_ns, length, length)
        give_back(model.free, model.numbers, slot)
        count += 1
    seal_block(block, count, last, at)
    model.numbers[s.REPLIES] += count
    return count


class VirtualClock:
    """A clock for rings in memory: its time passes only by calls, so that weeks take as long as their packets."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the time, ns since the epoch."""
        return self._now_ns

    def pass_to(self, time_ns: int) -> None:
        """Let time pass to a moment; a moment that has passed changes nothing."""
        self._now_ns = max(self._now_ns, time_ns)

    def sleep(self, seconds: float) -> None:
        """Let time pass, instead of `time.sleep`."""
        self._now_ns += round(seconds * 1e9)


class BlockRing:
    """An RxRing that holds one block, the one it was given last."""

    ethernet = True

    def __init__(self) -> None:
        self.block: NDArray[np.uint8] | None = None
        self.packets = 0

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:  # noqa: ARG002 - no packet arrives while it waits
        """Return the block, if there is one: see RxRing."""
        return self.block

    def release(self) -> None:
        """Drop the block."""
        self.block = None

    def statistics(self) -> RxStatistics:
        """Return the counters since opening: nothing is dropped."""
        return RxStatistics(self.packets, 0, 0)

    def fileno(self) -> int:
        """Return -1: there is no descriptor to wait on."""
        return -1

    def close(self) -> None:
        """Do nothing: no resource is held."""


class ModelTxRing:
    """A TxRing whose frames a model processes when the ring is kicked; `receive` is called for the replies.

    `model_ns` is the time in nanoseconds that the model has taken. `now_ns` is the clock: the machine's, or a virtual
    one, by which frames are captured and replies become due.
    """

    def __init__(
        self,
        model: Model,
        replies: BlockRing,
        receive: Callable[[], object],
        slots: int,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Make a ring of `slots`; replies are written to the ring `replies`, one block per call of `receive`."""
        self.now_ns = now_ns
        self.model = model
        self.replies = replies
        self.receive = receive
        self.frames: NDArray[np.uint8] = np.zeros((slots, FRAME_BYTES), np.uint8)
        self.model_ns = 0
        self._bytes, self._step = flat_bytes(self.frames)
        self._lengths = np.zeros(slots, np.uint16)
        self._block = np.zeros(BLOCK_BYTES, np.uint8)
        self._ring = RingSlots(slots)
        self._completed = 0

    @property
    def completed(self) -> int:
        """Frames that the model has processed."""
        return self._completed

    @property
    def errors(self) -> int:
        """Always 0."""
        return 0

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        return self._ring.reserve(wanted)

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Commit the first `count` reserved slots. Raises ValueError for a length that this ring cannot send."""
        run = self._ring.commit(count, lengths, 0, FRAME_BYTES)
        self._lengths[run] = lengths[run]

    def kick(self) -> bool:
        """Pass committed frames to the model, and due replies to the receiver."""
        ring = self._ring
        began_ns, now_ns = time.perf_counter_ns(), self.now_ns()
        while ring.pending:
            count = min(ring.pending, ring.count - ring.oldest)
            respond_slots(self.model, self._bytes, self._step, self._lengths, ring.oldest, count, now_ns)
            ring.pending -= count
            self._completed += count
        self.model.numbers[s.LOST_COUNT] = 0  # no record is kept
        self.model_ns += time.perf_counter_ns() - began_ns
        self.deliver(now_ns)
        return True

    def warm_up(self) -> None:
        """Compile the kernels, or load them from their cache, by processing no frames."""
        respond_slots(self.model, self._bytes, self._step, self._lengths, 0, 0, self.now_ns())
        emit_block(self.model, self.now_ns(), self._block)

    def deliver(self, now_ns: int) -> int:
        """Pass replies that are due by `now_ns` to the receiver; return their number."""
        delivered = 0
        while True:
            began_ns = time.perf_counter_ns()
            count = int(emit_block(self.model, now_ns, self._block))
            self.model_ns += time.perf_counter_ns() - began_ns
            if count == 0:
                return delivered
            delivered += count
            self.replies.packets += count
            self.replies.block = self._block
            self.receive()

    def flush(self, timeout_s: float) -> int:  # noqa: ARG002 - a model is never busy
        """Kick; no frame is left unsent."""
        self.kick()
        return 0

    @property
    def waiting(self) -> int:
        """Frames that had not been sent at the last kick: see TxRing."""
        return self._ring.pending

    def unsent(self) -> NDArray[np.int64]:
        """Return no slots: all frames are sent."""
        return np.zeros(0, np.int64)

    def wait(self, timeout_s: float) -> None:  # noqa: ARG002 - a model is never busy
        """Kick."""
        self.kick()

    def close(self) -> None:
        """Do nothing: no resource is held."""
