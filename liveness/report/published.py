"""The published values that stand beside ours: Bano et al. 2018, census of 5 September 2017 unless said otherwise."""

from typing import Final

LABEL: Final = "Bano 2018"

TAXONOMY: Final = {"network_alive": "487 M of 3.6 B", "transport_active": "262 M, 53.8% of IPall"}

COVERAGE: Final = {"all": "487 M", "icmp": "79% in all", "tcp": "16% unique", "udp": "2% unique"}

COVERAGE_24: Final = {
    "all": "5,272,594",
    "icmp": "4,898,342; 162,778",
    "tcp": "5,049,504; 223,580",
    "udp": "4,453,634; 23,127",
}
"""Total and unique /24s of 4 September 2017, from the authors' released data."""

REPLY_TYPES: Final = {"icmp": "replies dominate", "tcp": "errors sizable", "udp": "errors dominate"}

ERROR_ONLY: Final = {"all": "2.3% of IPall", "icmp": "20%", "tcp": "76%", "udp": "35%"}

ERROR_CATEGORIES: Final = {"icmp": "other unreachable leads", "tcp": "other unreachable leads", "udp": "port leads"}

OTHER_UNREACHABLE: Final = {"13": "80%", "0 and 10": "15%"}
"""Shares of messages to TCP and UDP probes."""

PORTS_ANSWERED: Final = {1: "74.0 M, 28%", 2: "51.2 M, 20%", 3: "29.2 M, 11%", 4: "42.3 M, 16%", 5: "63.8 M, 24%"}
"""The bars of figure 4a, and their shares of the sum of all five."""

PORT_EXCLUSIVE: Final = {22: "3-6%", 23: "0.8%", 80: "3-6%", 443: "3-6%", 7547: "11.5%"}

PORT_SPLIT: Final = {
    22: (21_164_005, 130_750_828, 66_551),
    23: (9_605_244, 106_220_219, 79_390),
    80: (61_696_697, 80_595_607, 4_384_563),
    443: (51_578_862, 127_356_292, 86_963),
    7547: (27_321_930, 129_896_014, 1_772_475),
}
"""SYN-ACK only, RST only, both: counts of 4 September 2017, from the authors' released data."""

TARPITS: Final = {"candidates": "1.9 M", "confirmed": "89% of candidates, six days later"}

INFLATION: Final = {22: "10%", 23: "23%", 80: "3-4%", 443: "3-4%", 7547: "3-4%"}

CONDITIONAL: Final = {
    ("tcp/23", "tcp/22"): "90% or more",
    ("tcp/23", "tcp/443"): "90% or more",
    ("tcp/7547", "tcp/80"): "56%",
}

NOT_BY_ICMP: Final = {"tcp": "26%", "udp": "12%"}

GAIN_TCP_UDP: Final = "18%"
"""16 + 2 of IPall."""

GAIN_NEGATIVE: Final = "more than 13%"
"""The paper does not say over which denominator."""

GAIN_RETRANSMIT: Final = {"icmp": "2.2%, echo replies"}

LAG: Final = {"max_s": "25 min", "p80_s": "10 min"}

# The same as numbers, for figures and differences. A pair is a range as it was published; None leaves an end open.

Range = tuple[float, float | None]

IPALL_COUNT: Final = 487e6
TARGETS_COUNT: Final = 3.6e9
ACTIVE_COUNT: Final = 262e6
PREFIXES24_COUNT: Final = 5_272_594
"""/24s that any family found, 4 September 2017."""

COVERAGE_SHARES: Final = {("icmp", "total"): 0.79, ("tcp", "unique"): 0.16, ("udp", "unique"): 0.02}
"""Of IPall."""

COVERAGE_24_SHARES: Final = {
    ("icmp", "total"): 4_898_342 / PREFIXES24_COUNT,
    ("icmp", "unique"): 162_778 / PREFIXES24_COUNT,
    ("tcp", "total"): 5_049_504 / PREFIXES24_COUNT,
    ("tcp", "unique"): 223_580 / PREFIXES24_COUNT,
    ("udp", "total"): 4_453_634 / PREFIXES24_COUNT,
    ("udp", "unique"): 23_127 / PREFIXES24_COUNT,
}

ERROR_ONLY_SHARES: Final = {"all": 0.023, "icmp": 0.20, "tcp": 0.76, "udp": 0.35}
"""`all` of IPall, the families of all."""

OTHER_UNREACHABLE_SHARES: Final = {"13": 0.80, "0 and 10": 0.15}

_ANSWERED: Final = {1: 74.0, 2: 51.2, 3: 29.2, 4: 42.3, 5: 63.8}
PORTS_ANSWERED_SHARES: Final = {ports: number / sum(_ANSWERED.values()) for ports, number in _ANSWERED.items()}
"""Of the sum of all five bars."""

PORT_SHARES: Final = {
    port: (sum(split) / ACTIVE_COUNT, (split[0] + split[2]) / ACTIVE_COUNT) for port, split in PORT_SPLIT.items()
}
"""Active and alive on a port, 4 September 2017, over the 262 M transport-active of the 5th."""

PORT_EXCLUSIVE_SHARES: Final[dict[int, Range]] = {
    22: (0.03, 0.06),
    23: (0.008, 0.008),
    80: (0.03, 0.06),
    443: (0.03, 0.06),
    7547: (0.115, 0.115),
}
"""Of transport-active."""

CONFIRMED_SHARE: Final = 0.89

INFLATION_SHARES: Final[dict[int, Range]] = {
    22: (0.10, 0.10),
    23: (0.23, 0.23),
    80: (0.03, 0.04),
    443: (0.03, 0.04),
    7547: (0.03, 0.04),
}

CONDITIONAL_SHARES: Final[dict[tuple[str, str], Range]] = {
    ("tcp/23", "tcp/22"): (0.9, 1.0),
    ("tcp/23", "tcp/443"): (0.9, 1.0),
    ("tcp/7547", "tcp/80"): (0.56, 0.56),
}

NOT_BY_ICMP_SHARES: Final = {"tcp": 0.26, "udp": 0.12}

GAIN_TCP_UDP_SHARE: Final = 0.18
GAIN_NEGATIVE_SHARE: Final[Range] = (0.13, None)
GAIN_RETRANSMIT_SHARES: Final = {"icmp": 0.022}

LAG_SECONDS: Final = {"max_s": 1500.0, "p80_s": 600.0}
