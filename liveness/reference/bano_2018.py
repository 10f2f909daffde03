"""The values of Bano et al. 2018, "Scanning the Internet for Liveness" (CCR 48, issue 2), by id.

The census is that of 5 September 2017; the authors' released data on /24s and ports are of 4 September 2017.
An id names the measure, then the row, then the number: ``coverage.icmp.total``.
"""

from typing import Final

from liveness.reference.published import Published, Unit

LABEL: Final = "Bano 2018"

DATA: Final = "released data, 4 September 2017"

MILLION: Final = 1_000_000

PORT_SPLIT: Final = {
    22: (21_164_005, 130_750_828, 66_551),
    23: (9_605_244, 106_220_219, 79_390),
    80: (61_696_697, 80_595_607, 4_384_563),
    443: (51_578_862, 127_356_292, 86_963),
    7547: (27_321_930, 129_896_014, 1_772_475),
}
"""By port, addresses that sent SYN-ACK only, RST only, and both (released data, 4 September 2017)."""

PORTS_ANSWERED: Final = {1: 74.0, 2: 51.2, 3: 29.2, 4: 42.3, 5: 63.8}
"""Millions of addresses by the number of ports they answer on: the bars of figure 4a."""

_Value = float | tuple[float, float | None]

_IPALL: Final = 487e6
_TARGETS: Final = 3.6e9
_ACTIVE: Final = 262e6
_PREFIXES24_ALL: Final = 5_272_594
_PREFIXES24: Final = {
    "icmp": (4_898_342, 162_778),
    "tcp": (5_049_504, 223_580),
    "udp": (4_453_634, 23_127),
}
"""/24s by family: in total and unique; `_PREFIXES24_ALL` in the union of the families."""


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _share(name: str, value: _Value, of: str, where: str, words: str = "") -> Published:
    """Return a published share; without `words` it is printed as a percentage or as a range of two."""
    low, high = value if isinstance(value, tuple) else (value, value)
    if not words:
        ending = "" if high is None or low == high else f"-{_percent(high)}"
        words = f"more than {_percent(low)}" if high is None else _percent(low)
        words = words.removesuffix("%") + ending if ending else words
    return Published(name, low, high, "share", of, where, words)


def _number(name: str, value: float, unit: Unit, of: str, where: str, words: str = "") -> Published:
    """Return a published number."""
    return Published(name, value, value, unit, of, where, words or f"{value:,.0f}")


def _words(name: str, of: str, where: str, words: str) -> Published:
    """Return a published statement without a number."""
    return Published(name, None, None, "words", of, where, words)


def _network() -> list[Published]:
    """Return the values of sections 1 and 4.1: coverage, reply types and errors."""
    values = [
        _number("taxonomy.network_alive", _IPALL, "addresses", "IPall", "figure 2a", "487 M of 3.6 B"),
        _share("taxonomy.network_alive.of_targets", _IPALL / _TARGETS, "targets", "section 4"),
        _number("taxonomy.transport_active", _ACTIVE, "addresses", "transport-active", "section 4.2",
                "262 M, 53.8% of IPall"),
        _share("taxonomy.transport_active.of_ipall", 0.538, "IPall", "section 4.2"),
        _number("coverage.all", _IPALL, "addresses", "IPall", "figure 2a", "487 M"),
        _share("coverage.icmp.total", 0.79, "IPall", "figure 2a", "79% in all"),
        _share("coverage.tcp.unique", 0.16, "IPall", "figure 2a", "16% unique"),
        _share("coverage.udp.unique", 0.02, "IPall", "figure 2a", "2% unique"),
        _number("coverage24.all", _PREFIXES24_ALL, "/24s", "/24all", DATA),
    ]  # fmt: skip
    for family in ("icmp", "tcp", "udp"):
        for part, number in zip(("total", "unique"), _PREFIXES24[family], strict=True):
            share = number / _PREFIXES24_ALL
            values.append(_share(f"coverage24.{family}.{part}", share, "/24all", DATA, f"{number:,}"))
    of_only = "the error-only addresses"
    return [
        *values,
        _words("reply_types.icmp", "ICMP_nw", "figure 3a", "replies dominate"),
        _words("reply_types.tcp", "TCP_nw", "figure 3a", "errors sizable"),
        _words("reply_types.udp", "UDP_nw", "figure 3a", "errors dominate"),
        _share("error_only.all", 0.023, "IPall", "section 4.1", "2.3% of IPall"),
        _share("error_only.icmp", 0.20, of_only, "section 4.1"),
        _share("error_only.tcp", 0.76, of_only, "section 4.1"),
        _share("error_only.udp", 0.35, of_only, "section 4.1"),
        _words("error_categories.icmp", "error sources", "figure 3b", "other unreachable leads"),
        _words("error_categories.tcp", "error sources", "figure 3b", "other unreachable leads"),
        _words("error_categories.udp", "error sources", "figure 3b", "port leads"),
        _share("other_unreachable.13", 0.80, "messages to TCP and UDP probes", "section 4.1"),
        _share("other_unreachable.0 and 10", 0.15, "messages to TCP and UDP probes", "section 4.1"),
    ]


