"""XDP program that captures packets: it copies what a filter accepts into rings in shared memory, one for each CPU.

The kernel runs it in the driver, before it makes a socket buffer of a packet. The rings (`capture_layout`) lie in a map
that the reader has in its memory, so that a packet is copied once. A CPU writes its own ring only, and one reader reads
it, so no lock is needed.

After that every packet goes on to the host's stack, as with a packet socket. The stack closes the connections of
unexpected SYN-ACKs by RSTs, answers pings, and learns the MTU of paths. Packets to the ports of a scan may also belong
to connections that this host translates for others, and some drivers count what a program drops as their own loss.
"""

from typing import Final

from liveness.net.capture_layout import (
    BEHIND,
    DROPS,
    ELEMENT,
    ELSEWHERE,
    FIELDS_SHIFT,
    FIRST,
    FREEZES,
    FROZEN,
    HEAD,
    LAST_START,
    LONGEST,
    OFFSET,
    OFFSET_SEEN,
    ONE_PACKET_SHIFT,
    PACKETS,
    RELEASED,
    SECOND,
    SECOND_BEGAN,
    SEQUENCE,
)
from liveness.packets import headers as hdr
from liveness.packets.block import (
    BLOCK_HEADER_BYTES,
    FRAME_AT,
    NETWORK_AT,
    NS_PER_S,
    PACKET_LENGTH,
    PACKET_MAC,
    PACKET_NET,
    PACKET_NEXT,
    PACKET_NSEC,
    PACKET_SEC,
    PACKET_SNAPLEN,
    PACKET_STATUS,
    PACKET_VLAN_TCI,
    PACKET_VLAN_TPID,
    TP_STATUS_USER,
    TP_STATUS_VLAN_TPID_VALID,
    TP_STATUS_VLAN_VALID,
)
from liveness.system import ebpf
from liveness.system.bpf import Program
from liveness.system.bpf_translation import translate
from liveness.system.ebpf import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    DWORD,
    EQUAL,
    HALF,
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
    STACK,
    WORD,
    Instruction,
)

XDP_PASS: Final = 2
MAP_LOOKUP_ELEMENT, KTIME_GET_NS, GET_SMP_PROCESSOR_ID, XDP_LOAD_BYTES = 1, 5, 8, 189
"""Helper functions of the kernel; the last one since Linux 5.18."""
XDP_DATA, XDP_DATA_END = 0, 4
"""Offsets in struct xdp_md."""
MAC_BYTES: Final = hdr.ETHERTYPE_OFFSET
"""Addresses at the beginning of a frame, in front of its VLAN tag."""
TAG_BYTES: Final = 4

# Variables on the stack.
KEY: Final = -8
TAG: Final = -16
"""Length of the VLAN tag that is left out, 0 if there is none."""
TAG_CONTROL: Final = -24
TAG_PROTOCOL: Final = -20
NANOSECOND: Final = -32
ENTRY: Final = -40
STEP: Final = -48


def capture_program(program: Program, control: int, blocks: int, cpus: int, count: int) -> bytes:
    """Return the XDP program that captures what the filter `program` accepts.

    `control` is the descriptor of an array with one element, the fields of all CPUs one after the other; `blocks` that
    of an array whose elements are blocks, `count` for each CPU.
    """
    return ebpf.assemble(
        [
            ebpf.move(R6, R1),
            ebpf.load(WORD, R7, R6, XDP_DATA),
            ebpf.load(WORD, R8, R6, XDP_DATA_END),
            *_leave_tag_out(),
            *translate(program, R7, R9, R8, split=MAC_BYTES, accept="accepted"),
            "pass",
            ebpf.set_value(R0, XDP_PASS),
            ebpf.end(),
            "accepted",
            *_measure(),
            *_find_fields(control, cpus),
            *_read_clock(),
            *_find_room(blocks, count),
            *_describe(),
            *_copy(),
            "done",
            ebpf.set_value(R0, XDP_PASS),
            ebpf.end(),
            "full",
            *_count_drop(),
            ebpf.jump("done"),
            "elsewhere",
            ebpf.map_value(R1, control),
            ebpf.set_value(R2, 1),
            ebpf.fetch_add(R1, ELSEWHERE, R2),
            ebpf.jump("done"),
        ]
    )


