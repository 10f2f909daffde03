"""The shares of Bano et al. 2018 that the model is fitted to, as numbers: what they are of stands in `shares.py`."""

from typing import Final

Range = tuple[float, float]
"""What a published value allows: lowest and highest; twice the same where the paper gives one number."""

MILLION: Final = 1_000_000


def exactly(value: float) -> Range:
    """Return the range of one number."""
    return value, value


ALL_24: Final = 5_272_594
TRANSPORT: Final = 260.5
"""Transport-active addresses in millions: the sum of the five bars of figure 4a, which its shares are of."""

ACTIVE: Final = {22: 151.981384, 23: 115.904853, 80: 146.676867, 443: 179.022117, 7547: 158.990419}
"""Active addresses by port, millions (4 September 2017, the authors' data)."""
SYN_ACK_ONLY: Final = {22: 21.164005, 23: 9.605244, 80: 61.696697, 443: 51.578862, 7547: 27.321930}
BOTH_KINDS: Final = {22: 0.066551, 23: 0.079390, 80: 4.384563, 443: 0.086963, 7547: 1.772475}

PUBLISHED: Final[dict[str, Range]] = {
    "IPall, millions": exactly(487),
    "icmp total": exactly(0.79),
    "tcp unique": exactly(0.16),
    "udp unique": exactly(0.02),
    "active /24s, millions": exactly(ALL_24 / MILLION),
    "icmp /24s": exactly(4_898_342 / ALL_24),
    "icmp /24s unique": exactly(162_778 / ALL_24),
    "tcp /24s": exactly(5_049_504 / ALL_24),
    "tcp /24s unique": exactly(223_580 / ALL_24),
    "udp /24s": exactly(4_453_634 / ALL_24),
    "udp /24s unique": exactly(23_127 / ALL_24),
    "error-only": exactly(0.023),
    "error-only seen by icmp": exactly(0.20),
    "error-only seen by tcp": exactly(0.76),
    "error-only seen by udp": exactly(0.35),
    "code 13": exactly(0.80),
    "codes 0 and 10": exactly(0.15),
    "transport active": exactly(0.538),
    **{
        f"{ports} ports": exactly(bar / TRANSPORT)
        for ports, bar in zip(range(1, 6), (74.0, 51.2, 29.2, 42.3, 63.8), strict=True)
    },
    **{f"tcp/{port} active": exactly(count / TRANSPORT) for port, count in ACTIVE.items()},
    **{f"tcp/{port} SYN-ACK only": exactly(SYN_ACK_ONLY[port] / count) for port, count in ACTIVE.items()},
    **{f"tcp/{port} both": exactly(BOTH_KINDS[port] / count) for port, count in ACTIVE.items()},
    "tcp/22 exclusive": (0.03, 0.06),
    "tcp/23 exclusive": exactly(0.008),
    "tcp/80 exclusive": (0.03, 0.06),
    "tcp/443 exclusive": (0.03, 0.06),
    "tcp/7547 exclusive": exactly(0.115),
    "tarpits": exactly(1.9 / TRANSPORT),
    "tarpits confirmed": exactly(0.89),
    "tcp/22 inflation": exactly(0.10),
    "tcp/23 inflation": exactly(0.23),
    "tcp/80 inflation": (0.03, 0.04),
    "tcp/443 inflation": (0.03, 0.04),
    "tcp/7547 inflation": (0.03, 0.04),
    "not by icmp, tcp": exactly(0.26),
    "not by icmp, udp": exactly(0.12),
    "tcp/22 given tcp/23": (0.9, 1.0),
    "tcp/443 given tcp/23": (0.9, 1.0),
    "tcp/80 given tcp/7547": exactly(0.56),
    "tcp and udp over icmp": exactly(0.18),
    "negative over positive": (0.13, 1.0),
}
"""By the name of the share; names and order are those of `shares.fitted_shares`."""
