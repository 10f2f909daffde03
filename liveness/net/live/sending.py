"""XDP program that copies frames from a ring into pages, which the kernel sends.

The kernel runs it on pages of its own (BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES), and sends each page whose run
ends with a redirect. Others count what has left (`live/counting.py`).
"""

import errno
from typing import Final

from liveness.net.live.layout import (
    COMMITTED,
    CPU,
    DUE_SHIFT,
    GAP_NS,
    HEADER_SHIFT,
    HOLD,
    IDLE,
    LENGTH_BITS,
    NEXT_NS,
    RESUME_NS,
    SEEN,
    SLOT,
    TAKEN,
)
from liveness.system import ebpf
from liveness.system.ebpf import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    DWORD,
    EQUAL,
    NOT_EQUAL,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    WORD,
    Instruction,
)

CREDIT_NS: Final = 20_000
"""Delay of a frame that the next frames may make good, so that small delays do not add up."""
XDP_DROP, XDP_REDIRECT = 1, 4
KTIME_GET_NS, GET_SMP_PROCESSOR_ID, REDIRECT_MAP, XDP_ADJUST_TAIL, XDP_STORE_BYTES = 5, 8, 51, 65, 190
"""Helper functions of the kernel."""
XDP_DATA, XDP_DATA_END = 0, 4
"""Offsets in struct xdp_md."""
SHORTEST_FRAME: Final = 14
"""An Ethernet header; the kernel refuses shorter frames."""
FEWEST_BY_WORDS, MOST_BY_WORDS = 56, 120
"""Lengths of the shortest and the longest frames that are copied without a helper function."""


def sending_program(control: int, frames: int, targets: int, slot_bytes: int, slots: int) -> bytes:
    """Return the program that sends the next frame of a ring, or nothing if none is due.

    `control` and `frames` are the descriptors of arrays with one element: the fields above, and the slots. `targets` is
    a map of devices, of which the first is the interface. A run that sends nothing drops its page, so it costs little.
    """
    return ebpf.assemble(
        [
            ebpf.move(R6, R1),
            ebpf.map_value(R7, control),
            *_wait_for_a_frame(),
            *_next_slot(frames, slot_bytes, slots),
            *_wait_until_due(frames, slot_bytes),
            "due",
            *_adjust_page(frames, slot_bytes),
            *_copy_frame(slot_bytes),
            ebpf.call(GET_SMP_PROCESSOR_ID),
            ebpf.store(DWORD, R7, CPU, R0),
            ebpf.map_descriptor(R1, targets),
            ebpf.set_value(R2, 0),
            ebpf.set_value(R3, 0),
            ebpf.call(REDIRECT_MAP),
            ebpf.jump_if_value(NOT_EQUAL, R0, XDP_REDIRECT, "gone"),
            ebpf.load(DWORD, R1, R7, TAKEN),
            ebpf.add_value(R1, 1),
            ebpf.store(DWORD, R7, TAKEN, R1),
            ebpf.add_value(R9, 1),
            ebpf.store(DWORD, R7, SLOT, R9),
            ebpf.end(),
            "gone",  # the kernel takes an interface out of the map when it is removed
            ebpf.store_value(DWORD, R7, HOLD, errno.ENODEV),
            ebpf.jump("idle"),
            "invalid",
            ebpf.store_value(DWORD, R7, HOLD, errno.EINVAL),
            "idle",
            ebpf.store_value(DWORD, R7, IDLE, 1),
            ebpf.set_value(R0, XDP_DROP),
            ebpf.end(),
        ]
    )


def _wait_for_a_frame() -> list[Instruction | str]:
    """Skip a run unless a frame is committed and the program may take it."""
    return [
        ebpf.load(DWORD, R8, R7, TAKEN),
        ebpf.load(DWORD, R1, R7, SEEN),
        ebpf.jump_if(NOT_EQUAL, R8, R1, "committed"),
        # a barrier, so that the frames are read after the number of committed ones
        ebpf.set_value(R1, 0),
        ebpf.fetch_add(R7, COMMITTED, R1),
        ebpf.store(DWORD, R7, SEEN, R1),
        ebpf.jump_if(EQUAL, R8, R1, "idle"),
        "committed",
        ebpf.load(DWORD, R1, R7, HOLD),
        ebpf.jump_if_value(NOT_EQUAL, R1, 0, "idle"),
    ]


def _next_slot(frames: int, slot_bytes: int, slots: int) -> list[Instruction | str]:
    """Load the number of the next slot into R9, its address into R2 and its header into R8."""
    return [
        ebpf.load(DWORD, R9, R7, SLOT),
        ebpf.jump_if_value(AT_MOST, R9, slots - 1, "in the ring"),
        ebpf.set_value(R9, 0),
        "in the ring",
        ebpf.map_value(R1, frames),
        ebpf.move(R2, R9),
        ebpf.shift_left(R2, HEADER_SHIFT),
        ebpf.add(R1, R2),
        ebpf.add_value(R1, slots * slot_bytes),
        ebpf.load(DWORD, R8, R1),
        *_load_slot(frames, slot_bytes),
    ]


def _load_slot(frames: int, slot_bytes: int) -> list[Instruction | str]:
    """Load the address of the slot whose number is in R9 into R2."""
    return [ebpf.map_value(R2, frames), ebpf.move(R1, R9), ebpf.multiply(R1, slot_bytes), ebpf.add(R2, R1)]


