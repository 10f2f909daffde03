"""What the shards of a census left out: a target counts as left out if no route led to it from its own machine."""

from pathlib import Path

import pytest

from liveness.order.permutation import Permutation
from liveness.runs.left_out import add_left_out, load_left_out
from liveness.runs.shard_union import unite
from liveness.runs.shards import open_shards
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines
from tests.runs.test_shards_that_talk import shards

LISTED = "10.0.0.0/23"
FIRST = 10 << 24


@pytest.mark.parametrize("limit", [None, 200])
def test_targets_of_one_machine_are_left_out_only_if_it_had_no_route(tmp_path: Path, limit: int | None) -> None:
    config = {"block_prefix": 3, "limits": {"max_targets": limit}}
    paths = shards(tmp_path, config, config)
    for path, unreached in zip(paths, (["10.0.0.0/24", "10.0.1.7"], ["10.0.1.7"]), strict=True):
        (path / "targets.txt").write_text(f"{LISTED}\n")
        add_left_out(path, parse_lines(unreached, "a test"))
    unite(open_shards(paths), tmp_path / "united")
    of_first = Permutation.of_block(512, 1, "0.0.0.0/3").shard(0, 2, limit).indices()
    own = [FIRST + int(index) for index in of_first if index < 256]
    assert 0 < len(own) < 256
    expected = sorted([*own, FIRST + 256 + 7])
    assert load_left_out(tmp_path / "united") == Intervals.from_bounds(expected, expected)


def test_what_no_machine_had_a_route_to_is_left_out_as_it_is(tmp_path: Path) -> None:
    paths = shards(tmp_path, {}, {})
    for path in paths:
        (path / "targets.txt").write_text(f"{LISTED}\n")
        add_left_out(path, parse_lines(["10.0.0.0/24"], "a test"))
    unite(open_shards(paths), tmp_path / "united")
    assert list(load_left_out(tmp_path / "united").entries()) == ["10.0.0.0/24"]
