"""Filling frames: one kernel that turns (probe, attempt, target) into a finished frame, in place in its ring slot."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, uint64
from liveness.probes import dns, icmp, ntp, tcp
from liveness.probes.kit import Kit
from liveness.probes.probe import Method
from liveness.probes.template import IP_AT, put_u16, put_u32
from liveness.wire import cookie
from liveness.wire import headers as hdr
from liveness.wire.checksum import checksum, fold, u32_sum

_ICMP = int(Method.ICMP)
_TCP = int(Method.TCP)
_DNS = int(Method.DNS)


@kernel
def put_template(words: NDArray[np.uint16], kit: Kit, probe: int) -> None:
    """Copy a probe's constant bytes into a slot that held another probe."""
    for i in range(kit.templates.shape[1]):
        words[i] = kit.templates[probe, i]


@kernel
def fill_frame(words: NDArray[np.uint16], kit: Kit, probe: int, attempt: int, target: int, now_ns: int) -> None:
    """Write everything that varies into a frame which holds the probe's template.

    `words` is the frame as 16-bit words in wire order, `target` a host-order address, `now_ns` the send time since the
    epoch.
    """
    hashed = cookie.cookie(uint64(target), kit.codes[probe], kit.key0, kit.key1)
    source = int(kit.sources[cookie.source_index(hashed, len(kit.sources))])
    address_sum = u32_sum(source) + u32_sum(target)
    identification = cookie.ip_id(hashed)
    put_u16(words, IP_AT + hdr.IPV4_ID, identification)
    put_u32(words, IP_AT + hdr.IPV4_SOURCE, source)
    put_u32(words, IP_AT + hdr.IPV4_DESTINATION, target)
    put_u16(words, IP_AT + hdr.IPV4_CHECKSUM, checksum(fold(kit.ip_sums[probe] + address_sum + identification)))
    method = kit.methods[probe]
    constant_sum = kit.transport_sums[probe]
    if method == _ICMP:
        icmp.make(words, target, constant_sum, hashed, attempt, now_ns)
        return
    port = cookie.source_port(hashed, kit.port_first, kit.port_stride, attempt)
    if method == _TCP:
        tcp.make(words, address_sum, constant_sum, hashed, port)
    elif method == _DNS:
        dns.make(words, address_sum, constant_sum, hashed, port)
    else:
        ntp.make(words, address_sum, constant_sum, hashed, port)
