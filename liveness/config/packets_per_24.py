"""Crowding: a bound on the packets that any /24 of the targets gets in any second.

A scan visits targets in a random order, and each lane (a probe and an attempt) reads that order at a lag of its own. So
what falls into one second is, for each lane, a run of consecutive targets; runs overlap where lags are shorter than
them, and a target in `c` of them gets `c` packets. The targets of one /24 are spread over the order at random: each
place is one of them with probability (its targets / the block's). Chernoff's bound of the sum over all places, for the
worst second of every phase of a block, and the union bound over all packets of the run, give a count that no second
exceeds but with probability RISK. (Draws are without replacement: Hoeffding 1963, section 6, shows that the bound of
independent draws holds for them.)

Where a scan talks to TCP services, each packet of such a probe may bring further ones, some time later. They count as
further lanes, with the order and lag of the probe's lane and a later time (_talk_stages).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.registry import ENTRIES
from liveness.applications.timing import BURST_S, REPEAT_S
from liveness.config.model import Config
from liveness.space.intervals import Intervals
from liveness.space.targets import Blocks, Targets

NETWORK_PREFIX: Final = 24
NETWORK_ADDRESSES: Final = 256
COUNTED_NETWORKS: Final = 1 << 20
"""Of more than these it is taken that one has all its addresses among the targets."""
CATCH_UP_S: Final = 0.02
"""The longest stall that a sender under a limit catches up: a second can have that much more than its own packets."""
WINDOW_S: Final = 1.0 + CATCH_UP_S + 0.005
"""A second, what is caught up in it, and the bursts at its two ends."""
RISK: Final = 1e-6
"""The probability that any second of a run exceeds the bound, at most."""
EXPONENTS: Final = np.geomspace(1e-3, 40.0, 48)
"""Values over which Chernoff's bound is minimised: each gives a bound, and the least is near the best."""
LARGEST_POWER: Final = 600.0
"""The exponential of a larger one overflows a double, and adding 1 changes nothing."""
SHARES: Final = np.linspace(0, 1, 5)
"""Of the seconds that hold a change of phase those are looked at that have so much of it before the change."""
SENDER_PPS: Final = 1_000_000
"""Frames a second that one sender is given, where their number follows from the rate: what one core sends through the
kernel's own drivers."""
SPREAD_S: Final = 0.25
"""Round-trip times to the addresses of one /24 are taken to differ by this at most."""
COMPARED_BLOCKS: Final = 64
"""Blocks of more kinds than these are bounded by those of each density together."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a block means to its fullest /24: addresses of the block, those probed, and those of the /24."""

    addresses: int
    probed: int
    most: int


def peak_bound_pps(config: Config, targets: Targets, rate_pps: float) -> float:
    """Return a count of packets that no second brings to any /24, whatever the seed, but with probability RISK.

    `rate_pps` is that of one probe on one machine, originals and repeats together. All shards of a census are counted,
    as if each machine sent at this rate. Packets that a network or an interface delays and releases together are not.
    """
    lanes = (len(config.probes) + config.control) * config.retransmit.attempts
    talk_lanes = len(_talked(config)) * config.retransmit.attempts * len(_talk_stages(config))
    rate_pps *= config.shard.of
    in_all = float(_most_sent(config, rate_pps, WINDOW_S))
    if talk_lanes:
        # each stage sends at most one packet for each that was sent in a second and its spread
        begun = sum(_most_sent(config, rate_pps, WINDOW_S + spread) for _, spread in _talk_stages(config))
        in_all += min(begun, math.ceil((config.talk.rate.pps or 0.0) * (WINDOW_S + BURST_S)) * config.shard.of)
        lanes += talk_lanes
    peak = 0.0
    for kind in _kinds(config, targets):
        bound = max(_bound(low, high, kind, lanes) for low, high in _seconds(config, kind.probed, rate_pps))
        peak = max(peak, min(bound, in_all, min(kind.most, kind.probed) * lanes))
    return peak


def _talked(config: Config) -> list[int]:
    """Return the places of the probes whose services are talked to."""
    probes = {entry.probe for entry in ENTRIES if entry.name in config.applications}
    return [place for place, name in enumerate(config.probes) if name in probes]


def _talk_stages(config: Config) -> tuple[tuple[float, float], ...]:
    """Return when a talk may send, s after its probe and its round-trip time: earliest, and how much later at most.

    The request, the reset after an answer, the repeat, the reset after the answer to that, and the reset at the end.
    """
    wait_s = config.talk.wait.seconds
    return (
        (0.0, SPREAD_S),
        (0.0, 2 * SPREAD_S),
        (REPEAT_S, SPREAD_S),
        (REPEAT_S, 2 * SPREAD_S),
        (wait_s, SPREAD_S),
    )


def _most_sent(config: Config, rate_pps: float, window_s: float) -> int:
    """Return the most packets of probes that leave within so many seconds, to all networks together.

    A sender's packets are evenly spaced; where there are several, each may begin with one.
    """
    sent_pps = rate_pps * (len(config.probes) + config.control)
    senders = _senders(config, sent_pps)
    return (math.floor(sent_pps * window_s / senders) + 1) * senders