def _leave_tag_out() -> list[Instruction | str]:
    """Set R9 to where the packet would begin without its outer VLAN tag, which packet sockets do not see either."""
    return [
        ebpf.store_value(DWORD, STACK, TAG, 0),
        ebpf.store_value(DWORD, STACK, TAG_CONTROL, 0),
        ebpf.move(R9, R7),
        ebpf.move(R1, R7),
        ebpf.add_value(R1, MAC_BYTES + TAG_BYTES),
        ebpf.jump_if(ABOVE, R1, R8, "pass"),
        ebpf.load(HALF, R1, R7, MAC_BYTES),
        ebpf.from_network_order(R1, HALF),
        ebpf.jump_if_value(EQUAL, R1, hdr.ETHERTYPE_VLAN, "tagged"),
        ebpf.jump_if_value(NOT_EQUAL, R1, hdr.ETHERTYPE_QINQ, "bare"),
        "tagged",
        ebpf.store(WORD, STACK, TAG_PROTOCOL, R1),
        ebpf.load(HALF, R1, R7, MAC_BYTES + 2),
        ebpf.from_network_order(R1, HALF),
        ebpf.store(WORD, STACK, TAG_CONTROL, R1),
        ebpf.store_value(DWORD, STACK, TAG, TAG_BYTES),
        ebpf.add_value(R9, TAG_BYTES),
        "bare",
    ]


def _measure() -> list[Instruction | str]:
    """Set R8 to the length of the packet, its tag included."""
    return [
        ebpf.subtract(R8, R7),
        ebpf.jump_if_value(BELOW, R8, MAC_BYTES + TAG_BYTES, "done"),  # never: the verifier demands a lower bound
    ]


def _find_fields(control: int, cpus: int) -> list[Instruction | str]:
    """Set R7 to the fields of this CPU, and count the packet."""
    return [
        ebpf.call(GET_SMP_PROCESSOR_ID),
        ebpf.jump_if_value(AT_LEAST, R0, cpus, "elsewhere"),
        ebpf.shift_left(R0, FIELDS_SHIFT),
        ebpf.map_value(R7, control),
        ebpf.add(R7, R0),
        *_add(PACKETS, 1),
    ]


def _read_clock() -> list[Instruction | str]:
    """Store the ns since the present second of the time of day began, and its number in SECOND."""
    return [
        ebpf.call(KTIME_GET_NS),
        ebpf.load(DWORD, R1, R7, OFFSET),
        ebpf.load(DWORD, R2, R7, OFFSET_SEEN),
        ebpf.load(DWORD, R4, R7, SECOND_BEGAN),
        ebpf.move(R3, R0),
        ebpf.subtract(R3, R4),
        ebpf.jump_if(NOT_EQUAL, R1, R2, "another second"),
        ebpf.jump_if_value(BELOW, R3, NS_PER_S, "this second"),
        "another second",  # dividing takes as long as copying a short packet
        ebpf.store(DWORD, R7, OFFSET_SEEN, R1),
        ebpf.add(R1, R0),
        ebpf.move(R2, R1),
        ebpf.divide(R2, NS_PER_S),
        ebpf.store(DWORD, R7, SECOND, R2),
        ebpf.multiply(R2, NS_PER_S),
        ebpf.move(R3, R1),
        ebpf.subtract(R3, R2),
        ebpf.subtract(R0, R3),
        ebpf.store(DWORD, R7, SECOND_BEGAN, R0),
        "this second",
        ebpf.store(DWORD, STACK, NANOSECOND, R3),
    ]


def _find_room(blocks: int, count: int) -> list[Instruction | str]:
    """Set R9 to the block for the packet and R1 to where in it the packet's header belongs."""
    return [
        *_find_block(blocks),
        ebpf.load(WORD, R1, R9, HEAD),
        ebpf.jump_if_value(AT_MOST, R1, LAST_START, "room"),
        # The next block must have been released. Its memory is written only after that was read.
        ebpf.load(DWORD, R1, R7, SEQUENCE),
        ebpf.add_value(R1, 1),
        ebpf.load(DWORD, R2, R7, RELEASED),
        ebpf.subtract(R1, R2),
        ebpf.jump_if_value(AT_LEAST, R1, count, "full"),
        ebpf.load(DWORD, R1, R7, ELEMENT),
        ebpf.add_value(R1, 1),
        ebpf.load(DWORD, R2, R7, BEHIND),
        ebpf.jump_if(BELOW, R1, R2, "within the ring"),
        ebpf.load(DWORD, R1, R7, FIRST),
        "within the ring",
        ebpf.store(DWORD, R7, ELEMENT, R1),
        *_find_block(blocks),
        ebpf.store_value(DWORD, R9, HEAD, BLOCK_HEADER_BYTES),
        ebpf.store_value(DWORD, R7, FROZEN, 0),
        ebpf.set_value(R1, 1),
        ebpf.fetch_add(R7, SEQUENCE, R1),  # a barrier: with this, the reader knows that the block before is complete
        ebpf.set_value(R1, BLOCK_HEADER_BYTES),
        "room",
    ]


def _find_block(blocks: int) -> list[Instruction | str]:
    """Set R9 to the block whose place is ELEMENT."""
    return [
        ebpf.load(DWORD, R1, R7, ELEMENT),
        ebpf.store(WORD, STACK, KEY, R1),
        ebpf.map_descriptor(R1, blocks),
        ebpf.move(R2, STACK),
        ebpf.add_value(R2, KEY),
        ebpf.call(MAP_LOOKUP_ELEMENT),
        ebpf.jump_if_value(EQUAL, R0, 0, "full"),  # never: all places are in the map
        ebpf.move(R9, R0),
    ]


