"""Tests of drivers of network cards, which need a machine with two cards joined by a cable: see scripts/vm."""

from collections.abc import Iterator

import pytest

from liveness.system.namespace import Namespace
from tests.cards.support import MACS, joined_cards

collect_ignore_glob = [] if MACS else ["test_*.py"]


@pytest.fixture
def far() -> Iterator[Namespace]:
    """Yield the namespace of the second card; the first one is in that of this process."""
    with joined_cards() as namespace:
        yield namespace
