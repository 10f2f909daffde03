"""Arrival times at the far end of a link, taken by an XDP program in its driver, which drops the packets.

A capture of a million packets a second takes most of a core, which the sender of a benchmark may need.
"""

import os
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.net.live.sending import KTIME_GET_NS, XDP_DATA, XDP_DATA_END, XDP_DROP
from liveness.net.sockets import interface_index
from liveness.net.xdp_program import BPF_XDP, XDP_FLAGS_DRV_MODE, XDP_PASS
from liveness.system import ebpf
from liveness.system.ebpf import ABOVE, DWORD, HALF, NOT_EQUAL, R0, R1, R2, R3, R4, R6, R7, R8, WORD

ETHERTYPE_AT: Final = 12
ETHERNET_BYTES: Final = 14
IPV4: Final = int.from_bytes(b"\x08\x00", "little")
"""The EtherType as a little-endian machine reads it; no other machine runs the benchmark."""


def attach(interface: str, program: bytes) -> int:
    """Attach an XDP program to the driver of an interface; return the descriptor that keeps it attached."""
    loaded = ebpf.load_program(ebpf.XDP, program)
    attributes = struct.pack("4I", loaded, interface_index(interface), BPF_XDP, XDP_FLAGS_DRV_MODE)
    link = ebpf.bpf(ebpf.BPF_LINK_CREATE, attributes)
    os.close(loaded)  # the link keeps it
    return link


class FarClock:
    """Times of the first `most` IPv4 packets that an interface receives, which are dropped."""

    def __init__(self, interface: str, most: int) -> None:
        """Attach the program, which stays until `close`."""
        numbers, memory = ebpf.mapped_array(8 * (most + 1))
        self._numbers: NDArray[np.int64] = np.frombuffer(memory, np.int64, most + 1)
        self._link = attach(interface, _program(numbers, most))
        os.close(numbers)

    def end(self) -> tuple[NDArray[np.int64], int]:
        """Detach the program; return the times of the packets (CLOCK_MONOTONIC) and how many came after the `most`."""
        os.close(self._link)
        arrived = int(self._numbers[0])
        times_ns = self._numbers[1 : 1 + arrived]
        return times_ns, arrived - len(times_ns)


def _program(numbers: int, most: int) -> bytes:
    """Return the program; `numbers` is the descriptor of an array: the count of packets, and the time of each."""
    return ebpf.assemble(
        [
            ebpf.load(WORD, R3, R1, XDP_DATA),
            ebpf.load(WORD, R4, R1, XDP_DATA_END),
            ebpf.move(R2, R3),
            ebpf.add_value(R2, ETHERNET_BYTES),
            ebpf.jump_if(ABOVE, R2, R4, "other"),
            ebpf.load(HALF, R2, R3, ETHERTYPE_AT),
            ebpf.jump_if_value(NOT_EQUAL, R2, IPV4, "other"),
            ebpf.map_value(R7, numbers),
            ebpf.load(DWORD, R8, R7),
            ebpf.move(R1, R8),
            ebpf.add_value(R1, 1),
            ebpf.store(DWORD, R7, 0, R1),
            ebpf.jump_if_value(ABOVE, R8, most - 1, "full"),
            ebpf.call(KTIME_GET_NS),
            ebpf.move(R6, R8),
            ebpf.shift_left(R6, 3),
            ebpf.add(R7, R6),
            ebpf.store(DWORD, R7, 8, R0),
            "full",
            ebpf.set_value(R0, XDP_DROP),
            ebpf.end(),
            "other",
            ebpf.set_value(R0, XDP_PASS),
            ebpf.end(),
        ]
    )
