"""Sources of a lab: a lab file of real hosts, or a population file of the model Internet, recognised by content."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.errors import UsageError
from liveness.files.documents import Packaged
from liveness.files.yaml import parse_yaml

LAB_FILES: Final = Packaged("liveness.lab.hosts", "internets", "lab file")
POPULATIONS: Final = Packaged("liveness.lab.model", "populations", "population")
"""Files that come with the package, or that a user names."""

RECORD_FOLDER = "lab"
"""The folder of a model lab's record, below the run directory."""

POPULATION_FILE = "population.yaml"
"""The population file in that folder."""

NETWORKS = "networks"
"""The section that every lab file has, and no population file."""


@dataclass(frozen=True, slots=True)
class PopulationFile:
    """A population file as it was read: `origin` names it, `network` is its section of that name, unchecked."""

    origin: str
    text: str
    network: object


def find_population(source: str) -> PopulationFile | None:
    """Return the population file of a path or packaged name, or None if it is a lab file or cannot be read.

    UsageError if it is not YAML.
    """
    if source in LAB_FILES.names():
        return None
    try:
        text = POPULATIONS.read(source)
    except UsageError:
        return None  # the lab file's reader reports what is wrong
    document = parse_yaml(text, source)
    if not isinstance(document, Mapping) or NETWORKS in document:
        return None
    return PopulationFile(source, text, document.get("network"))


def recorded_population(run: Path) -> PopulationFile | None:
    """Return the population in a run's record, or None if the run has none."""
    path = run / RECORD_FOLDER / POPULATION_FILE
    return find_population(str(path)) if path.is_file() else None
