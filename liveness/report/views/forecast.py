"""The forecast of a census as lines: targets, packets, rate, duration and load, before anything is sent."""

from collections.abc import Mapping
from pathlib import Path

from liveness.analysis.numbers import bandwidth, percent, rate, size, span
from liveness.config.estimate import Estimate, Total
from liveness.config.model import Config
from liveness.config.talk_load import EXAMPLE_SHARE, TalkBurden
from liveness.errors import count_of
from liveness.space.special import registry_date
from liveness.space.targets import Targets


def checked_text(file: Path, config: Config, targets: Targets, forecast: Estimate) -> str:
    """Return what a checked config will do, a line for each question before a scan."""
    limited = _limited(config, targets, forecast)
    names = [*config.probes, "tcp/control"] if config.control else list(config.probes)
    lines = {
        "targets": f"{targets.count:,}{limited}",
        "left out": f"{targets.blocked:,} by the blocklist, {targets.special:,} special-purpose "
        f"(IANA, {registry_date()}), of {targets.allowed:,} allowed"
        + (f"; {count_of(targets.ipv6_lines, 'line')} of IPv6" if targets.ipv6_lines else ""),
        "blocks": f"{forecast.blocks:,} of a /{config.block_prefix} each",
        "probes": f"{', '.join(names)}; {config.retransmit.attempts} attempts",
        "packets": f"{forecast.packets:,}",
        "rate": rate_text(config, forecast),
        "duration": duration_text(forecast, auto=config.rate.auto) + _slots_text(config, forecast),
        **talk_lines(config, forecast),
        "busiest": peak_text(config, forecast),
        "contact": config.contact or "none",
    }
    return f"{file}: a sound config named {config.name!r}\n" + named_lines(lines, indent=2)


def _slots_text(config: Config, forecast: Estimate) -> str:
    """Return how long the longest block takes, if a start was agreed, of what slot."""
    if config.start_at is None:
        return ""
    longest = f"; the longest block takes {span(forecast.longest_block_s)}"
    if config.slot is None:
        return longest
    return f"{longest} of its slot of {span(config.slot.seconds)}"


def _limited(config: Config, targets: Targets, forecast: Estimate) -> str:
    """Return why fewer targets are probed than there are, if so."""
    if forecast.targets >= targets.count:
        return ""
    reasons = [] if config.limits.max_targets is None else ["limits.max_targets"]
    if config.shard.of > 1:
        reasons.append(f"shard {config.shard.index} of {config.shard.of}")
    return f", {forecast.targets:,} of them by {' and '.join(reasons)}"


def named_lines(lines: Mapping[str, str], indent: int = 0) -> str:
    """Return lines that begin with their names, the texts aligned."""
    width = max(map(len, lines))
    return "\n".join(f"{' ' * indent}{name:<{width}}  {text}" for name, text in lines.items())


def talk_lines(config: Config, forecast: Estimate) -> dict[str, str]:
    """Return the most that talks send: in a second, to one open port, and if some of the targets have open ports."""
    load, example = forecast.talks, forecast.example
    if load is None or example is None:
        return {}
    frames = max(service.frames for service in load.services)
    names = ", ".join(service.application for service in load.services)
    limit = f"at most {rate(load.rate_pps)} packets/s, {bandwidth(load.bandwidth_bps)} on the wire"
    return {
        "talks": f"{names}: {limit}; {frames} packets to an open port",
        f"at {percent(EXAMPLE_SHARE, 0)}": f"{talks_text(example)}, if so many targets have these ports open",
        "together": total_text(forecast.total_with(example), auto=config.rate.auto),
    }


def total_text(total: Total, *, auto: bool) -> str:
    """Return what a census and its talks send together, at most, and the time; under `rate: auto` the least."""
    return f"at most {total.packets:,.0f} packets, {size(total.bits / 8)}; {time_text(total.seconds, auto=auto)}"


def talks_text(burden: TalkBurden) -> str:
    """Return the most that talks send, as packets, bytes and time."""
    return f"at most {burden.frames:,.0f} packets, {size(burden.bits / 8)}, {span(burden.seconds)} at talk.rate"


def peak_text(config: Config, forecast: Estimate) -> str:
    """Return the peak load of the busiest /24, and its limit."""
    limit = config.limits.max_pps_per_24
    allowed = "no limits.max_pps_per_24" if limit is None else f"{limit:g} allowed"
    return f"{forecast.peak_pps_per_24:,.0f} packets at most in the busiest second of any /24 ({allowed})"


def rate_text(config: Config, forecast: Estimate) -> str:
    """Return a rate in packets a second, total and of each probe, and in bits a second on the wire."""
    each, total = rate(forecast.probe_rate_pps), rate(forecast.rate_pps)
    found = "found while it runs, at most " if config.rate.auto else ""
    return f"{found}{total} packets/s in all, {each} for each probe, {bandwidth(forecast.bandwidth_bps)} on the wire"


def duration_text(forecast: Estimate, *, auto: bool) -> str:
    """Return how long a census takes; under `rate: auto` the least."""
    return time_text(forecast.duration_s, auto=auto)


def time_text(seconds: float, *, auto: bool) -> str:
    """Return a time that follows from the rate; under `rate: auto` it is the least."""
    return f"{'at least' if auto else 'about'} {span(seconds)}"
