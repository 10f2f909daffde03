"""The load of a run: the rate of each probe, and the bits that all probes take on the wire."""

import math
from dataclasses import dataclass
from typing import Final

from liveness.config.model import Config
from liveness.config.packets_per_24 import peak_bound_pps
from liveness.config.units import MIN_RATE_PPS
from liveness.errors import RefusedError, UsageError
from liveness.packets.headers import bits_on_wire
from liveness.probes.registry import probes_of_run
from liveness.probes.run_constants import frame_lengths
from liveness.space.targets import Targets

ANY_PORT: Final = 65_535
"""Stands for the port of the control probe, which is drawn later. The length of frames does not depend on it."""
AUTO_START_PPS: Final = 500.0
"""Rate at which `rate: auto` begins, in packets per second of one probe."""
BEYOND_ANY_PPS: Final = 1e9
"""A rate in packets per second that no interface reaches."""
NO_RATE: Final = "no rate keeps to it: any packet makes its second one of a packet"
NO_RATE_FOR: Final = "no rate keeps to it: at the lowest one a second may have up to"
AUTO_FIRST_STEPS: Final = 4
"""`rate: auto` begins at its limit divided by this at most."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run sends. Rates are packets per second of one probe, originals and repeats together.

    `rate_pps` is the highest rate (under `rate: auto`, the limit of the search), and `start_pps` the first one.
    """

    wire_bits: int
    """Sum of the bits on the wire of one packet of each probe."""
    rate_pps: float
    start_pps: float


def wire_bits_of(config: Config) -> int:
    """Return the sum of the bits on the wire of one packet of each probe."""
    probes = probes_of_run(config.probes, ANY_PORT if config.control else None)
    lengths = frame_lengths(probes, contact=config.contact, tcp_options=config.tcp_options)
    return sum(bits_on_wire(length) for length in lengths)


def check_pps_per_24(config: Config, targets: Targets, load: Load) -> None:
    """Raise RefusedError if some /24 may get more packets in a second than `limits.max_pps_per_24` allows.

    The message names the highest rate within the limit. The rate is not lowered automatically, because the run would
    then take longer than planned.
    """
    limit_pps = config.limits.max_pps_per_24
    if limit_pps is None:
        return
    peak_pps = peak_bound_pps(config, targets, load.rate_pps)
    if peak_pps <= limit_pps:
        return
    low = _highest_uncrowded(config, targets, limit_pps, 0.0, load.rate_pps)
    field = "rate_limit" if config.rate.auto else "rate"
    if limit_pps < 1:
        remedy = NO_RATE
    elif low:
        remedy = f"set {field} to {_rounded_down(low)}pps or less"
    else:
        remedy = f"{NO_RATE_FOR} {peak_bound_pps(config, targets, float(MIN_RATE_PPS)):,.0f}"
        remedy += ", with what talks add" if config.applications else ""
    raise RefusedError(
        f"config {config.name!r}: $.limits.max_pps_per_24: {limit_pps:g}: at {config.highest_rate} one /24 may get"
        f" {peak_pps:,.0f} packets in its busiest second: {remedy}, or raise the limit"
    )


def ceiling_pps(config: Config, targets: Targets, load: Load) -> float:
    """Return the highest rate of one probe to which a signal may raise a running scan; infinity if there is no limit.

    It is the smaller one of `rate_limit` and the highest rate within `limits.max_pps_per_24`.
    """
    ceiling = math.inf if config.rate_limit is None else config.rate_limit.pps_for(load.wire_bits)
    limit_pps = config.limits.max_pps_per_24
    if limit_pps is None:
        return ceiling
    return _highest_uncrowded(config, targets, limit_pps, load.rate_pps, min(ceiling, BEYOND_ANY_PPS))


def _highest_uncrowded(config: Config, targets: Targets, limit_pps: float, low: float, high: float) -> float:
    """Return the highest rate within the limit between `low`, which is within it, and `high`, to a thousandth."""
    while high - low > max(float(MIN_RATE_PPS), high / 1_000):
        middle = (low + high) / 2
        if peak_bound_pps(config, targets, middle) > limit_pps:
            high = middle
        else:
            low = middle
    return low


def _rounded_down(rate_pps: float) -> str:
    """Return a rate as text for a config, rounded down to whole packets, or to thousandths of one below ten."""
    return str(math.floor(rate_pps)) if rate_pps >= 10 else f"{math.floor(rate_pps * 1_000) / 1_000:g}"  # noqa: PLR2004


def load_of(config: Config) -> Load:
    """Return the load of a config's run. Raises UsageError if its rate is too low or above `rate_limit`."""
    wire_bits = wire_bits_of(config)
    rate_pps = config.highest_rate.pps_for(wire_bits)
    if rate_pps < float(MIN_RATE_PPS):
        field = "rate_limit" if config.rate.auto else "rate"
        where = f"config {config.name!r}: $.{field}: {config.highest_rate}"
        least = math.ceil(wire_bits * MIN_RATE_PPS)
        raise UsageError(f"{where}: less than a packet an hour of each probe: {least}bps is the least")
    if config.rate_limit is not None and rate_pps > config.rate_limit.pps_for(wire_bits):
        where = f"config {config.name!r}: $.rate: {config.rate}"
        raise UsageError(f"{where}: above $.rate_limit: {config.rate_limit}: lower the rate or raise the limit")
    start_pps = min(AUTO_START_PPS, rate_pps / AUTO_FIRST_STEPS) if config.rate.auto else rate_pps
    return Load(wire_bits, rate_pps, min(rate_pps, max(1.0, start_pps)))
