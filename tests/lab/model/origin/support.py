"""A small population that three places do not see alike."""

from typing import Final

from liveness.lab.model.population.load import Population, parse_population
from tests.lab.model.population.support import SMALL

PLACES: Final = ("ams1", "fra1", "nyc1")
VANTAGES: Final = """
vantages:
  exclusive: 0.05
  unreliable: {probes: [tcp/22], hosts: 0.4, missed: 0.5}
  places:
    - {name: ams1, blocked: [{prefix: 24, share: 0.1}]}
    - {name: fra1, blocked: [{prefix: 16, share: 0.05}, {prefix: 24, share: 0.02}], networks: [77.0.0.0/8]}
    - {name: nyc1, network: {loss: 0.1}}
"""


def several() -> Population:
    return parse_population(SMALL + VANTAGES, "several.yaml")
