"""BPF programs that count live frames by what two tracepoints of the kernel report.

The kernel does not tell who sends live frames which of them were not sent: the driver takes them 16 at a time, later
than the sending program runs, and drops what it has no room for. Two tracepoints report them: `xdp_devmap_xmit` what
the driver took and dropped, `xdp_redirect_err` each frame that never came to the driver.

All of this happens on one CPU with bottom halves disabled, until a batch is done. Outside a batch, no frame is on its
way. The counting programs recognise their own frames by this: those on the CPU on which the ring's program ran last,
while it has frames on their way. Other programs on the machine therefore never change the counts.
"""

import errno
from typing import Final

from liveness.net.live.layout import CPU, DROPPED, HOLD, LAST_ERROR, REFUSED, RESUME_NS, SENT, SLOT, TAKEN
from liveness.net.live.sending import GET_SMP_PROCESSOR_ID, KTIME_GET_NS
from liveness.system import ebpf
from liveness.system.ebpf import ABOVE, DWORD, EQUAL, NOT_EQUAL, R0, R1, R2, R6, R7, R8, R9, Instruction

TRACEPOINT_SENT: Final = "xdp_devmap_xmit"
TRACEPOINT_REFUSED: Final = "xdp_redirect_err"
BACK_PRESSURE_NS: Final = 50_000
"""Pause after a frame was dropped: the time in which a queue of 256 frames is served at 5 Mpps."""
LARGEST: Final = 0x7FFFFFFF
"""Mask of a count, which is an int."""


def sent_program(control: int) -> bytes:
    """Return the program for the tracepoint of frames that the driver took, or dropped for lack of room."""
    sent, dropped, error = 2 * 8, 3 * 8, 4 * 8  # arguments after the two devices: TP_PROTO in trace/events/xdp.h
    return ebpf.assemble(
        [
            *_own_frames(control),
            ebpf.load(DWORD, R8, R6, dropped),
            ebpf.mask(R8, LARGEST),
            ebpf.load(DWORD, R1, R6, sent),
            ebpf.mask(R1, LARGEST),
            ebpf.move(R2, R1),
            ebpf.add(R2, R8),
            ebpf.jump_if(ABOVE, R2, R9, "other"),
            *_count(SENT, R1),
            ebpf.jump_if_value(EQUAL, R8, 0, "other"),
            *_count(DROPPED, R8),
            *_load_error(error),
            ebpf.call(KTIME_GET_NS),
            ebpf.add_value(R0, BACK_PRESSURE_NS),
            ebpf.store(DWORD, R7, RESUME_NS, R0),
            *_end(),
        ]
    )


def refused_program(control: int, slots: int) -> bytes:
    """Return the program for the tracepoint of frames that never came to the driver.

    Such a frame is the last one that the sending program took. It goes back into the ring, and the sending program
    stops, unless the error is the frame's own: it is longer than the MTU allows.
    """
    error = 3 * 8
    return ebpf.assemble(
        [
            *_own_frames(control),
            ebpf.jump_if_value(EQUAL, R9, 0, "other"),
            *_load_error(error),
            ebpf.set_value(R2, 0),
            ebpf.subtract(R2, R1),
            ebpf.jump_if_value(NOT_EQUAL, R2, errno.EMSGSIZE, "put back"),
            ebpf.set_value(R8, 1),
            *_count(REFUSED, R8),
            ebpf.jump("other"),
            "put back",
            ebpf.store(DWORD, R7, HOLD, R2),
            ebpf.load(DWORD, R1, R7, TAKEN),
            ebpf.add_value(R1, -1),
            ebpf.store(DWORD, R7, TAKEN, R1),
            ebpf.load(DWORD, R1, R7, SLOT),  # the one after it; at the ring's end this is slot 0
            ebpf.jump_if_value(NOT_EQUAL, R1, 0, "within"),
            ebpf.set_value(R1, slots),
            "within",
            ebpf.add_value(R1, -1),
            ebpf.store(DWORD, R7, SLOT, R1),
            *_end(),
        ]
    )


def _own_frames(control: int) -> list[Instruction | str]:
    """Load the number of the ring's frames that are on their way into R9, or end if they are not on this CPU."""
    settled: list[Instruction | str] = []
    for field in (SENT, DROPPED, REFUSED):
        settled += [ebpf.load(DWORD, R1, R7, field), ebpf.subtract(R9, R1)]
    return [
        ebpf.move(R6, R1),
        ebpf.map_value(R7, control),
        ebpf.call(GET_SMP_PROCESSOR_ID),
        ebpf.load(DWORD, R1, R7, CPU),
        ebpf.jump_if(NOT_EQUAL, R0, R1, "other"),
        ebpf.load(DWORD, R9, R7, TAKEN),
        *settled,
    ]


def _count(field: int, register: int) -> list[Instruction | str]:
    """Add a register to a field."""
    return [
        ebpf.load(DWORD, R2, R7, field),
        ebpf.add(R2, register),
        ebpf.store(DWORD, R7, field, R2),
    ]


def _load_error(argument: int) -> list[Instruction | str]:
    """Load the error of an event into R1, as a negative number of 64 bits, and store it."""
    return [
        ebpf.load(DWORD, R1, R6, argument),
        ebpf.shift_left(R1, 32),  # an int: its upper half is not defined
        ebpf.shift_right_signed(R1, 32),
        ebpf.store(DWORD, R7, LAST_ERROR, R1),
    ]


def _end() -> list[Instruction | str]:
    """End a program of a tracepoint, whose result nobody reads."""
    return ["other", ebpf.set_value(R0, 0), ebpf.end()]
