"""The categories of ICMP errors (Bano et al. 2018, figure 3b)."""

from typing import Final

UNREACHABLE: Final = 3  # ICMP type (RFC 792)
HOST_UNREACHABLE: Final = 1  # its codes
PORT_UNREACHABLE: Final = 3

CATEGORIES: Final = ("port", "host", "other_unreachable", "other")


def category(icmp_type: int, icmp_code: int) -> str:
    """Return the category of an error, one of `CATEGORIES`."""
    if icmp_type != UNREACHABLE:
        return "other"
    return {PORT_UNREACHABLE: "port", HOST_UNREACHABLE: "host"}.get(icmp_code, "other_unreachable")
