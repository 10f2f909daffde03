"""The tables that the kernels read: a model as one array of uint64."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import uint64
from liveness.lab.model.change.layout import fixed, time_part
from liveness.lab.model.origin.layout import vantage_part
from liveness.lab.model.population.answer import (
    AT_ANSWERS,
    AT_GATEWAYS,
    AT_KINDS,
    AT_MIXES,
    AT_SERVICES,
    AT_SLASH8,
    AT_SLASH16,
    AT_SPECIAL,
    AT_TARPITS,
    AT_TIME,
    AT_VANTAGES,
    GAP_ROW,
    GATEWAY_ROW,
    GATEWAYS,
    HEADER,
    KEY,
    KIND_WORDS,
    KINDS,
    LAST_HOST,
    PARTLY_SPECIAL,
    PROFILES,
    SPECIALS,
    TARPIT_BITS,
    TARPIT_ROW,
    TARPIT_SHARE,
    TARPITS,
    UNUSED_SLASH8,
)
from liveness.lab.model.population.mix import may_hold_tarpits
from liveness.lab.model.population.model import Model
from liveness.lab.model.population.rows import Rows
from liveness.lab.model.services.layout import service_part
from liveness.mixing import GOLDEN_GAMMA, mix64
from liveness.space.special import special_purpose

WHOLE: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class SiteKind:
    """A kind of /24: its site, share of used addresses, gap of its gateway (-1 without one) and share of all /24s."""

    site: int
    used: float
    gap: int
    share: float
    tarpits: bool


def kinds_of_model(model: Model) -> list[SiteKind]:
    """Return every kind of /24 in use: each site by its number of hosts and by the errors of its gateway, if any."""
    total = sum(site.share for site in model.sites)
    gaps = sum(gap.weight for gap in model.gateways.gaps)
    kinds = []
    for index, site in enumerate(model.sites):
        tarpits = may_hold_tarpits(site) and model.tarpits.share > 0
        levels = sum(weight for _, weight in site.hosts)
        shares = [(-1, 1 - site.gateways)]
        shares += [(index, site.gateways * gap.weight / gaps) for index, gap in enumerate(model.gateways.gaps)]
        kinds += [
            SiteKind(index, hosts / 256, gap, site.share / total * weight / levels * share, tarpits)
            for hosts, weight in site.hosts
            for gap, share in shares
            if share > 0
        ]
    return kinds


def layout(
    model: Model, rows: Rows, kinds: list[SiteKind], mixes: NDArray[np.float64], seed: int
) -> NDArray[np.uint64]:
    """Return the tables of a model with `seed` in place of its own."""
    key = int(mix64(uint64(seed)))
    special = special_purpose()
    specials = np.stack((special.first >> np.uint32(8), special.last >> np.uint32(8)), axis=1).astype(np.uint64)
    numbers = {KEY: key, SPECIALS: len(specials), KINDS: len(kinds), PROFILES: rows.hosts}
    numbers |= {TARPIT_SHARE: fixed(model.tarpits.share), TARPIT_BITS: 32 - model.tarpits.prefix}
    numbers |= {TARPIT_ROW: rows.at_tarpits, TARPITS: rows.tarpits, GATEWAY_ROW: rows.at_gateways}
    numbers |= {GATEWAYS: rows.routers, GAP_ROW: rows.at_gaps, LAST_HOST: fixed(model.gateways.last_host)}
    shares = cumulative([kind.share for kind in kinds])
    words = [
        [shares[index], fixed(kind.used), kind.site, kind.gap + 1, int(kind.tarpits)]
        for index, kind in enumerate(kinds)
    ]
    assert len(words[0]) == KIND_WORDS  # noqa: S101 - the kernels rely on it
    parts: dict[int, NDArray[np.uint64]] = {
        AT_SLASH8: _slash8s(model, key),
        AT_SLASH16: np.concatenate([_slash16s(slash8.in_use) for slash8 in model.slash8s]),
        AT_SPECIAL: specials.ravel(),
        AT_KINDS: np.array(words, np.uint64).ravel(),
        AT_MIXES: np.concatenate([cumulative(mix if mix.any() else mix + 1) for mix in mixes]),
        AT_TARPITS: cumulative([answer.weight for answer in model.tarpits.answers]),
        AT_GATEWAYS: cumulative([router.weight for router in model.gateways.routers]),
        AT_ANSWERS: np.array([row.answers for row in rows.rows], np.uint64).ravel(),
        AT_TIME: time_part(model.time, [site.name for site in model.sites]),
        AT_VANTAGES: vantage_part(model.vantages),
        AT_SERVICES: service_part(model.services, [row.kind for row in rows.rows]),
    }
    head = np.zeros(HEADER, np.uint64)
    for place, number in numbers.items():
        head[place] = number
    at = HEADER
    for place, part in parts.items():
        head[place] = at if len(part) else 0
        at += len(part)
    return np.concatenate([head, *parts.values()])


def cumulative(weights: list[float] | NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return cumulative shares in units of 2**-32; from the last positive weight on, the value is 2**32."""
    sums = np.cumsum(weights)
    return np.array([round(float(part) * WHOLE) for part in sums / sums[-1]], np.uint64)


def _slash16s(levels: tuple[tuple[float, float], ...]) -> NDArray[np.uint64]:
    """Return the number of /24s in use of the 256 /16s of a /8, before they are shuffled."""
    total = sum(weight for _, weight in levels)
    counts = np.empty(256, np.uint64)
    passed, start = 0.0, 0
    for level, weight in levels:
        passed += weight
        end = round(256 * passed / total)
        counts[start:end] = round(256 * level)
        start = end
    return counts


def _slash8s(model: Model, key: int) -> NDArray[np.uint64]:
    """Return the entry of each /8: its class, assigned by quota in an order that depends on the seed, and its flags."""
    special = special_purpose()
    bases = np.arange(256, dtype=np.uint64) << np.uint64(24)
    covered = (special.rank(bases + np.uint64(1 << 24)) - special.rank(bases)).astype(np.int64)
    entries = np.where(covered == 1 << 24, UNUSED_SLASH8, 0) | np.where(covered > 0, PARTLY_SPECIAL, 0)
    ordinary = np.flatnonzero(covered < 1 << 24).tolist()
    with np.errstate(over="ignore"):
        order = sorted(ordinary, key=lambda slash8: int(mix64(uint64((key + GOLDEN_GAMMA * (slash8 + 1)) % (1 << 64)))))
    total = sum(slash8.share for slash8 in model.slash8s)
    passed, start = 0.0, 0
    for number, slash8 in enumerate(model.slash8s):
        passed += slash8.share
        end = round(len(order) * passed / total)
        chosen = order[start:end]
        entries[chosen] = entries[chosen] | number
        start = end
    return entries.astype(np.uint64)
