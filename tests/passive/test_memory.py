"""What intervals keep in memory, and that results do not depend on how they are read back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from liveness.errors import LivenessError
from liveness.passive import partitions
from liveness.passive.aggregate import divided, empty_part, part_of
from liveness.passive.pairing import pair_part
from liveness.passive.records import FORWARD_IN, INBOUND, OBSERVATION_DTYPE, OUTBOUND
from tests.passive.drawn import draw
from tests.passive.test_judge import run_of


def observed(count: int, answered: int) -> np.ndarray:
    """Return inbound observations of TCP connections, of which some are answered."""
    found = np.zeros(count + answered, OBSERVATION_DTYPE)
    found["local"], found["remote"] = 10 << 24 | 1, np.arange(len(found)) % count
    found["lport"], found["rport"], found["protocol"], found["flags"] = 80, 2000, 6, 27
    found["marks"] = np.where(np.arange(len(found)) < count, INBOUND | FORWARD_IN, OUTBOUND)
    found["start_ns"] = np.arange(len(found))
    return found


@pytest.mark.parametrize("answered", [0, 1, 100, 5000])
def test_sets_of_pairs_and_clients_have_the_room_that_they_need(answered: int) -> None:
    part = part_of(observed(5000, answered))
    pair_part(part, empty_part(), empty_part())
    for table in (part.pairs, part.clients):
        assert np.count_nonzero(table) == answered
        assert len(table) <= max(16, 4 * answered)
    rows = part.client_rows[part.clients != 0]
    assert sorted(part.rows["remote"][rows].tolist()) == list(range(answered))


@pytest.mark.parametrize("parts", [1, 8])
def test_observations_are_divided_in_their_order(parts: int) -> None:
    whole = observed(1000, 300)
    blocks = [whole[:1], whole[1:1], whole[1:700], whole[700:]]
    found = divided(blocks, parts)
    assert len(found) == parts
    for part, together in zip(found, divided([whole], parts), strict=True):
        assert part.tobytes() == together.tobytes()
        assert (np.diff(part["start_ns"]) > 0).all()
    assert sorted(np.concatenate(found)["start_ns"].tolist()) == whole["start_ns"].tolist()


class Growing:
    """Blocks with more observations each time they are read."""

    def __init__(self) -> None:
        self.length = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        self.length += 100
        yield observed(self.length, 0)


def test_observations_that_change_while_they_are_read_are_refused() -> None:
    with pytest.raises(LivenessError, match="changed while they were read"):
        divided(Growing(), 1)


def test_results_do_not_depend_on_the_size_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = draw(3, hours=1)
    for name in ("usual", "small"):
        (tmp_path / name).mkdir()
    usual = run_of(tmp_path / "usual", records)
    monkeypatch.setattr(partitions, "BLOCK", 7)
    monkeypatch.setattr(partitions, "BLOCK_BYTES", 7 * OBSERVATION_DTYPE.itemsize)
    assert run_of(tmp_path / "small", records) == usual
