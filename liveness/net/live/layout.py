"""Layout of the memory that the owner of a ring of live frames shares with BPF programs: fields and headers."""

from typing import Final

COMMITTED: Final = 0
"""Frames that were put into the ring, since it was opened. All fields have 8 bytes."""
GAP_NS: Final = 8
"""The shortest time between two frames; 0 if frames leave as fast as they can, whenever they are due."""
TAKEN: Final = 64
"""Frames that the program took from the ring."""
SLOT: Final = 72
"""The slot of the next frame."""
SEEN: Final = 80
"""`COMMITTED` when the program last read it."""
NEXT_NS: Final = 88
"""The time before which the next frame may not leave (CLOCK_MONOTONIC)."""
CPU: Final = 96
"""The CPU on which the program last took a frame."""
IDLE: Final = 104
"""1 if the program has run and found nothing to send since the owner of the ring set this to 0."""
RESUME_NS: Final = 112
"""The time before which no frame may leave because the driver had no room."""
HOLD: Final = 120
"""Errno for which the program stopped taking frames, 0 if it runs. It is cleared by the owner of the ring."""
SENT: Final = 128
"""Frames that the driver took."""
DROPPED: Final = 136
"""Frames that the driver dropped."""
REFUSED: Final = 144
"""Frames that the kernel refused because they are longer than the MTU allows."""
LAST_ERROR: Final = 152
"""Error of the last frame that was dropped or refused, as a negative errno; 0 for a driver without room."""
CONTROL_BYTES: Final = 192
"""The fields of the ring's owner, of the first program and of the other programs are in cache lines of their own."""

HEADER_SHIFT: Final = 3
HEADER_BYTES: Final = 1 << HEADER_SHIFT
"""All slots are followed by a number for each: the length of its frame, and above it the time at which it is due."""
LENGTH_BITS: Final = 16
DUE_SHIFT: Final = 6
"""The time is CLOCK_MONOTONIC in units of 64 ns, of which 48 bits are kept: half of them are 104 days."""