def _describe() -> list[Instruction | str]:
    """Write the header of the packet's entry, which begins R1 bytes behind R9; set R8 to the bytes to be copied."""
    with_tag = TP_STATUS_USER | TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID
    return [
        ebpf.move(R2, R9),
        ebpf.add(R2, R1),
        ebpf.store(DWORD, STACK, ENTRY, R2),
        ebpf.load(DWORD, R3, STACK, TAG),
        ebpf.move(R1, R8),
        ebpf.subtract(R1, R3),
        ebpf.store(WORD, R2, PACKET_LENGTH, R1),
        ebpf.jump_if_value(AT_MOST, R8, LONGEST, "whole"),
        ebpf.set_value(R8, LONGEST),
        "whole",
        ebpf.move(R1, R8),
        ebpf.subtract(R1, R3),
        ebpf.store(WORD, R2, PACKET_SNAPLEN, R1),
        ebpf.add_value(R1, FRAME_AT + 7),
        ebpf.mask(R1, -8),
        ebpf.store(WORD, R2, PACKET_NEXT, R1),
        ebpf.store(DWORD, STACK, STEP, R1),
        ebpf.load(DWORD, R1, R7, SECOND),
        ebpf.store(WORD, R2, PACKET_SEC, R1),
        ebpf.load(DWORD, R1, STACK, NANOSECOND),
        ebpf.store(WORD, R2, PACKET_NSEC, R1),
        ebpf.store_value(WORD, R2, PACKET_STATUS, TP_STATUS_USER),
        ebpf.jump_if_value(EQUAL, R3, 0, "described"),
        ebpf.store_value(WORD, R2, PACKET_STATUS, with_tag),
        "described",
        ebpf.store_value(HALF, R2, PACKET_MAC, FRAME_AT),
        ebpf.store_value(HALF, R2, PACKET_NET, NETWORK_AT),
        ebpf.load(WORD, R1, STACK, TAG_CONTROL),
        ebpf.store(WORD, R2, PACKET_VLAN_TCI, R1),
        ebpf.load(WORD, R1, STACK, TAG_PROTOCOL),
        ebpf.store(WORD, R2, PACKET_VLAN_TPID, R1),
    ]


def _copy() -> list[Instruction | str]:
    """Copy R8 bytes of the packet behind its header, and add the packet to the block's HEAD.

    A tag is copied too: the addresses are then moved over it.
    """
    moved: list[Instruction | str] = [ebpf.load(DWORD, R2, STACK, ENTRY)]
    for at, register in ((0, R3), (4, R4), (8, R5)):
        moved.append(ebpf.load(WORD, register, R2, FRAME_AT - TAG_BYTES + at))
    for at, register in ((0, R3), (4, R4), (8, R5)):
        moved.append(ebpf.store(WORD, R2, FRAME_AT + at, register))
    return [
        ebpf.load(DWORD, R1, STACK, TAG),
        ebpf.jump_if_value(NOT_EQUAL, R1, 0, "with its tag"),
        *_load_packet(FRAME_AT),
        ebpf.jump("copied"),
        "with its tag",
        *_load_packet(FRAME_AT - TAG_BYTES),
        *moved,
        "copied",
        ebpf.load(DWORD, R1, STACK, STEP),
        ebpf.set_value(R2, 1),
        ebpf.shift_left(R2, ONE_PACKET_SHIFT),
        ebpf.add(R1, R2),
        ebpf.fetch_add(R9, HEAD, R1),  # a barrier: the reader must see the packet whose number it sees
    ]


def _load_packet(at: int) -> list[Instruction | str]:
    """Copy R8 bytes of the packet to byte `at` of its entry."""
    return [
        ebpf.move(R1, R6),
        ebpf.set_value(R2, 0),
        ebpf.load(DWORD, R3, STACK, ENTRY),
        ebpf.add_value(R3, at),
        ebpf.move(R4, R8),
        ebpf.call(XDP_LOAD_BYTES),
        ebpf.jump_if_value(NOT_EQUAL, R0, 0, "full"),  # never: the length is the packet's own
    ]


def _count_drop() -> list[Instruction | str]:
    """Count a packet for which there is no room, and the first of several as a freeze."""
    return [
        *_add(DROPS, 1),
        ebpf.load(DWORD, R1, R7, FROZEN),
        ebpf.jump_if_value(NOT_EQUAL, R1, 0, "done"),
        ebpf.store_value(DWORD, R7, FROZEN, 1),
        *_add(FREEZES, 1),
    ]


def _add(field: int, value: int) -> list[Instruction | str]:
    """Add a constant to a field of this CPU."""
    return [
        ebpf.load(DWORD, R1, R7, field),
        ebpf.add_value(R1, value),
        ebpf.store(DWORD, R7, field, R1),
    ]
