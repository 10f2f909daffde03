"""The mix of profiles at each site, such that all sites together keep the weights of the profiles."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.population.model import FAMILIES, Model, Site
from liveness.lab.model.population.rows import Rows, host_weights

ROUNDS: Final = 2000
CLOSE: Final = 1e-12


def site_mixes(model: Model, rows: Rows) -> NDArray[np.float64]:
    """Return the share of each row of hosts among the used addresses of each site: shape (sites, hosts).

    Iterative proportional fitting (Deming and Stephan 1940): every row keeps its weight over all sites together, and a
    site has more of the kinds that it favours, as far as its families allow.
    """
    weights = np.array(host_weights(model))
    weights /= weights.sum()
    hosts = np.array([used_addresses(model, site) for site in model.sites])
    if hosts.any():  # a population may be empty
        hosts /= hosts.sum()
    answered = np.array([[row.answers_family(family) for family in range(3)] for row in rows.rows[1 : 1 + rows.hosts]])
    table = np.empty((len(model.sites), rows.hosts))
    for index, site in enumerate(model.sites):
        denied = [number for number, family in enumerate(FAMILIES) if family not in site.families]
        favours = [site.favours.get(row.kind, 1.0) for row in rows.rows[1 : 1 + rows.hosts]]
        table[index] = weights * favours * ~answered[:, denied].any(axis=1) * hosts[index]
    for _ in range(ROUNDS):
        table *= _ratio(weights, table.sum(axis=0))
        table *= _ratio(hosts, table.sum(axis=1))[:, None]
        if abs(table.sum(axis=0) - weights).max() < CLOSE:
            break
    totals = table.sum(axis=1, keepdims=True)
    mixes: NDArray[np.float64] = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    return mixes


def _ratio(wanted: NDArray[np.float64], have: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(wanted, have, out=np.ones_like(wanted), where=have > 0)
    return ratio


def used_addresses(model: Model, site: Site) -> float:
    """Return the expected used addresses in a /24 of a site, tarpits and gateways excluded, times the site's share."""
    total = sum(weight for _, weight in site.hosts)
    part = sum(weight * hosts / 256 for hosts, weight in site.hosts) / total
    open_to = 1 - model.tarpits.share if may_hold_tarpits(site) else 1.0
    return site.share * part * (256 - site.gateways) * open_to


def may_hold_tarpits(site: Site) -> bool:
    """Return whether prefixes of a site may be tarpits: only where no family is filtered."""
    return set(site.families) == set(FAMILIES)
