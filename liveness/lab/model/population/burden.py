"""The load of a census on the networks that it probes: packets to one /24, on average and at most."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from liveness.applications.timing import BURST_S
from liveness.config.model import Config
from liveness.space.targets import Targets


@dataclass(frozen=True, slots=True)
class Burden:
    """The load on single /24s, talks included: those that the /24 with the most open ports gets."""

    packets: int
    """Packets in the whole census to a /24 whose 256 addresses are all targets."""
    mean_pps: float
    """Packets per second to such a /24 while its block is probed, in the block in which this is highest."""
    peak_pps: int
    """Packets in one second that are expected to reach any /24 once in the census."""


@dataclass(frozen=True, slots=True)
class TalksIn24:
    """The most frames that talks send to a /24 of 256 targets."""

    frames: float
    """In the whole census."""
    after_first: float
    """After first attempts. A later attempt brings one frame for each open port, the reset of its connection."""


NO_TALKS: Final = TalksIn24(0, 0)


def burden_of(config: Config, targets: Targets, rate_pps: float, talks: TalksIn24 = NO_TALKS) -> Burden:
    """Return the load on /24s at `rate_pps` packets a second of each probe, first attempts and repeats together.

    It is that of all machines that share the census, each at this rate.
    A target receives all its probes within about a second, and targets follow each other at random: the number of
    targets of one /24 in the same second has a Poisson distribution. The frames of a talk count in the second of its
    first attempt, though some leave later, and never exceed `talk.rate`.
    """
    probes = len(config.probes) + config.control
    attempts = config.retransmit.attempts
    rate_pps *= config.shard.of
    blocks = targets.blocks(config.block_prefix)
    quotas = config.quotas(targets)
    counts = blocks.counts
    fullest = np.minimum(256, counts)
    probed = quotas > 0
    visits_a_second = rate_pps * fullest[probed] / counts[probed]  # to one /24; one visit is one target and attempt
    seconds = quotas[probed] * attempts / rate_pps
    worst = float(visits_a_second.max())
    peak = int(np.argmax(visits_a_second))
    windows = max(1.0, float((seconds * np.ceil(counts[probed] / 256)).sum()))
    share = min(1.0, float(quotas[probed][peak] / counts[probed][peak]))
    most = min(math.ceil(int(fullest[probed][peak]) * share) * attempts, math.ceil(rate_pps))
    peak = most if worst > most else min(most, rarest(worst, 1 / windows))
    visits_pps = min(worst, rate_pps, peak)  # all targets of a /24 may fit into one second
    talking_pps = (config.talk.rate.pps or 0.0) * (1 + BURST_S) * config.shard.of
    return Burden(
        packets=256 * probes * attempts + math.ceil(talks.frames),
        mean_pps=visits_pps * probes + min(visits_pps * talks.frames / (256 * attempts), talking_pps),
        peak_pps=peak * probes + math.ceil(min(peak * talks.after_first / 256, talking_pps)),
    )


def rarest(mean: float, chance: float) -> int:
    """Return the smallest number that a Poisson variable reaches with a probability of at most `chance`."""
    numbers = np.arange(math.ceil(mean + 40 * math.sqrt(mean)) + 60)
    steps = np.log(mean) - np.log(np.maximum(numbers, 1))
    steps[0] = -mean
    tails = np.cumsum(np.exp(np.cumsum(steps))[::-1])[::-1]
    return int(np.argmax(tails <= chance))
