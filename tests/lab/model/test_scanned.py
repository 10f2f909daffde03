"""The addresses that a judge expects a census to probe: its own cut of the order, not that of the scanner."""

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.config.model import Config, from_document
from liveness.lab.model.check import planned_targets, scanned_addresses
from liveness.order.permutation import Permutation
from liveness.scan.plan import Plan
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

FIRST = parse_address("10.1.0.0")
TARGETS = Targets.build(Intervals.from_bounds([FIRST], [FIRST + 899]), Intervals.empty(), lab=True)
"""Three whole /24s and a part of one, whose prime is larger than the block by more than one."""


def config_of(index: int, of: int, limit: int | None) -> Config:
    document = {"name": "shards", "targets": {"allow": ["10.1.0.0/16"]}, "probes": ["icmp"], "block_prefix": 24}
    limits = {} if limit is None else {"limits": {"max_targets": limit}}
    return from_document(document | limits | {"control": False, "shard": {"index": index, "of": of}})


def scanned(config: Config) -> NDArray[np.uint32]:
    return np.concatenate(list(scanned_addresses(config, TARGETS)))


def sent(config: Config) -> NDArray[np.uint32]:
    """Return the addresses that the senders of a machine walk through, ascending."""
    found = []
    for block, quota in zip(TARGETS.blocks(24), config.quotas(TARGETS).tolist(), strict=True):
        whole = Permutation.of_block(block.intervals.count, config.seed, block.name)
        indices = whole.shard(config.shard.index, config.shard.of, quota).indices()
        found.append(np.sort(block.intervals.address_at(indices)))
    return np.concatenate(found)


@pytest.mark.parametrize("limit", [None, 500])
@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_shards_are_judged_by_what_each_sends(of: int, limit: int | None) -> None:
    """Together they are the whole census, each address once; each is what its machine sends."""
    parts = [scanned(config_of(index, of, limit)) for index in range(of)]
    assert np.array_equal(np.sort(np.concatenate(parts)), scanned(config_of(0, 1, limit)))
    assert sum(map(len, parts)) == (limit or 900)
    for index, part in enumerate(parts):
        config = config_of(index, of, limit)
        assert len(part) == planned_targets(config, TARGETS) == Plan(config, TARGETS, None, bytes(16)).target_count
        assert np.array_equal(part, sent(config))


def test_a_fault_of_the_scanner_s_sharding_does_not_reach_its_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    right = [scanned(config_of(index, 3, None)) for index in range(3)]
    shard = Permutation.shard
    monkeypatch.setattr(Permutation, "shard", lambda whole, _, of, targets=None: shard(whole, 0, of, targets))
    monkeypatch.setattr(Permutation, "targets_in", lambda *_: 1)
    for index, part in enumerate(right):
        assert np.array_equal(scanned(config_of(index, 3, None)), part)
        assert planned_targets(config_of(index, 3, None), TARGETS) == len(part)
