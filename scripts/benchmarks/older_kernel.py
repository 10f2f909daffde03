"""A kernel that sends 32 frames a call through AF_XDP, as all do before Linux 6.17."""

import errno
import os

from liveness.net.system_calls import Kernel, KernelSocket, RingSocket
from liveness.net.xdp import SOL_XDP, XDP_MAX_TX_SKB_BUDGET


class _OlderSocket(KernelSocket):
    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        if (level, option) == (SOL_XDP, XDP_MAX_TX_SKB_BUDGET):
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        super().set_option(level, option, value)


class OlderKernel(Kernel):
    """This kernel without XDP_MAX_TX_SKB_BUDGET: 32 frames a call, then EAGAIN."""

    def open(self, family: int) -> RingSocket:
        """Open a socket that refuses the option."""
        return _OlderSocket(family)
