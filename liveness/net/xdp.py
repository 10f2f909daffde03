"""Constants and structures of linux/if_xdp.h, some of which are shorter in older kernels (af_xdp.rst)."""

import struct
from typing import Final, NamedTuple

AF_XDP: Final = 44
SOL_XDP: Final = 283

XDP_MMAP_OFFSETS: Final = 1
XDP_TX_RING: Final = 3
XDP_UMEM_REG: Final = 4
XDP_UMEM_FILL_RING: Final = 5
XDP_UMEM_COMPLETION_RING: Final = 6
XDP_STATISTICS: Final = 7
XDP_MAX_TX_SKB_BUDGET: Final = 9
"""Number of frames that one call sends in copy mode (Linux 6.17)."""
DEFAULT_TX_BUDGET: Final = 32
"""Number of frames that one call sends without that option."""

XDP_COPY: Final = 1 << 1
XDP_ZEROCOPY: Final = 1 << 2

FILL_PAGE_OFFSET: Final = 0x100000000
TX_PAGE_OFFSET: Final = 0x80000000
COMPLETION_PAGE_OFFSET: Final = 0x180000000

OFFSETS_BYTES: Final = 128
STATISTICS_BYTES: Final = 48
INVALID_DESCRIPTORS_AT: Final = 16
"""Offset of tx_invalid_descs in struct xdp_statistics, which has 24 bytes before Linux 5.9."""


class RingOffsets(NamedTuple):
    """Offsets in bytes of the parts of a mapped ring."""

    producer: int
    consumer: int
    descriptors: int


class Offsets(NamedTuple):
    """struct xdp_mmap_offsets, for the rings that sending needs."""

    transmit: RingOffsets
    fill: RingOffsets
    completion: RingOffsets


def unpack_offsets(raw: bytes) -> Offsets:
    """Return the offsets of the rings. Raises ValueError if `raw` has an unknown length.

    The structure describes four rings (RX, TX, fill, completion) with three uint64 each, and since Linux 5.4 with a
    fourth one for flags.
    """
    lengths = {96: 3, OFFSETS_BYTES: 4}
    if len(raw) not in lengths:
        raise ValueError(f"ring offsets of {len(raw)} bytes")
    numbers = lengths[len(raw)]
    words = struct.unpack(f"{4 * numbers}Q", raw)
    _, transmit, fill, completion = (RingOffsets(*words[at : at + 3]) for at in range(0, len(words), numbers))
    return Offsets(transmit, fill, completion)


def invalid_descriptors(raw: bytes) -> int:
    """Return the number of frames refused as malformed, from struct xdp_statistics; 0 if that is too short."""
    if len(raw) < INVALID_DESCRIPTORS_AT + 8:
        return 0
    return int(struct.unpack_from("Q", raw, INVALID_DESCRIPTORS_AT)[0])


def socket_address(index: int, queue: int, flags: int) -> bytes:
    """Return a struct sockaddr_xdp."""
    return struct.pack("HHIII", AF_XDP, flags, index, queue, 0)
