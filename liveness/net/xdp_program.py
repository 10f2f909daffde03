"""XDP program that zero-copy mode needs: it passes every packet to the host, until its last descriptor is closed.

Several drivers (ixgbe, i40e, ice, igc, mlx5, gve) accept an AF_XDP socket in zero-copy mode without a program, but then
refuse to send.
"""

import ctypes
import errno
import os
import platform
import struct
from typing import Final

from pyroute2 import IPRoute

from liveness.errors import UnsupportedError
from liveness.system.child import libc

SYS_BPF: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
BPF_PROG_LOAD: Final = 5
BPF_LINK_CREATE: Final = 28
BPF_PROG_TYPE_XDP: Final = 6
BPF_XDP: Final = 37
XDP_FLAGS_DRV_MODE: Final = 1 << 2
XDP_PASS: Final = 2
# mov32 r0, XDP_PASS; exit
PASS: Final = struct.pack("<BBhi", 0xB4, 0, 0, XDP_PASS) + struct.pack("<BBhi", 0x95, 0, 0, 0)
LICENSE: Final = b"BSD\0"


def program_attached(index: int) -> bool:
    """Return whether an interface has an XDP program, of any owner."""
    with IPRoute() as netlink:
        (message,) = netlink.link("get", index=index)
    found = message.get_attr("IFLA_XDP")
    return bool(found is not None and found.get_attr("IFLA_XDP_ATTACHED"))


def attach_pass_program(interface: str, index: int) -> int:
    """Attach the program in the driver and return its descriptor. Closing the last copy detaches the program.

    Raises UnsupportedError if another program is attached, which is left unchanged, or if the kernel, the driver or
    missing privileges (CAP_BPF and CAP_NET_ADMIN outside of any container) do not allow it.
    """
    program = -1
    try:
        program = _load()
        return _bpf(BPF_LINK_CREATE, struct.pack("4I", program, index, BPF_XDP, XDP_FLAGS_DRV_MODE))
    except OSError as error:
        remedy = {
            errno.EBUSY: "another XDP program is attached to it: set network.zero_copy: never, or detach that",
            errno.EEXIST: "another XDP program is attached to it: set network.zero_copy: never, or detach that",
            errno.EPERM: "it takes CAP_BPF and CAP_NET_ADMIN: run as root, or set network.zero_copy: never",
        }.get(error.errno or 0, "set network.zero_copy: never")
        raise UnsupportedError(
            f"zero-copy on {interface} needs an XDP program in its driver: {error.strerror}: {remedy}"
        ) from error
    finally:
        if program >= 0:
            os.close(program)  # the link keeps the program


def _load() -> int:
    instructions, license_text = ctypes.create_string_buffer(PASS, len(PASS)), ctypes.create_string_buffer(LICENSE)
    attributes = struct.pack(
        "IIQQIIQII",
        BPF_PROG_TYPE_XDP,
        len(PASS) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(license_text),
        0,  # no log
        0,
        0,
        0,
        0,
    )
    return _bpf(BPF_PROG_LOAD, attributes)


def _bpf(command: int, attributes: bytes) -> int:
    """Call bpf(2) and return the resulting descriptor. Raises OSError."""
    number = SYS_BPF.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    memory = ctypes.create_string_buffer(attributes, 128)
    descriptor = int(libc.syscall(number, command, memory, len(memory)))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return descriptor
