"""Owns the forecast of a census: how many packets it sends and how long it takes."""

from dataclasses import dataclass

from liveness.config.model import Config
from liveness.space.targets import Targets


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a census will take if it runs at its rate from start to end."""

    targets: int
    blocks: int
    probes: int
    """Probes sent to each address, the tarpit control included."""
    packets: int
    rate_pps: int
    """All probes together."""
    duration_s: float


def estimate(config: Config, targets: Targets) -> Estimate:
    """Return the forecast for these targets, `limits.max_targets` respected.

    Every probe sends n targets x attempts at its rate; each block adds the spacing between its first and last probe
    and the cooldown.
    """
    quotas = targets.limit(config.limits.max_targets, config.block_prefix)
    probed, blocks = int(quotas.sum()), int((quotas > 0).sum())
    probes = len(config.probes) + config.control
    attempts = config.retransmit.attempts
    sending_s = probed * attempts / config.rate_pps
    pauses_s = blocks * ((probes - 1) * config.probe_spacing_s + config.cooldown_s)
    return Estimate(
        targets=probed,
        blocks=blocks,
        probes=probes,
        packets=probed * attempts * probes,
        rate_pps=config.rate_pps * probes,
        duration_s=sending_s + pauses_s,
    )
