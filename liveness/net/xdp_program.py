"""XDP program that some drivers need: it passes every packet to the host, until its last descriptor is closed.

Several drivers (ixgbe, i40e, ice, igb, igc, mlx5, gve) accept an AF_XDP socket in zero-copy mode without a program, but
then refuse to send. Some (igb, ixgbe, i40e, virtio_net) take live frames only while a program is attached.
"""

import errno
import os
import struct
from typing import Final

from pyroute2 import IPRoute

from liveness.errors import UnsupportedError
from liveness.system import ebpf

BPF_XDP: Final = 37
XDP_FLAGS_DRV_MODE: Final = 1 << 2
XDP_PASS: Final = 2
PASS: Final = ebpf.assemble([ebpf.set_value(ebpf.R0, XDP_PASS), ebpf.end()])


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
        program = ebpf.load_program(ebpf.XDP, PASS)
        return ebpf.bpf(ebpf.BPF_LINK_CREATE, struct.pack("4I", program, index, BPF_XDP, XDP_FLAGS_DRV_MODE))
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
