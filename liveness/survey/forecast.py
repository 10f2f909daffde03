"""Forecast of a survey: packets, rates, time, and space on disk."""

from dataclasses import asdict, dataclass

from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.live import live_bytes
from liveness.planes.matrix import PLANES, row_bytes
from liveness.scan.rate.load import wire_bits_of
from liveness.survey.config import SurveyConfig
from liveness.survey.schedule import Survey, depth_of


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a survey will send, and what it takes. Rates are of all probes together."""

    name: str
    blocks: int
    addresses: int
    left_out: int
    """Addresses of the blocks that the blocklist or special-purpose space excludes."""
    probes: tuple[str, ...]
    interval_s: float
    rounds: int
    duration_s: float
    packets: int
    rate_pps: float
    bandwidth_bps: int
    pps_per_24: float
    max_pps_per_24: float | None
    tolerance_s: float
    remembered_s: float
    """Time for which a reply names its round."""
    disk_bytes: int
    contact: str
    shard: int
    shards: int
    start_at: str | None

    def document(self) -> dict[str, object]:
        """Return the forecast as a JSON document."""
        return asdict(self)


def forecast(survey: Survey) -> Forecast:
    """Return the forecast of a survey that runs from its start to its end."""
    return forecast_of(survey.config, len(survey.blocks), survey.targets.count)


def forecast_of(config: SurveyConfig, blocks: int, targets: int) -> Forecast:
    """Return the forecast of a survey of so many /24s, of which it may probe so many addresses.

    While it runs its rounds are on disk by round, at its end by address too; the first are then removed.
    """
    probes, addresses = len(config.probes), BLOCK_ADDRESSES * blocks
    interval_s = config.survey.interval.seconds
    planes = addresses * row_bytes(config.rounds) * len(PLANES) * probes
    rate_pps = config.rate_pps(blocks) * targets / addresses
    return Forecast(
        name=config.name,
        blocks=blocks,
        addresses=addresses,
        left_out=addresses - targets,
        probes=config.probes,
        interval_s=interval_s,
        rounds=config.rounds,
        duration_s=config.rounds * interval_s,
        packets=targets * probes * config.rounds,
        rate_pps=rate_pps * probes,
        bandwidth_bps=round(rate_pps * wire_bits_of(config.as_census(blocks))),
        pps_per_24=config.pps_per_24,
        max_pps_per_24=config.limits.max_pps_per_24,
        tolerance_s=config.tolerance_ns / 1e9,
        remembered_s=(config.marks - 1) * interval_s,
        disk_bytes=2 * planes + live_bytes(blocks, probes, depth_of(config)),
        contact=config.contact,
        shard=config.shard.index,
        shards=config.shard.of,
        start_at=None if config.start_at is None else str(config.start_at),
    )
