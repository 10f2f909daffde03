"""The forecast of a census: how many packets it sends and how long it takes."""

from dataclasses import dataclass

from liveness.config.model import Config
from liveness.config.packets_per_24 import peak_bound_pps
from liveness.config.schedule import Schedule, schedule_of
from liveness.config.talk_load import (
    EXAMPLE_SHARE,
    TalkBurden,
    TalkLoad,
    burden_document,
    example_burden,
    talk_document,
    talk_load,
)
from liveness.space.targets import Targets

WHOLE_FROM_PPS = 100
"""Rates from this on are shown as whole numbers."""


@dataclass(frozen=True, slots=True)
class Total:
    """What a census sends with its talks, at most."""

    packets: float
    bits: float
    """Bits on the wire."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Packets and time of a census that runs at its rate from start to end."""

    targets: int
    blocks: int
    probes: int
    """Probes sent to each address, the tarpit control included."""
    packets: int
    bits: int
    """Bits of all packets on the wire."""
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
    schedule: Schedule
    talks: TalkLoad | None
    """Load of the talks with TCP services, which all other numbers but `peak_pps_per_24` leave out."""

    @property
    def example(self) -> TalkBurden | None:
        """What the talks send at most if EXAMPLE_SHARE of the targets have all the ports open; None without talks."""
        return None if self.talks is None else example_burden(self.talks, self.targets)

    def total_with(self, burden: TalkBurden | None) -> Total:
        """Return what the census and its talks send together, at most, and how long they take."""
        if self.talks is None or burden is None:
            return Total(self.packets, self.bits, self.duration_s)
        seconds = self.schedule.duration_with(burden.seconds, self.talks.wait_s)
        return Total(self.packets + burden.frames, self.bits + burden.bits, seconds)


def estimate(config: Config, targets: Targets, wire_bits: int) -> Estimate:
    """Return the forecast for these targets, `limits.max_targets` respected.

    `wire_bits` are the bits of one packet of each probe on the wire, all probes together. Under `rate: auto` the
    forecast is for the limit of the rate: a scan takes at least that long. Every probe sends n targets x attempts at
    its rate; each block adds the spacing between its first and last probe, with its margin, and the cooldown. At a low
    rate the spacing is longer: the time between two targets at least.
    """
    probes = len(config.probes) + config.control
    attempts = config.retransmit.attempts
    rate_pps = config.highest_rate.pps_for(wire_bits)
    schedule = schedule_of(config, targets, rate_pps)
    probed = int(schedule.targets.sum())
    total_pps = rate_pps * probes
    return Estimate(
        targets=probed,
        blocks=len(schedule.targets),
        probes=probes,
        packets=probed * attempts * probes,
        bits=probed * attempts * wire_bits,
        rate_pps=round(total_pps) if total_pps >= WHOLE_FROM_PPS else round(total_pps, 3),
        probe_rate_pps=rate_pps,
        bandwidth_bps=round(rate_pps * wire_bits),
        duration_s=schedule.duration_s,
        peak_pps_per_24=round(peak_bound_pps(config, targets, rate_pps), 3),
        longest_block_s=round(schedule.longest_block_s, 3),
        schedule=schedule,
        talks=talk_load(config),
    )


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
        "bits": forecast.bits,
        "rate": config.rate,
        "rate_pps": forecast.rate_pps,
        "probe_rate_pps": forecast.probe_rate_pps,
        "bandwidth_bps": forecast.bandwidth_bps,
        "duration_s": forecast.duration_s,
        "longest_block_s": forecast.longest_block_s,
        "peak_pps_per_24": forecast.peak_pps_per_24,
        "max_pps_per_24": config.limits.max_pps_per_24,
        "talks": _talks(forecast),
    }


def _talks(forecast: Estimate) -> dict[str, object] | None:
    """Return the load of talks as a JSON document, with that of the whole census in its example; None without talks."""
    if forecast.talks is None or forecast.example is None:
        return None
    example = {**burden_document(forecast.example), "total": total_document(forecast.total_with(forecast.example))}
    return {**talk_document(forecast.talks), "example": {"open_share": EXAMPLE_SHARE, **example}}


def total_document(total: Total) -> dict[str, float]:
    """Return what a census sends with its talks as a JSON document."""
    return {"packets": total.packets, "bits": total.bits, "seconds": total.seconds}
