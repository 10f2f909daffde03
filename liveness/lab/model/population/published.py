"""The published shares to which the model is fitted; `shares.py` computes them."""

from typing import Final

from liveness.reference.bano_2018 import MILLION, PORT_SPLIT, PORTS_ANSWERED, VALUES

Range = tuple[float, float]
"""Lowest and highest value that the paper allows; equal where the paper gives one number."""

TRANSPORT: Final = sum(PORTS_ANSWERED.values()) * MILLION
"""Transport-active addresses: the sum of the five bars of figure 4a, the denominator of the shares of ports."""


def exactly(value: float) -> Range:
    """Return the range that contains one number."""
    return value, value


def published(name: str, scale: float = 1.0) -> Range:
    """Return a published value by its id, divided by `scale`; a range without an upper end ends at 1."""
    low, high = VALUES[name].range
    return low / scale, (1.0 if high is None else high) / scale


def _ports() -> dict[str, Range]:
    """Return the shares of ports among transport-active addresses, and the parts of each port."""
    totals = {port: sum(split) for port, split in PORT_SPLIT.items()}
    return {
        **{f"{ports} ports": published(f"ports_answered.{ports}") for ports in PORTS_ANSWERED},
        **{f"tcp/{port} active": exactly(total / TRANSPORT) for port, total in totals.items()},
        **{f"tcp/{port} SYN-ACK only": exactly(PORT_SPLIT[port][0] / total) for port, total in totals.items()},
        **{f"tcp/{port} both": exactly(PORT_SPLIT[port][2] / total) for port, total in totals.items()},
        **{f"tcp/{port} exclusive": published(f"ports.{port}.exclusive") for port in totals},
    }


PUBLISHED: Final[dict[str, Range]] = {
    "IPall, millions": published("coverage.all", MILLION),
    "icmp total": published("coverage.icmp.total"),
    "tcp unique": published("coverage.tcp.unique"),
    "udp unique": published("coverage.udp.unique"),
    "active /24s, millions": published("coverage24.all", MILLION),
    "icmp /24s": published("coverage24.icmp.total"),
    "icmp /24s unique": published("coverage24.icmp.unique"),
    "tcp /24s": published("coverage24.tcp.total"),
    "tcp /24s unique": published("coverage24.tcp.unique"),
    "udp /24s": published("coverage24.udp.total"),
    "udp /24s unique": published("coverage24.udp.unique"),
    "error-only": published("error_only.all"),
    **{f"error-only seen by {family}": published(f"error_only.{family}") for family in ("icmp", "tcp", "udp")},
    "code 13": published("other_unreachable.13"),
    "codes 0 and 10": published("other_unreachable.0 and 10"),
    "transport active": published("taxonomy.transport_active.of_ipall"),
    **_ports(),
    "tarpits": published("tarpits.candidates", TRANSPORT),
    "tarpits confirmed": published("tarpits.confirmed"),
    **{f"tcp/{port} inflation": published(f"inflation.{port}") for port in PORT_SPLIT},
    "not by icmp, tcp": published("not_by_icmp.tcp"),
    "not by icmp, udp": published("not_by_icmp.udp"),
    "tcp/22 given tcp/23": published("conditional.tcp/23.tcp/22"),
    "tcp/443 given tcp/23": published("conditional.tcp/23.tcp/443"),
    "tcp/80 given tcp/7547": published("conditional.tcp/7547.tcp/80"),
    "tcp and udp over icmp": published("gains.tcp_udp"),
    "negative over positive": published("gains.negative"),
}
"""Ranges by name of the share; names and order are those of `shares.fitted_shares`."""
