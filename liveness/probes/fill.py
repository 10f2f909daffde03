"""Filling frames: one kernel that turns (probe, attempt, target) into a finished frame, in place in its ring slot."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, uint64
from liveness.probes import dns, icmp, ntp, tcp
from liveness.probes.probe import Method
from liveness.probes.template import IP_AT, put_u16, put_u32
from liveness.wire import cookie
from liveness.wire import headers as hdr
from liveness.wire.checksum import checksum, u32_sum

_ICMP = int(Method.ICMP)
_TCP = int(Method.TCP)
_DNS = int(Method.DNS)


@kernel
def put_template(words: NDArray[np.uint16], templates: NDArray[np.uint16], probe: int) -> None:
    """Copy a probe's constant bytes into a slot that held another probe."""
    for i in range(templates.shape[1]):
        words[i] = templates[probe, i]


@kernel
def fill_frame(
    words: NDArray[np.uint16],
    constants: np.void,
    sources: NDArray[np.uint32],
    attempt: int,
    target: int,
    now_ns: int,
) -> None:
    """Write everything that varies into a frame which holds the probe's template.

    `words` is the frame as 16-bit words in wire order, `constants` the probe's record of CONSTANTS_DTYPE, `sources` the
    scanner's addresses, `target` a host-order address, `now_ns` the send time since the epoch.
    """
    hashed = cookie.cookie(uint64(target), constants["code"], constants["key0"], constants["key1"])
    source = int(sources[cookie.source_index(hashed, len(sources))])
    address_sum = u32_sum(source) + u32_sum(target)
    identification = cookie.ip_id(hashed)
    put_u16(words, IP_AT + hdr.IPV4_ID, identification)
    put_u32(words, IP_AT + hdr.IPV4_SOURCE, source)
    put_u32(words, IP_AT + hdr.IPV4_DESTINATION, target)
    put_u16(words, IP_AT + hdr.IPV4_CHECKSUM, checksum(constants["ip_sum"] + address_sum + identification))
    method = constants["method"]
    constant_sum = constants["transport_sum"]
    if method == _ICMP:
        icmp.make(words, target, constant_sum, hashed, attempt, now_ns)
        return
    port = cookie.source_port(hashed, constants["port_first"], constants["port_stride"], attempt)
    if method == _TCP:
        tcp.make(words, address_sum, constant_sum, hashed, port)
    elif method == _DNS:
        dns.make(words, address_sum, constant_sum, hashed, port)
    else:
        ntp.make(words, address_sum, constant_sum, hashed, port)
