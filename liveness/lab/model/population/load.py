"""Population files: read by path, or by the name of one that comes with the package, and checked."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveness.config.model import decode_unit
from liveness.errors import UsageError
from liveness.files.documents import shaped
from liveness.files.yaml import parse_yaml
from liveness.lab.model.change.section import validate as validate_time
from liveness.lab.model.origin.section import validate as validate_vantages
from liveness.lab.model.population.mix import site_mixes
from liveness.lab.model.population.model import FAMILIES, Model
from liveness.lab.model.population.rows import Rows, rows_of_model
from liveness.lab.model.population.tables import SiteKind, kinds_of_model, layout
from liveness.lab.model.population.words import packed
from liveness.lab.model.services.section import validate as validate_services
from liveness.lab.source import POPULATIONS

DEFAULT = "paper"
MOST_ROWS = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The answers of every address of an address space; equal seeds and models give equal answers on any machine."""

    name: str
    seed: int
    tables: NDArray[np.uint64]
    """The tables that the kernels of `answer.py` read."""
    model: Model
    rows: Rows
    kinds: list[SiteKind]
    mixes: NDArray[np.float64]
    """The share of each row of hosts among the used addresses of each site."""

    def reseeded(self, seed: int) -> "Population":
        """Return another address space of the same model."""
        return replace(self, seed=seed, tables=layout(self.model, self.rows, self.kinds, self.mixes, seed))


def packaged() -> list[str]:
    """Return the names of the populations that come with the package."""
    return POPULATIONS.names()


def load_population(source: str | Path = DEFAULT) -> Population:
    """Load a population by path, or by the name of a packaged one. UsageError names file, path and value."""
    return parse_population(POPULATIONS.read(source), str(source))


def parse_population(text: str, origin: str) -> Population:
    """Parse and check the text of a population file; `origin` names it in errors (UsageError)."""
    model = shaped(parse_yaml(text, origin), Model, origin, text=text, decode=_decode)
    validate(model, origin)
    if model.time is not None:
        validate_time(model.time, [site.name for site in model.sites], origin)
    if model.vantages is not None:
        validate_vantages(model.vantages, origin)
    rows = rows_of_model(model)
    if model.services is not None:
        validate_services(model.services, {row.kind for row in rows.rows if row.kind != "silent"}, origin)
    if len(rows.rows) > MOST_ROWS:
        raise UsageError(f"{origin}: $.profiles: {len(rows.rows):,} ways to answer: {MOST_ROWS:,} is the most")
    kinds, mixes = kinds_of_model(model), site_mixes(model, rows)
    for site, mix in zip(model.sites, mixes, strict=True):
        if not mix.any() and any(hosts > 0 for hosts, _ in site.hosts):
            raise UsageError(f"{origin}: $.sites: {site.name!r}: no profile answers to {site.families} alone")
    return Population(model.name, model.seed, layout(model, rows, kinds, mixes, model.seed), model, rows, kinds, mixes)


def _decode(kind: type, value: object) -> object:
    """Build a unit; a section that is read later stays as it is."""
    return value if kind is object else decode_unit(kind, value)


def validate(model: Model, origin: str) -> None:
    """Check what types cannot express. UsageError names `origin`, the path and the value."""
    places = [(f"$.profiles[{index}]", profile.answers) for index, profile in enumerate(model.profiles)]
    places += [(f"$.tarpits.answers[{index}]", answer.answers) for index, answer in enumerate(model.tarpits.answers)]
    places += [(f"$.gateways.routers[{index}]", router.answers) for index, router in enumerate(model.gateways.routers)]
    places += [(f"$.gateways.gaps[{index}]", gap.answers) for index, gap in enumerate(model.gateways.gaps)]
    for path, answers in places:
        try:
            packed(answers)
        except ValueError as problem:
            raise UsageError(f"{origin}: {path}.answers: {answers!r}: {problem}") from None
    for index, profile in enumerate(model.profiles):
        if profile.no_echo > 0 and profile.answers.split()[0] != "echo":
            place = f"{origin}: $.profiles[{index}].no_echo: {profile.no_echo:g}"
            raise UsageError(f"{place}: it does not answer echo requests anyway: leave this line out")
    kinds = {profile.kind for profile in model.profiles}
    for index, site in enumerate(model.sites):
        wrong = [name for name in site.families if name not in FAMILIES]
        if wrong:
            expected = ", ".join(FAMILIES)
            raise UsageError(f"{origin}: $.sites[{index}].families: {wrong[0]!r}: expected some of {expected}")
        unknown = [kind for kind in site.favours if kind not in kinds]
        if unknown:
            raise UsageError(f"{origin}: $.sites[{index}].favours: {unknown[0]!r}: no profile is of this kind")
    for what, names in (
        ("profiles", [profile.name for profile in model.profiles]),
        ("sites", [site.name for site in model.sites]),
    ):
        twice = [name for name, other in pairwise(sorted(names)) if name == other]
        if twice:
            raise UsageError(f"{origin}: $.{what}: {twice[0]!r}: two have this name")
