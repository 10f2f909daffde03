"""With slots, a vantage point whose routes leave out a whole block does not send the later ones too early."""

import pytest

from liveness.errors import UsageError
from liveness.net.path.path import Hop, LeftOut, Path
from liveness.scan.plan import Plan
from liveness.scan.session import on_the_way
from liveness.space.intervals import Intervals
from tests.scan.test_block_starts import BLOCKS, FIRST, plan_of


def way(plan: Plan, first: int, last: int) -> Path:
    """Return a path without a route to the targets from `first` to `last`, counted from the first target."""
    left_out = LeftOut("no route", Intervals.from_bounds([FIRST + first], [FIRST + last]))
    return Path("s0", 2, 1500, bytes(6), 1, (Hop(None, bytes(6), plan.intervals),), left_out=(left_out,))


def test_a_block_without_a_route_before_others_is_refused() -> None:
    plan = plan_of()
    with pytest.raises(UsageError, match=r"10\.1\.2\.0/24 would begin in the slot of 10\.1\.1\.0/24: .*targets\.block"):
        on_the_way(plan, way(plan, 256, 511))


@pytest.mark.parametrize(("first", "last"), [(256, 510), (512, 1023)], ids=["a part of a block", "the last blocks"])
def test_targets_without_a_route_that_move_no_block_are_left_out(first: int, last: int) -> None:
    plan = plan_of()
    left = on_the_way(plan, way(plan, first, last))
    names = [part.name for part in left.order.parts]
    assert names == list(BLOCKS)[: len(names)]
    assert left.target_count == 900 - (min(last, 899) - first + 1)


def test_without_slots_and_in_shards_no_block_is_refused() -> None:
    free = plan_of(slot=None)
    assert [part.name for part in on_the_way(free, way(free, 256, 511)).order.parts] == [*BLOCKS][:1] + [*BLOCKS][2:]
    shard = plan_of(shard={"index": 1, "of": 2})
    assert [part.name for part in on_the_way(shard, way(shard, 256, 511)).order.parts] == list(BLOCKS)
