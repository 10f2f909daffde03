"""The published shares as a population has them, computed from the number of its addresses that answer in each way."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liveness.lab.model.population.answer import (
    ANSWERED,
    BOTH,
    CONTROL_TCP,
    DNS,
    ERROR,
    ICMP,
    NTP,
    PAYLOAD,
    RESET,
    WHAT_MASK,
)
from liveness.lab.model.population.expected import Counts
from liveness.lab.model.population.features import Chosen, Features
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.published import PUBLISHED
from liveness.lab.model.population.rows import Rows
from liveness.lab.model.population.words import error_of, family_of
from liveness.reference.bano_2018 import MILLION

PORTS: Final = (22, 23, 80, 443, 7547)
"""The TCP ports, in the order of their probes."""
FAMILIES: Final = ("icmp", "tcp", "udp")
COUNTED: Final = frozenset(("IPall, millions", "active /24s, millions"))


@dataclass(frozen=True, slots=True)
class Fitted:
    """One share of a model and the range of its published value."""

    name: str
    model: float
    low: float
    high: float

    @property
    def counted(self) -> bool:
        """Whether it is a number of addresses or /24s in millions rather than a share."""
        return self.name in COUNTED

    @property
    def difference(self) -> float:
        """Signed distance of the model from the published range; 0 inside it."""
        return self.model - min(max(self.model, self.low), self.high)


def fitted_shares(population: Population, counts: Counts) -> list[Fitted]:
    """Return every published share of these counts, in the order of PUBLISHED. Empty counts give NaN."""
    values = shares(population, counts)
    return [Fitted(name, values[name], *PUBLISHED[name]) for name in PUBLISHED]


def shares(population: Population, counts: Counts) -> dict[str, float]:
    """Return the value of every share and of the two counts in millions; NaN for a share whose denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        values = _network_shares(population, counts)
    return {name: float(value) if np.isfinite(value) else float("nan") for name, value in values.items()}


def _network_shares(population: Population, counts: Counts) -> dict[str, np.float64]:
    """Return the shares of IPall and all other values."""
    features = Features.of(population.rows)
    by_row = counts.rows

    def count(chosen: Chosen) -> np.float64:
        return np.float64(by_row[chosen].sum())

    alive = [features.alive(family) for family in range(3)]
    found = np.sum(alive, axis=0)
    everything = count(found > 0)
    values = {"IPall, millions": everything / MILLION, "icmp total": count(alive[0]) / everything}
    values |= {f"{FAMILIES[family]} unique": count(alive[family] & (found == 1)) / everything for family in (1, 2)}
    values |= _prefix_shares(counts)
    errors = [features.sends_errors(family) for family in range(3)]
    replies = np.any([features.replies(family) for family in range(3)], axis=0)
    only = np.any(errors, axis=0) & ~replies
    values["error-only"] = count(only) / everything
    values |= {
        f"error-only seen by {FAMILIES[family]}": count(only & errors[family]) / count(only) for family in range(3)
    }
    codes = other_unreachable(population.rows, counts)
    values["code 13"] = codes.get(13, np.float64(0)) / sum(codes.values())
    values["codes 0 and 10"] = (codes.get(0, 0) + codes.get(10, 0)) / np.float64(sum(codes.values()))
    values |= _transport_shares(features, counts, everything)
    echo = features.sends((ICMP,), ANSWERED)
    active = [features.sends((probe,), ANSWERED, RESET, BOTH) for probe in range(1, DNS)]
    active += [features.sends((probe,), ANSWERED, PAYLOAD) for probe in (DNS, NTP)]
    missed = [count(found & ~echo) / count(found) for found in active]
    values["not by icmp, tcp"] = np.float64(np.mean(missed[:5]))
    values["not by icmp, udp"] = np.float64(np.mean(missed[5:]))
    for given, other in ((1, 0), (1, 3), (4, 2)):
        name = f"tcp/{PORTS[other]} given tcp/{PORTS[given]}"
        values[name] = count(active[given] & active[other]) / count(active[given])
    values["tcp and udp over icmp"] = values["tcp unique"] + values["udp unique"]
    positive = features.positive()
    values["negative over positive"] = (everything - count(positive)) / count(positive)
    return values


def _prefix_shares(counts: Counts) -> dict[str, np.float64]:
    """Return the shares of /24s that each family finds."""
    places = np.arange(8)
    everything = counts.prefixes24[1:].sum()
    values = {"active /24s, millions": everything / MILLION}
    for family, name in enumerate(FAMILIES):
        values[f"{name} /24s"] = counts.prefixes24[places >> family & 1 == 1].sum() / everything
        values[f"{name} /24s unique"] = counts.prefixes24[1 << family] / everything
    return values


def _transport_shares(features: Features, counts: Counts, everything: np.float64) -> dict[str, np.float64]:
    """Return the shares of transport-active addresses, and of tarpits."""

    def count(chosen: Chosen) -> np.float64:
        return np.float64(counts.rows[chosen].sum())

    active = [features.sends((probe,), ANSWERED, RESET, BOTH) for probe in range(1, DNS)]
    number = np.sum(active, axis=0)
    total = count(number > 0)
    open_everywhere = np.all([features.sends((probe,), ANSWERED, BOTH) for probe in range(1, DNS)], axis=0)
    tarpits = count(open_everywhere)
    values = {"transport active": total / everything, "tarpits": tarpits / total}
    values["tarpits confirmed"] = count(open_everywhere & features.sends((CONTROL_TCP,), ANSWERED)) / tarpits
    values |= {f"{ports} ports": count(number == ports) / total for ports in range(1, 6)}
    for probe, port in enumerate(PORTS, start=1):
        on_port = count(active[probe - 1])
        values[f"tcp/{port} active"] = on_port / total
        values[f"tcp/{port} SYN-ACK only"] = count(features.sends((probe,), ANSWERED)) / on_port
        values[f"tcp/{port} both"] = count(features.sends((probe,), BOTH)) / on_port
        values[f"tcp/{port} exclusive"] = count(active[probe - 1] & (number == 1)) / total
        values[f"tcp/{port} inflation"] = tarpits / (count(features.sends((probe,), ANSWERED, BOTH)) - tarpits)
    return values


def other_unreachable(rows: Rows, counts: Counts) -> dict[int, np.float64]:
    """Return unreachable messages about TCP and UDP service probes by code, without port and host unreachable."""
    codes: dict[int, np.float64] = {}
    for row, count in zip(rows.rows, counts.rows, strict=True):
        for probe, answer in enumerate(row.answers[:CONTROL_TCP]):
            if answer & WHAT_MASK == ERROR and family_of(probe) > 0:
                icmp_type, code = error_of(answer)
                if icmp_type == 3 and code not in (1, 3):  # noqa: PLR2004 - destination unreachable, RFC 792
                    codes[code] = codes.get(code, np.float64(0)) + count
    return codes
