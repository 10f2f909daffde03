"""Sources of a lab: a lab file of real hosts, or a population file of the model Internet, recognised by content."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
    """A population file as it was read: `origin` names it, `network` is its section of that name, unchecked.

    `places` are its vantage points: the name of each, and its fields of `network`, unchecked too.
    """

    origin: str
    text: str
    network: object
    places: tuple[tuple[str, Mapping[str, object]], ...] = ()

    @property
    def ideal(self) -> "PopulationFile":
        """The same without a network model."""
        return replace(self, network=None, places=tuple((name, {}) for name, _ in self.places))

    def of_places(self, count: int) -> "PopulationFile":
        """Return the same with its first `count` vantage points; if it has none, with so many that see all alike.

        UsageError if it has fewer.
        """
        if self.places and count > len(self.places):
            raise UsageError(f"{self.origin}: $.vantages.places: {len(self.places)} vantage points, not {count}")
        places = self.places or tuple((name, {}) for name in place_names(count))
        return replace(self, places=places[:count])


def place_names(count: int) -> list[str]:
    """Return the names of vantage points that a file does not name: v0, v1 and so on."""
    return [f"v{number}" for number in range(count)]


def _places(section: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the vantage points of a section, as far as it is one; what is wrong in it is reported by its reader."""
    places = section.get("places") if isinstance(section, Mapping) else None
    for place in places if isinstance(places, list) else []:
        name, fields = (place.get("name"), place.get("network", {})) if isinstance(place, Mapping) else (None, {})
        yield str(name), fields if isinstance(fields, Mapping) else {}


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
    return PopulationFile(source, text, document.get("network"), tuple(_places(document.get("vantages"))))


def recorded_population(run: Path) -> PopulationFile | None:
    """Return the population in a run's record, or None if the run has none."""
    path = run / RECORD_FOLDER / POPULATION_FILE
    return find_population(str(path)) if path.is_file() else None