def _transport() -> list[Published]:
    """Return the values of section 4.2: ports and tarpits."""
    bars = sum(PORTS_ANSWERED.values())
    values = [
        _share(f"ports_answered.{ports}", bar / bars, "the sum of the five bars", "figure 4a",
               f"{bar} M, {bar / bars:.0%}")
        for ports, bar in PORTS_ANSWERED.items()
    ]  # fmt: skip
    exclusive: dict[int, _Value] = {22: (0.03, 0.06), 23: 0.008, 80: (0.03, 0.06), 443: (0.03, 0.06), 7547: 0.115}
    inflation: dict[int, _Value] = {22: 0.10, 23: 0.23, 80: (0.03, 0.04), 443: (0.03, 0.04), 7547: (0.03, 0.04)}
    for port, (syn_ack_only, rst_only, both) in PORT_SPLIT.items():
        active, of = syn_ack_only + rst_only + both, "the transport-active of 5 September"
        values += [
            _share(f"ports.{port}.active", active / _ACTIVE, of, DATA),
            _share(f"ports.{port}.alive", (syn_ack_only + both) / _ACTIVE, of, DATA),
            _share(f"ports.{port}.exclusive", exclusive[port], "transport-active", "figure 4b"),
            _share(f"inflation.{port}", inflation[port], "alive on the port without candidates", "section 4.2"),
        ]
    return [
        *values,
        _number("tarpits.candidates", 1.9e6, "addresses", "tarpit candidates", "section 4.2", "1.9 M"),
        _share("tarpits.confirmed", 0.89, "candidates", "section 4.2", "89% of candidates, six days later"),
    ]


def _joint_and_gains() -> list[Published]:
    """Return the values of sections 3, 4.3 and 1: conditional activity, gains and lag."""
    return [
        _share("not_by_icmp.tcp", 0.26, "mean over the TCP probes", "section 4.3"),
        _share("not_by_icmp.udp", 0.12, "mean over the UDP probes", "section 4.3"),
        _share("conditional.tcp/23.tcp/22", (0.9, 1.0), "active on tcp/23", "figure 5", "90% or more"),
        _share("conditional.tcp/23.tcp/443", (0.9, 1.0), "active on tcp/23", "figure 5", "90% or more"),
        _share("conditional.tcp/7547.tcp/80", 0.56, "active on tcp/7547", "figure 5"),
        _share("gains.tcp_udp", 0.18, "IPall: 16% + 2%", "section 1"),
        _share("gains.negative", (0.13, None), "the paper does not say of what", "section 1"),
        _share("retransmit.icmp", 0.022, "echo replies to the first probe", "section 3", "2.2%, echo replies"),
        _number("lag.max_s", 1500.0, "seconds", "targets", "section 3", "25 min"),
        _number("lag.p80_s", 600.0, "seconds", "targets", "section 3", "10 min"),
    ]


VALUES: Final = {value.id: value for value in (*_network(), *_transport(), *_joint_and_gains())}
"""Every published value by its id."""


def words(name: str) -> str:
    """Return a published value as a table prints it, empty where nothing was published under this id."""
    return VALUES[name].words if name in VALUES else ""


def starting(prefix: str) -> dict[str, Published]:
    """Return the values whose id starts with ``prefix.``, by the rest of their id."""
    return {name.removeprefix(f"{prefix}."): value for name, value in VALUES.items() if name.startswith(f"{prefix}.")}