def _senders(config: Config, sent_pps: float) -> int:
    """Return the most processes that send, on all machines together."""
    machines = config.shard.of
    if isinstance(config.senders, int):
        return config.senders * machines
    return machines * max(1, math.ceil(sent_pps / machines / SENDER_PPS))


def _kinds(config: Config, targets: Targets) -> Iterator[_Kind]:
    """Yield the kinds of blocks; where there are very many, one for all of about the same density."""
    found: dict[_Kind, None] = {}
    for block, quota in zip(targets.blocks(config.block_prefix), config.quotas(targets).tolist(), strict=True):
        if quota:
            found[_Kind(block.intervals.count, quota, _most(block.intervals))] = None
    if len(found) <= COMPARED_BLOCKS:
        yield from found
        return
    groups: dict[int, _Kind] = {}
    for kind in found:
        density = math.floor(8 * math.log2(kind.most / kind.addresses))
        group = groups.get(density, kind)
        fullest, most = max(group.most, kind.most), max(group.most / group.addresses, kind.most / kind.addresses)
        groups[density] = _Kind(math.ceil(fullest / most), max(group.probed, kind.probed), fullest)
    yield from groups.values()


def _most(intervals: Intervals) -> int:
    """Return how many targets the fullest /24 of a block has."""
    networks = Blocks(intervals, NETWORK_PREFIX)
    return NETWORK_ADDRESSES if len(networks) > COUNTED_NETWORKS else int(np.max(networks.counts))


def _seconds(config: Config, probed: int, rate_pps: float) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield the worst seconds of a block: for each lane the run of places that falls into it, its first and its end.

    Lanes begin and end one after the other. A tick draws one place; it takes as long as the probe with the most lanes
    at work needs for as many packets. So time passes at another pace in each phase: originals alone, originals and
    repeats together, repeats alone. Spacing is the least that the schedule makes of it. Of several senders each may be
    a place ahead.
    """
    probes, attempts = len(config.probes) + config.control, config.retransmit.attempts
    ahead = _senders(config, rate_pps * probes) - 1
    spacing = config.probe_spacing_s * rate_pps
    repeat = min(float(config.retransmit.queue) * config.shard.of, probed + (probes - 1) * spacing)
    lags = np.add.outer(np.arange(attempts) * repeat, np.arange(probes) * spacing)
    ticks = np.unique(np.concatenate([[0.0], lags.ravel(), lags.ravel() + probed]))
    begun = lags[None] <= ticks[:-1, None, None]
    active = begun & (ticks[:-1, None, None] < lags[None] + probed)
    costs = np.maximum(1, active.sum(axis=1).max(axis=1))  # of each phase
    times = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * costs / rate_pps)])
    changes = np.interp(np.concatenate([lags[:, [0, -1]].ravel(), lags[:, [0, -1]].ravel() + probed]), ticks, times)
    middles = (times[:-1] + times[1:] - WINDOW_S) / 2
    starts = np.concatenate([np.subtract.outer(changes, SHARES * WINDOW_S).ravel(), middles])
    talked = _talked(config)
    stages = _talk_stages(config) if talked else ()
    later = np.unique([0.0, *(shift for shift, _ in stages)])
    for start in np.unique(np.add.outer(starts, later)):
        first, end = np.interp([start, start + WINDOW_S], times, ticks)
        low, high = [first - lags.ravel() - ahead], [end - lags.ravel() + ahead]
        for shift, spread in stages:
            first, end = np.interp([start - shift - spread, start - shift + WINDOW_S], times, ticks)
            low.append(first - lags[:, talked].ravel() - ahead)
            high.append(end - lags[:, talked].ravel() + ahead)
        yield np.clip(np.concatenate(low), 0, probed), np.clip(np.concatenate(high), 0, probed)


def _bound(low: NDArray[np.float64], high: NDArray[np.float64], kind: _Kind, lanes: int) -> float:
    """Return a count that a second brings to the fullest /24 of a block but with probability RISK / packets.

    The second may be taken to begin with one of its packets: its target gets at most what any place gets, the others
    are spread over the other places.
    """
    times, lengths = _multiplicities(low, high)
    if not len(times):
        return 0.0
    share = min(1.0, kind.most / kind.addresses)
    packets = float(kind.probed) * lanes
    powers = np.outer(EXPONENTS, times)
    weights = np.where(
        powers > LARGEST_POWER,
        powers + math.log(share),
        np.log1p(share * np.expm1(np.minimum(powers, LARGEST_POWER))),
    )
    least = ((weights @ lengths + math.log(packets / RISK)) / EXPONENTS).min()
    return float(times.max()) + math.floor(float(least))


def _multiplicities(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return in how many runs places lie, and how many places lie in so many; the ends of runs are rounded outwards."""
    some = high > low
    edges = np.concatenate([np.floor(low[some]), np.ceil(high[some])])
    steps = np.concatenate([np.ones(some.sum()), -np.ones(some.sum())])
    order = np.argsort(edges, kind="stable")
    inside, lengths = np.cumsum(steps[order])[:-1], np.diff(edges[order])
    kept = (inside > 0) & (lengths > 0)
    return inside[kept], lengths[kept]
