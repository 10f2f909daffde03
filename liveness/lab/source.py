"""What a lab is made of: a lab file of real hosts, or a population file of the model Internet, told by its content."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.errors import UsageError
from liveness.files.documents import Packaged
from liveness.files.yaml import parse_yaml

LAB_FILES: Final = Packaged("liveness.lab.hosts", "internets", "lab file")
POPULATIONS: Final = Packaged("liveness.lab.model", "populations", "population")
"""Those that come with the package, and those of a user."""

RECORD_FOLDER = "lab"
"""Where a model lab leaves its record, below the run directory."""

POPULATION_FILE = "population.yaml"
"""The population of the record, in that folder."""

NETWORKS = "networks"
"""The section every lab file has, and no population file."""


@dataclass(frozen=True, slots=True)
class PopulationFile:
    """A population file as it was read: `origin` names it, `network` is its section of that name, not yet checked."""

    origin: str
    text: str
    network: object


def find_population(source: str) -> PopulationFile | None:
    """Return the population file of a path or of a packaged name, or None if it is a lab file, or none at all.

    UsageError if it is no YAML.
    """
    if source in LAB_FILES.names():
        return None
    try:
        text = POPULATIONS.read(source)
    except UsageError:
        return None  # reading it as a lab file says what is wrong
    document = parse_yaml(text, source)
    if not isinstance(document, Mapping) or NETWORKS in document:
        return None
    return PopulationFile(source, text, document.get("network"))


def recorded_population(run: Path) -> PopulationFile | None:
    """Return the population that a run's record names as what it scanned, or None if it has no such record."""
    path = run / RECORD_FOLDER / POPULATION_FILE
    return find_population(str(path)) if path.is_file() else None
