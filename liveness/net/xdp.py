"""Owns the numbers of linux/if_xdp.h: socket options, page offsets and flags of AF_XDP (networking/af_xdp.rst)."""

from typing import Final

AF_XDP: Final = 44
SOL_XDP: Final = 283

XDP_MMAP_OFFSETS: Final = 1
XDP_TX_RING: Final = 3
XDP_UMEM_REG: Final = 4
XDP_UMEM_FILL_RING: Final = 5
XDP_UMEM_COMPLETION_RING: Final = 6
XDP_STATISTICS: Final = 7
XDP_OPTIONS: Final = 8
XDP_OPTIONS_ZEROCOPY: Final = 1 << 0
XDP_MAX_TX_SKB_BUDGET: Final = 9
"""How many frames one call sends in copy mode; without it (older kernels) 32."""

XDP_COPY: Final = 1 << 1
XDP_ZEROCOPY: Final = 1 << 2

TX_PAGE_OFFSET: Final = 0x80000000
COMPLETION_PAGE_OFFSET: Final = 0x180000000

OFFSETS_BYTES: Final = 128
"""struct xdp_mmap_offsets: four rings (RX, TX, fill, completion) of four uint64: producer, consumer, desc, flags."""
TX_OFFSETS: Final = slice(4, 8)
COMPLETION_OFFSETS: Final = slice(12, 16)

STATISTICS_FORMAT: Final = "6Q"
TX_INVALID_DESCRIPTORS: Final = 2
"""Place in struct xdp_statistics."""