def _wait_until_due(frames: int, slot_bytes: int) -> list[Instruction | str]:
    """Skip a run until the frame is due, the gap after the last one has passed, and the pause after a dropped one.

    The owner of the ring fills frames some milliseconds ahead. They leave at their time however long it waits for its
    core. The gap spreads those that are late.
    """
    return [
        ebpf.load(DWORD, R3, R7, GAP_NS),
        ebpf.load(DWORD, R1, R7, RESUME_NS),
        ebpf.unite(R1, R3),
        ebpf.jump_if_value(EQUAL, R1, 0, "due"),  # reading the clock costs as much as copying a frame
        ebpf.call(KTIME_GET_NS),
        ebpf.load(DWORD, R1, R7, RESUME_NS),
        ebpf.jump_if(BELOW, R0, R1, "idle"),
        ebpf.store_value(DWORD, R7, RESUME_NS, 0),
        ebpf.load(DWORD, R3, R7, GAP_NS),
        ebpf.jump_if_value(EQUAL, R3, 0, "at any time"),
        ebpf.move(R1, R8),
        ebpf.shift_right(R1, LENGTH_BITS),
        ebpf.move(R2, R0),
        ebpf.shift_right(R2, DUE_SHIFT),
        ebpf.subtract(R2, R1),
        ebpf.shift_left(R2, LENGTH_BITS),  # the time in the header has lost its upper bits
        ebpf.shift_right_signed(R2, 63),
        ebpf.jump_if_value(NOT_EQUAL, R2, 0, "idle"),
        ebpf.load(DWORD, R1, R7, NEXT_NS),
        ebpf.jump_if(BELOW, R0, R1, "idle"),
        ebpf.add_value(R0, -CREDIT_NS),
        ebpf.jump_if(AT_LEAST, R1, R0, "on time"),
        ebpf.move(R1, R0),
        "on time",
        ebpf.add(R1, R3),
        ebpf.store(DWORD, R7, NEXT_NS, R1),
        "at any time",
        *_load_slot(frames, slot_bytes),
    ]


def _adjust_page(frames: int, slot_bytes: int) -> list[Instruction | str]:
    """Give the page the length of the frame whose slot is at R2, and load that length into R8.

    Leave the bounds of the page in R3 and R4, and the address of the frame in R2. A page begins each run with the
    length that the owner of the ring gave to the call. Frames of that length cost least, because the kernel has nothing
    to change for them.
    """
    return [
        ebpf.mask(R8, (1 << LENGTH_BITS) - 1),
        ebpf.jump_if_value(BELOW, R8, SHORTEST_FRAME, "invalid"),
        ebpf.jump_if_value(ABOVE, R8, slot_bytes, "invalid"),
        ebpf.load(WORD, R3, R6, XDP_DATA),
        ebpf.load(WORD, R4, R6, XDP_DATA_END),
        ebpf.move(R5, R4),
        ebpf.subtract(R5, R3),
        ebpf.jump_if(EQUAL, R5, R8, "adjusted"),
        ebpf.move(R1, R6),
        ebpf.move(R2, R8),
        ebpf.subtract(R2, R5),
        ebpf.call(XDP_ADJUST_TAIL),
        ebpf.jump_if_value(NOT_EQUAL, R0, 0, "invalid"),
        *_load_slot(frames, slot_bytes),
        ebpf.load(WORD, R3, R6, XDP_DATA),
        ebpf.load(WORD, R4, R6, XDP_DATA_END),
        "adjusted",
    ]


def _copy_frame(slot_bytes: int) -> list[Instruction | str]:
    """Copy the frame at R2 into the page from R3 to R4; its length is in R8.

    Frames of most probes are copied by words, of which the last one ends with the frame, whatever its length. A helper
    function copies the others.
    """
    most = min(slot_bytes, MOST_BY_WORDS)
    words: list[Instruction | str] = []
    for at in range(0, FEWEST_BY_WORDS, 8):
        words += _copy_word(at)
    for at in range(FEWEST_BY_WORDS, most - 8, 8):
        words += [ebpf.jump_if_value(AT_MOST, R8, at + 8, "last word"), *_check_page(R3, at + 8), *_copy_word(at)]
    return [
        ebpf.jump_if_value(BELOW, R8, FEWEST_BY_WORDS, "by the helper"),
        ebpf.jump_if_value(ABOVE, R8, most, "by the helper"),
        *_check_page(R3, FEWEST_BY_WORDS),
        *words,
        "last word",
        ebpf.add_value(R8, -8),
        ebpf.add(R2, R8),
        ebpf.add(R3, R8),
        *_check_page(R3, 8),
        *_copy_word(0),
        ebpf.jump("copied"),
        "by the helper",
        ebpf.move(R1, R6),
        ebpf.move(R3, R2),
        ebpf.set_value(R2, 0),
        ebpf.move(R4, R8),
        ebpf.call(XDP_STORE_BYTES),
        ebpf.jump_if_value(NOT_EQUAL, R0, 0, "invalid"),
        "copied",
    ]


def _copy_word(at: int) -> list[Instruction | str]:
    """Copy the 8 bytes at `at` from the slot to the page."""
    return [ebpf.load(DWORD, R1, R2, at), ebpf.store(DWORD, R3, at, R1)]


def _check_page(register: int, size: int) -> list[Instruction | str]:
    """Check that a page has `size` bytes from a register on, as the verifier demands before they are written."""
    return [ebpf.move(R1, register), ebpf.add_value(R1, size), ebpf.jump_if(ABOVE, R1, R4, "invalid")]
