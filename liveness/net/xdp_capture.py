"""Capture by XDP: the program on an interface, and the memory that it shares with the reader."""

import errno
import os
import struct
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UnsupportedError
from liveness.net import capture_layout as layout
from liveness.net.capture_layout import BLOCK_BYTES, FIELDS_BYTES, HEAD
from liveness.net.capture_program import capture_program
from liveness.net.sockets import interface_index
from liveness.net.xdp_program import BPF_XDP, XDP_FLAGS_DRV_MODE
from liveness.packets.block import BLOCK_HEADER_BYTES
from liveness.system import ebpf
from liveness.system.bpf import Program

ONLINE_CPUS: Final = Path("/sys/devices/system/cpu/online")
FEWEST_BLOCKS: Final = 4
"""Blocks of a CPU at least: one is read, one is filled, and two wait."""
REMEDY: Final = "set receive.capture: packet"
READINGS: Final = 4
"""Number of times that the clocks are compared at once."""
NOT_LOADED: Final = {
    errno.EPERM: "this needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON in the initial user namespace: run as root outside"
    " of containers and labs, or",
    errno.ENOSYS: "this kernel has no bpf(2):",
    errno.EINVAL: "this kernel does not take the program (Linux 5.18):",
    errno.ENOMEM: "the kernel has no memory for the ring: lower receive.ring_mib, or",
    errno.E2BIG: "the filter is too long: use fewer source addresses, or",
}
"""Why the kernel did not make the maps or load the program, by errno, with a remedy other than another capture."""
_ANOTHER: Final = "another XDP program is attached to it: detach that, or"
_DRIVER: Final = (
    "its driver runs no XDP programs, or not with its present MTU and offloads (LRO), and behind the driver capturing"
    " would be no faster:"
)
NOT_ATTACHED: Final = {
    errno.EPERM: NOT_LOADED[errno.EPERM],
    errno.EBUSY: _ANOTHER,
    errno.EEXIST: _ANOTHER,
    errno.EINVAL: _DRIVER,
    errno.EOPNOTSUPP: _DRIVER,
    errno.ERANGE: "its MTU is too large for XDP programs: lower it, or",
    errno.ENOMEM: "its driver has too few queues or too little memory for XDP programs:",
}
"""Why a loaded program was not attached."""
_WORDS: Final = FIELDS_BYTES // 8


class XdpCapture:
    """XDP program on an interface, with the maps that it writes."""

    def __init__(self, interface: str, program: Program, ring_mib: int) -> None:
        """Attach the program in the driver. Raises UnsupportedError with the reason if that is not possible."""
        self.interface = interface
        self.cpus = cpu_count()
        self.count = max(FEWEST_BLOCKS, (ring_mib << 20) // BLOCK_BYTES // self.cpus)
        """Blocks of each CPU."""
        index = interface_index(interface)
        try:
            with ExitStack() as maps:  # the program and the mappings keep them

                def opened(descriptor: int) -> int:
                    maps.callback(os.close, descriptor)
                    return descriptor

                control, self.control_memory = ebpf.mapped_array(FIELDS_BYTES * self.cpus, name="liveness")
                opened(control)
                blocks, self.block_memory = ebpf.mapped_array(
                    BLOCK_BYTES, elements=self.cpus * self.count, name="liveness_blocks"
                )
                opened(blocks)
                self.control = np.frombuffer(self.control_memory, np.int64, _WORDS * self.cpus).reshape(-1, _WORDS)
                size = self.cpus * self.count * BLOCK_BYTES
                self.blocks = np.frombuffer(self.block_memory, np.uint8, size).reshape(-1, self.count, BLOCK_BYTES)
                prepare(self.control, self.blocks)
                code = capture_program(program, control, blocks, self.cpus, self.count)
                loaded = opened(ebpf.load_program(ebpf.XDP, code, name="liveness_capture"))
                self.link = attached(interface, index, loaded)
        except OSError as error:
            raise refused(interface, error) from error


def attached(interface: str, index: int, program: int) -> int:
    """Attach a program in the driver, and return the link that keeps it. Raises UnsupportedError with the reason."""
    try:
        return ebpf.bpf(ebpf.BPF_LINK_CREATE, struct.pack("4I", program, index, BPF_XDP, XDP_FLAGS_DRV_MODE))
    except OSError as error:
        raise refused(interface, error, NOT_ATTACHED) from error


def prepare(control: NDArray[np.int64], blocks: NDArray[np.uint8]) -> None:
    """Write what the program needs before it runs: the fields of each CPU, a row each, and its first block."""
    offset_ns, _ = clock_offset()
    count = blocks.shape[1]
    for cpu, row in enumerate(control):
        first = cpu * count
        row[layout.ELEMENT // 8] = row[layout.FIRST // 8] = first
        row[layout.BEHIND // 8] = first + count
        row[layout.OFFSET // 8] = offset_ns
        blocks[cpu, 0].view(np.int64)[HEAD // 8] = BLOCK_HEADER_BYTES


def cpu_count() -> int:
    """Return the number behind that of the last CPU that is online."""
    try:
        return int(ONLINE_CPUS.read_text().strip().replace(",", "-").split("-")[-1]) + 1
    except (OSError, ValueError):
        return os.cpu_count() or 1


def refused(interface: str, error: OSError, reasons: Mapping[int, str] | None = None) -> UnsupportedError:
    """Return the error for a program that was not loaded, or for the `reasons` NOT_ATTACHED."""
    known = NOT_LOADED if reasons is None else reasons
    reason = known.get(error.errno or 0, f"{error.strerror}:")
    return UnsupportedError(f"capture by XDP on {interface}: {reason} {REMEDY}")


def clock_offset() -> tuple[int, int]:
    """Return the time of day less the time of the monotonic clock, and how uncertain that is, in ns.

    It is the best of several readings: another process may have the core between two of them.
    """
    best = (0, 1 << 62)
    for _ in range(READINGS):
        before_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        if after_ns - before_ns < best[1]:
            best = (wall_ns - (before_ns + after_ns) // 2, after_ns - before_ns)
    return best
