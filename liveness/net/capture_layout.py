"""Layout of the memory that a capturing XDP program shares with its reader: blocks, and the fields of each CPU.

A block has the layout of TPACKET_V3 (`packets.block`). The program fills it packet by packet; the reader must not wait
until it is full. Therefore the program keeps in a field of the block's header, HEAD, how far it has come. The reader
writes the other fields of the header, for the packets that it takes.
"""

from typing import Final

from liveness.packets.block import FRAME_AT

BLOCK_BYTES: Final = 1 << 18
LONGEST: Final = 9216
"""Bytes of a packet that are captured at most: those of a jumbo frame."""
LAST_START: Final = BLOCK_BYTES - (FRAME_AT + LONGEST + 8)
"""Where in a block the last packet may begin, whatever its length."""
HEAD: Final = 32
"""Field of a block's header, in place of the kernel's time of its first packet: the number of complete packets in its
upper half, and where the next one begins in its lower half."""
ONE_PACKET_SHIFT: Final = 32

# Fields of a CPU, 8 bytes each. The program writes those of the first two cache lines, the reader the others.
SEQUENCE: Final = 0
"""Number of the block that is being filled, since the ring was opened."""
ELEMENT: Final = 8
"""Place of that block in the map."""
PACKETS: Final = 16
"""Packets that passed the filter."""
DROPS: Final = 24
"""Packets of these for which there was no room."""
FREEZES: Final = 32
"""Number of times that the ring was full."""
FROZEN: Final = 40
"""1 while the ring is full."""
SECOND: Final = 48
"""The present second of the time of day, and the time of the monotonic clock at which it began."""
SECOND_BEGAN: Final = 56
OFFSET_SEEN: Final = 64
"""OFFSET when that was computed."""
RELEASED: Final = 128
"""Blocks that the reader has released."""
OFFSET: Final = 136
"""Time of day less the time of the monotonic clock in ns."""
FIRST: Final = 144
"""Place of the ring's first block in the map, and the place behind its last one."""
BEHIND: Final = 152
ELSEWHERE: Final = 192
"""In the fields of CPU 0: packets on CPUs that have no ring, because they came online later. They are lost."""
FIELDS_SHIFT: Final = 8
FIELDS_BYTES: Final = 1 << FIELDS_SHIFT
