"""What a frame takes on an Ethernet beside its bytes."""

FRAME_OVERHEAD = 7 + 1 + 4 + 12
"""Bytes around each frame (IEEE 802.3): preamble, start of frame, frame check sequence, gap to the next."""
MIN_ON_WIRE = 60 + FRAME_OVERHEAD
"""A shorter frame is padded."""


def bits_on_wire(frame_bytes: int) -> int:
    """Return the bit times of a frame, its header included and its check sequence not, as ZMap's `-B` counts them."""
    return 8 * max(MIN_ON_WIRE, frame_bytes + FRAME_OVERHEAD)
