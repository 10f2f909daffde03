"""What a lab is made of: a lab file of real hosts, or a population file of the model Internet, told by its content."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from liveness.config.text import parse_yaml
from liveness.lab.load import packaged

POPULATIONS = "populations"
"""The folder of those that come with the package."""

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
    if source in packaged():
        return None
    try:
        text = _place(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None  # whoever reads it as a lab file says what is wrong
    document = parse_yaml(text, source)
    if not isinstance(document, Mapping) or NETWORKS in document:
        return None
    return PopulationFile(source, text, document.get("network"))


def recorded_population(run: Path) -> PopulationFile | None:
    """Return the population that a run's record names as what it scanned, or None if it has no such record."""
    path = run / RECORD_FOLDER / POPULATION_FILE
    return find_population(str(path)) if path.is_file() else None


def _place(source: str) -> Traversable:
    """Return where a population file lies: the packaged one of that name, or the path."""
    packaged_one = resources.files("liveness.lab.model") / POPULATIONS / f"{source}.yaml"
    return packaged_one if packaged_one.is_file() else Path(source)
