"""Errors of live frames: why a kernel, a driver or missing privileges do not allow them, and the remedy."""

import errno
import os
from typing import Final

from liveness.errors import UnsupportedError
from liveness.net.live.counting import TRACEPOINT_SENT

REMEDY: Final = "set network.transport: auto"


def refused(interface: str, error: OSError) -> UnsupportedError:
    """Return the error for a kernel or a driver that does not send live frames."""
    return UnsupportedError(f"xdp_live on {interface}: {reason_of(error.errno or 0)}")


def process_refused(interface: str, code: int) -> UnsupportedError:
    """Return the error for the errno with which the kernel refused a call of the process that sends."""
    if code == errno.EPERM:  # by then the ring is open, so the owner has the privileges; the process needs none
        return UnsupportedError(
            f"xdp_live on {interface}: where kernel.unprivileged_bpf_disabled is set, kernels before Linux 5.19 do not"
            f" run programs for the process that sends, which has no privileges: {REMEDY}"
        )
    return refused(interface, OSError(code, os.strerror(code)))


def reason_of(code: int) -> str:
    """Return why live frames cannot be sent, and the remedy."""
    driver = (
        "its driver takes no frames from XDP programs (ndo_xdp_xmit). A veth link takes them if its other end has GRO"
        " (ethtool -K NAME gro on) or an XDP program, some cards if an XDP program is attached to them. Otherwise"
    )
    reasons = {
        errno.EPERM: "this needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON in the initial user namespace: run as root"
        " outside of containers and labs, or",
        errno.ENOSYS: "this kernel has no bpf(2):",
        errno.EINVAL: "this kernel does not run programs on live frames (Linux 6.0):",
        errno.E2BIG: "this kernel has no maps that are large enough (Linux 6.0):",
        errno.ENOENT: f"this kernel has no tracepoint {TRACEPOINT_SENT}, which counts what has left:",
        errno.EOPNOTSUPP: driver,
        errno.ENXIO: driver,
    }
    return f"{reasons.get(code, os.strerror(code) + ':')} {REMEDY}"
