"""Withdrawn addresses of a manifest: the round of each, found without a copy of all addresses for each entry."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from liveness.errors import LivenessError
from liveness.planes.manifest import Withdrawn
from liveness.planes.withdrawn import first_rounds, withdrawn_runs

FIRST = 0x0A000000


def test_entries_give_the_first_round_of_each_address() -> None:
    addresses = np.arange(FIRST, FIRST + 8, dtype=np.uint32)
    entries = [
        Withdrawn(first="10.0.0.1", last="10.0.0.2", round=4),
        Withdrawn(first="10.0.0.2", last="10.0.0.2", round=-3),
        Withdrawn(first="10.0.0.6", last="255.255.255.255", round=10**30),
    ]
    first = first_rounds(entries, addresses, 9, Path("run"))
    assert first.tolist() == [9, 4, 0, 9, 9, 9, 9, 9]
    assert [(entry.first, entry.round) for entry in withdrawn_runs(addresses, first, 9)] == [
        ("10.0.0.1", 4),
        ("10.0.0.2", 0),
    ]
    with pytest.raises(LivenessError, match=r"run: a damaged manifest: \$\.withdrawn"):
        first_rounds([Withdrawn(first="10.0.0", last="10.0.0.2", round=0)], addresses, 9, Path("run"))


def test_no_entry_copies_all_addresses() -> None:
    addresses = np.arange(FIRST, FIRST + (1 << 16), dtype=np.uint32)
    entry = Withdrawn(first="10.0.3.1", last="10.0.3.1", round=1)
    tracemalloc.start()
    try:
        first_rounds([entry], addresses, 9, Path("run"))
        assert tracemalloc.get_traced_memory()[1] < 12 * len(addresses), "the rounds take 8 bytes an address"
    finally:
        tracemalloc.stop()
