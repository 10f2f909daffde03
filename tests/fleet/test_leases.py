"""Leases: one owner at a time, whoever comes when, on every kind of store."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from liveness.errors import RefusedError
from liveness.fleet import marks
from liveness.fleet.lease import GRACE_S, Holder, LostError, newest_lease
from liveness.fleet.store import Store
from liveness.fleet.vantages import StorePlace

JOB = "wide/r1/v0/0-of-2"
LENGTH_S = 60.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return Store(MemoryStore(), "memory")
    return Store.open(StorePlace(url=f"file://{tmp_path}"))


def holder(store: Store, clock: Callable[[], float], vantage: str, machine: str, instance: str) -> Holder:
    return Holder(store, JOB, vantage, machine, instance, f"host-{machine}", 1, LENGTH_S, clock)


def test_a_second_owner_is_refused_until_the_lease_expires(store: Store) -> None:
    clock = Clock()
    first = holder(store, clock, "v0", "a", "1")
    assert first.take() == 1
    second = holder(store, clock, "v0", "b", "2")
    with pytest.raises(RefusedError, match=r"v0 \(host host-a, process 1\) is at work on it") as caught:
        second.take()
    assert caught.value.exit_code == 4
    clock.now_s += LENGTH_S / 2
    first.renew("scanning", 0.5)
    clock.now_s += LENGTH_S / 2 + GRACE_S
    with pytest.raises(RefusedError):
        second.take()
    clock.now_s += LENGTH_S / 2 + 1
    assert second.take() == 2
    with pytest.raises(LostError, match="another worker has taken it over"):
        first.renew("scanning")
    second.renew("scanning", 0.7)
    newest = newest_lease(store, JOB)
    assert newest is not None
    assert (newest[0], newest[1].instance, newest[1].share) == (2, "2", 0.7)


def test_the_same_machine_takes_over_at_once_because_it_has_the_lock(store: Store) -> None:
    clock = Clock()
    holder(store, clock, "v0", "a", "1").take()
    assert holder(store, clock, "v0", "a", "2").take() == 2


def test_another_vantage_point_takes_over_only_what_was_moved_to_it(store: Store) -> None:
    clock = Clock()
    first = holder(store, clock, "v0", "a", "1")
    first.take()
    other = holder(store, clock, "v1", "b", "2")
    clock.now_s += 10 * LENGTH_S
    with pytest.raises(RefusedError, match="no other vantage point may take it over"):
        other.take()
    marks.move(store, JOB, "v0", "v2", "gone")
    with pytest.raises(RefusedError, match="moved from v0 to v2"):
        other.take()
    with pytest.raises(LostError, match="moved to v2: gone"):
        first.renew("scanning")
    with pytest.raises(RefusedError, match="moved from v0 to v2"):
        holder(store, clock, "v0", "a", "3").take()
    assert holder(store, clock, "v2", "c", "4").take() == 2


def test_a_moved_job_waits_for_the_end_of_the_lease(store: Store) -> None:
    clock = Clock()
    holder(store, clock, "v0", "a", "1").take()
    marks.move(store, JOB, "v0", "v2", "gone")
    with pytest.raises(RefusedError, match="is at work on it"):
        holder(store, clock, "v2", "c", "4").take()


def test_of_two_that_take_an_expired_lease_one_has_it(store: Store) -> None:
    clock = Clock()
    holder(store, clock, "v0", "a", "1").take()
    clock.now_s += 2 * LENGTH_S
    late = holder(store, clock, "v0", "c", "3")
    winner = holder(store, clock, "v0", "b", "2")
    create = late.store.create_document

    class Slow:
        """A store whose other client is faster by a moment."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def create_document(self, name: str, document: msgspec.Struct) -> bool:
            assert winner.take() == 2
            return create(name, document)

    late.store = Slow()  # type: ignore[assignment]  # the same interface
    with pytest.raises(RefusedError, match="at the same moment"):
        late.take()
    winner.renew("scanning")


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["take", "renew"]), st.integers(0, 50)), max_size=40))
def test_never_two_owners_that_may_both_renew(steps: list[tuple[int, str, int]]) -> None:
    """Of owners on different machines one at most has a lease that holds, in any order of takes and renewals."""
    store, clock = Store(MemoryStore(), "memory"), Clock()
    holders = [holder(store, clock, "v0", f"m{number}", str(number)) for number in range(4)]
    until: dict[int, float] = {}
    for number, action, pause in steps:
        clock.now_s += pause
        mine = holders[number]
        try:
            if action == "take":
                mine.take()
            elif mine.generation:
                mine.renew("scanning")
            else:
                continue
        except RefusedError:
            if action == "renew":
                until.pop(number, None)
            continue
        until[number] = clock.now_s + LENGTH_S
        others = {other: end for other, end in until.items() if other != number and end > clock.now_s}
        assert not others, f"{number} has it, and so have {others}"
