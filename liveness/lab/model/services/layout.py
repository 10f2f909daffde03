"""The numbers of a `services` section for the kernels: a part of the population's tables, as uint64."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.change.layout import NOTHING, fixed
from liveness.lab.model.services.section import Mix, ServiceSection, mix_of
from liveness.lab.services.behaviours import LABELS, PROBES, Behaviour

# The header of this part. Offsets are relative to its start; shares are in units of 2**-32.
AT_CLASSES: Final = 0  # the class of each row of answers: 0 for most, then one for each kind of hosts in the section
AT_SHARES: Final = 1  # by class and port: cumulative shares of all behaviours
AT_BOXES: Final = 2  # triples of shift, share and behaviour
BOXES: Final = 3
HEADER: Final = 4
BOX_WORDS: Final = 3


def service_part(section: ServiceSection | None, kinds: Sequence[str]) -> NDArray[np.uint64]:
    """Return the part of the tables for a checked section; `kinds` has the kind of each row of answers."""
    if section is None:
        return NOTHING
    classes = ["", *section.hosts]
    of_rows = [classes.index(kind) if kind in section.hosts else 0 for kind in kinds]
    shares = [
        _cumulative(mix_of(probe, section.hosts.get(kind, {}), section.ports)) for kind in classes for probe in PROBES
    ]
    boxes = [word for box in section.middleboxes for word in (32 - box.prefix, fixed(box.share), int(LABELS[box.does]))]
    head = np.zeros(HEADER, np.uint64)
    head[AT_CLASSES] = HEADER
    head[AT_SHARES] = HEADER + len(of_rows)
    head[AT_BOXES] = HEADER + len(of_rows) + sum(map(len, shares))
    head[BOXES] = len(section.middleboxes)
    return np.concatenate([head, np.array(of_rows, np.uint64), *shares, np.array(boxes, np.uint64)])


def _cumulative(mix: Mix) -> NDArray[np.uint64]:
    """Return cumulative shares of all behaviours in the order of their numbers."""
    weights = [mix.get(behaviour.label, 0.0) for behaviour in Behaviour]
    sums = np.cumsum(weights)
    return np.array([fixed(float(part)) for part in sums / sums[-1]], np.uint64)
