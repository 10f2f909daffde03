"""The network between scanner and population, as the `network` section of a population file describes it."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from liveness.config.model import decode_unit
from liveness.config.units import Duration
from liveness.errors import UsageError
from liveness.files.documents import shaped, shown_value

MAX_DELAY_S: Final = 16
"""The longest delay of a reply in seconds: the delay queue covers no more."""
QUANTILES: Final = 4096
NONE: Final = "none"

Share = Annotated[float, Meta(ge=0, le=1)]
Many = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Latency(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Round-trip times: log-normal over /24s, exponential jitter on top, and a share of slow replies."""

    median: Duration = Duration(0)
    sigma: Annotated[float, Meta(ge=0, le=3)] = 0.0
    """Standard deviation of the logarithm."""
    jitter: Duration = Duration(0)
    """Mean time that a reply takes longer than is usual for its /24."""
    slow: Share = 0.0
    slow_up_to: Duration = Duration(0)
    """Longest extra time of a slow reply, uniformly distributed: hosts that wake up, long queues."""


class Bursts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Loss in bursts (Gilbert 1960, Elliott 1963): each path and direction alternates between good and bad states."""

    share: Share = 0.0
    """Share of time in which a path is bad."""
    loss: Share = 1.0
    """Share of packets lost on a bad path."""
    mean: Duration = Duration("700ms")
    """Mean time that a path stays bad, exponentially distributed."""
    path_prefix: Annotated[int, Meta(ge=8, le=24)] = 20
    """Targets that share this prefix share a path."""


class IcmpLimit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rate limit of ICMP errors, a token bucket for each router (RFC 1812 4.3.2.8)."""

    rate_pps: Many
    burst: Many = 50


class ScannerLink(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The capacity of the scanner's link: packets beyond its rate are queued, and lost if the queue is full."""

    rate_pps: Many
    queue: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    """Length of the queue in packets."""


class Conditions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The network model. Omitted conditions are ideal: no latency, no loss, no limit."""

    latency: Latency = Latency()
    loss: Share = 0.0
    """Share of packets lost in each direction, independently of one another."""
    bursts: Bursts = Bursts()
    icmp_limit: IcmpLimit | None = None
    link: ScannerLink | None = None
    duplicates: Share = 0.0
    reordered: Share = 0.0
    """Share of replies that take up to `reordered_by` longer."""
    reordered_by: Duration = Duration("20ms")
    noise: Share = 0.0
    """Spoofed packets per probe: well-formed replies without a valid cookie."""

    @property
    def lossless(self) -> bool:
        """Whether every probe and every reply arrives."""
        burst_loss = self.bursts.share * self.bursts.loss
        return self.loss == 0 and burst_loss == 0 and self.icmp_limit is None and self.link is None

    @property
    def longest_delay_s(self) -> float:
        """The longest extra delay of a reply in seconds, jitter and latency of its /24 excluded."""
        return self.latency.slow_up_to.seconds + self.reordered_by.seconds * (self.reordered > 0)

    def latency_quantiles_ns(self) -> NDArray[np.int64]:
        """Return round-trip times of /24s in nanoseconds: QUANTILES equally likely values, ascending."""
        normal = NormalDist()
        places = (np.arange(QUANTILES) + 0.5) / QUANTILES
        normal_quantiles = np.array([normal.inv_cdf(place) for place in places.tolist()])
        times_ns = self.latency.median.us * 1000 * np.exp(self.latency.sigma * normal_quantiles)
        quantiles: NDArray[np.int64] = np.minimum(times_ns, MAX_DELAY_S * 1e9).astype(np.int64)
        return quantiles


def parse_conditions(section: object, origin: str, at: str = "$.network") -> Conditions:
    """Return the conditions of a `network` section: a mapping; ``none`` or None (no section) for ideal ones.

    UsageError names `origin`, the path (the section is `at`) and the value.
    """
    if section is None or section == NONE:
        return Conditions()
    if not isinstance(section, Mapping):
        raise UsageError(f"{origin}: {at}: {shown_value(section)}: expected a mapping such as 'loss: 0.01', or none")
    conditions = shaped(section, Conditions, origin, below=at, decode=decode_unit)
    if conditions.longest_delay_s > MAX_DELAY_S:
        path, value = "latency.slow_up_to", conditions.latency.slow_up_to
        raise UsageError(f"{origin}: {at}.{path}: {value}: at most {MAX_DELAY_S}s, reordering included")
    return conditions


def conditions_of_place(section: object, fields: Mapping[str, object], origin: str, place: int) -> Conditions:
    """Return the conditions of a vantage point by its number: those of `network`, with the fields of its own.

    UsageError as above.
    """
    common = section if isinstance(section, Mapping) else {}
    parse_conditions(section, origin)  # so that what is wrong there is named there
    return parse_conditions({**common, **fields}, origin, f"$.vantages.places[{place}].network")
