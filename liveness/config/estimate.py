"""The forecast of a census: how many packets it sends and how long it takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveness.config.model import Config
from liveness.config.packets_per_24 import peak_bound_pps
from liveness.order.lanes import spacing_margin_s
from liveness.space.targets import Targets

WHOLE_FROM_PPS = 100
"""Rates from this on are shown as whole numbers."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Packets and time of a census that runs at its rate from start to end."""

    targets: int
    blocks: int
    probes: int
    """Probes sent to each address, the tarpit control included."""
    packets: int
    rate_pps: float
    """All probes together, whole from 100 on."""
    probe_rate_pps: float
    """One probe, originals and repeats together (the paper's reading)."""
    bandwidth_bps: int
    """Bits a second of all probes together on the wire."""
    duration_s: float
    peak_pps_per_24: float
    """Packets that no /24 gets in any second: a bound for any seed."""


def estimate(config: Config, targets: Targets, wire_bits: int) -> Estimate:
    """Return the forecast for these targets, `limits.max_targets` respected.

    `wire_bits` are the bits of one packet of each probe on the wire, all probes together. Under `rate: auto` the
    forecast is for the limit of the rate: a scan takes at least that long. Every probe sends n targets x attempts at
    its rate; each block adds the spacing between its first and last probe, with its margin, and the cooldown. At a low
    rate the spacing is longer: the time between two targets at least.
    """
    quotas = own_quotas(config, targets)
    probed, blocks = int(quotas.sum()), int((quotas > 0).sum())
    probes = len(config.probes) + config.control
    attempts = config.retransmit.attempts
    rate_pps = config.highest_rate.pps_for(wire_bits)
    sending_s = probed * attempts / rate_pps
    spaced_s = config.probe_spacing_s + spacing_margin_s(config.probe_spacing_s)
    spacing_s = max(spaced_s, 1 / rate_pps) if spaced_s else 0.0
    pauses_s = blocks * ((probes - 1) * spacing_s + config.cooldown_s)
    total_pps = rate_pps * probes
    return Estimate(
        targets=probed,
        blocks=blocks,
        probes=probes,
        packets=probed * attempts * probes,
        rate_pps=round(total_pps) if total_pps >= WHOLE_FROM_PPS else round(total_pps, 3),
        probe_rate_pps=rate_pps,
        bandwidth_bps=round(rate_pps * wire_bits),
        duration_s=sending_s + pauses_s,
        peak_pps_per_24=round(peak_bound_pps(config, targets, rate_pps), 3),
    )


def own_quotas(config: Config, targets: Targets) -> NDArray[np.int64]:
    """Return how many targets of each block this machine probes: all, or those of its shard."""
    quotas = config.quotas(targets)
    shard = config.shard
    if shard.of == 1:
        return quotas
    from liveness.order.permutation import Permutation  # noqa: PLC0415 - its kernels load Numba, which takes a second

    own = np.zeros_like(quotas)
    for number, block in enumerate(targets.blocks(config.block_prefix)):
        if quotas[number]:
            permutation = Permutation.of_block(block.intervals.count, config.seed, block.name)
            own[number] = permutation.targets_in(shard.index, shard.of, int(quotas[number]))
    return own


def forecast_document(config: Config, targets: Targets, forecast: Estimate) -> dict[str, object]:
    """Return a config's targets and forecast as a JSON document; durations in seconds."""
    return {
        "name": config.name,
        "targets": targets.count,
        "allowed": targets.allowed,
        "blocked": targets.blocked,
        "special_purpose": targets.special,
        "ipv6_lines": targets.ipv6_lines,
        "public": targets.public,
        "probed": forecast.targets,
        "blocks": forecast.blocks,
        "probes": forecast.probes,
        "attempts": config.retransmit.attempts,
        "packets": forecast.packets,
        "rate": config.rate,
        "rate_pps": forecast.rate_pps,
        "probe_rate_pps": forecast.probe_rate_pps,
        "bandwidth_bps": forecast.bandwidth_bps,
        "duration_s": forecast.duration_s,
        "peak_pps_per_24": forecast.peak_pps_per_24,
        "max_pps_per_24": config.limits.max_pps_per_24,
    }
