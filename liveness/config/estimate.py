"""The forecast of a census: how many packets it sends and how long it takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveness.config.model import Config
from liveness.config.packets_per_24 import peak_bound_pps
from liveness.config.talk_load import TalkLoad, talk_document, talk_load
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
    """Packets that no /24 gets in any second, those of talks included: a bound for any seed."""
    longest_block_s: float
    """Time of the largest block with its cooldown: a slot has to be longer."""
    talks: TalkLoad | None
    """Load of the talks with TCP services, which all other numbers but `peak_pps_per_24` leave out."""


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
    spans_s = block_spans_s(config, quotas, rate_pps)
    total_pps = rate_pps * probes
    return Estimate(
        targets=probed,
        blocks=blocks,
        probes=probes,
        packets=probed * attempts * probes,
        rate_pps=round(total_pps) if total_pps >= WHOLE_FROM_PPS else round(total_pps, 3),
        probe_rate_pps=rate_pps,
        bandwidth_bps=round(rate_pps * wire_bits),
        duration_s=_duration_s(config, targets, spans_s),
        peak_pps_per_24=round(peak_bound_pps(config, targets, rate_pps), 3),
        longest_block_s=round(float(spans_s.max(initial=0.0)), 3),
        talks=talk_load(config),
    )


def block_spans_s(config: Config, quotas: NDArray[np.int64], rate_pps: float) -> NDArray[np.float64]:
    """Return the time that each block takes with its cooldown, s, for so many targets each; 0 for a block of none.

    Every probe sends targets x attempts at its rate, and the last probe of a target comes its spacing after the first.
    """
    probes = len(config.probes) + config.control
    spaced_s = config.probe_spacing_s + spacing_margin_s(config.probe_spacing_s)
    spacing_s = max(spaced_s, 1 / rate_pps) if spaced_s else 0.0
    pause_s = (probes - 1) * spacing_s + config.cooldown_s
    return quotas * config.retransmit.attempts / rate_pps + np.where(quotas > 0, pause_s, 0.0)


def _duration_s(config: Config, targets: Targets, spans_s: NDArray[np.float64]) -> float:
    """Return the time of all blocks one after the other, or by their slots from the first one on."""
    if config.slot is None:
        return float(spans_s.sum())
    slots = np.cumsum(config.quotas(targets) > 0) - 1
    ends_s = np.where(spans_s > 0, slots * config.slot.seconds + spans_s, 0.0)
    return float(ends_s.max(initial=0.0))


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
        "longest_block_s": forecast.longest_block_s,
        "peak_pps_per_24": forecast.peak_pps_per_24,
        "max_pps_per_24": config.limits.max_pps_per_24,
        "talks": talk_document(forecast.talks, forecast.targets),
    }
