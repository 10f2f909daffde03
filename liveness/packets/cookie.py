"""The cookie: which header fields of a probe carry which bits of its hash, so that any reply finds its probe.

``h = SipHash-2-4(key, target | probe code << 32)``. Bits 0-15 choose the source port, 16-31 are the IP ID, 32-63 are
the TCP sequence number or the echo's identifier and sequence number, 32-47 a transaction id; NTP carries all 64. The
attempt shows in the source port (each attempt has its own range) and, for ICMP, in the echo sequence number, which
grows by one an attempt.
"""

from liveness.kernel import int64, kernel, uint64
from liveness.packets.siphash import siphash24


def probe_code(protocol: int, port: int) -> int:
    """Return the 32-bit number of a probe in the hash: IP protocol and destination port."""
    return protocol << 16 | port


@kernel
def cookie(target: int, code: int, key0: int, key1: int) -> int:
    """Return the 64-bit hash (uint64) of a target address and a probe code under a run's key."""
    return siphash24(uint64(target) | (uint64(code) << uint64(32)), key0, key1)


@kernel
def ip_id(hashed: int) -> int:
    """Return the IP identification of every probe with this hash."""
    return int64((hashed >> uint64(16)) & uint64(0xFFFF))


@kernel
def sequence(hashed: int) -> int:
    """Return the TCP sequence number: the upper 32 bits of the hash."""
    return int64(hashed >> uint64(32))


@kernel
def low_half(hashed: int) -> int:
    """Return the lower 32 bits of the hash."""
    return int64(hashed & uint64(0xFFFFFFFF))


@kernel
def echo_id(hashed: int) -> int:
    """Return the ICMP echo identifier."""
    return int64(hashed >> uint64(48))


@kernel
def echo_sequence(hashed: int, attempt: int) -> int:
    """Return the ICMP echo sequence number of an attempt."""
    return (int64((hashed >> uint64(32)) & uint64(0xFFFF)) + attempt) & 0xFFFF


@kernel
def transaction(hashed: int) -> int:
    """Return 16 bits for a transaction id, as the DNS probe has one."""
    return int64((hashed >> uint64(32)) & uint64(0xFFFF))


@kernel
def port_offset(hashed: int, stride: int) -> int:
    """Return where in an attempt's range of `stride` ports the source port lies: 16 bits of the hash scaled to it."""
    return (int64(hashed & uint64(0xFFFF)) * stride) >> 16


@kernel
def source_port(hashed: int, port_first: int, stride: int, attempt: int) -> int:
    """Return the source port of an attempt: its range begins at port_first + attempt x stride."""
    return port_first + attempt * stride + port_offset(hashed, stride)


@kernel
def attempt_of_port(port: int, hashed: int, port_first: int, stride: int, attempts: int) -> int:
    """Return the attempt that a port proves, or -1 if no attempt of this hash uses it: the inverse of `source_port`."""
    distance = port - port_first - port_offset(hashed, stride)
    for attempt in range(attempts):  # there are few: this is faster than a division
        if distance == attempt * stride:
            return attempt
    return -1


@kernel
def source_index(hashed: int, sources: int) -> int:
    """Return which of the scanner's source addresses a probe leaves from."""
    return (int64((hashed >> uint64(8)) & uint64(0xFFFF)) * sources) >> 16
