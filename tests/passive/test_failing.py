"""Failures of services begin once and end once, however often the results are looked at."""

import random

from hypothesis import given
from hypothesis import strategies as st

from liveness.passive.failing import FailingServices
from liveness.passive.outages import Stretch

SERVICE = 10 << 24 | 1 << 8


def stretches_of(failing: dict[int, set[int]], newest: int) -> list[Stretch]:
    """Return the stretches of each service, which fails in a set of intervals, up to an interval."""
    found: list[Stretch] = []
    for service, intervals in failing.items():
        wanted = sorted(number for number in intervals if number <= newest)
        for number in wanted:
            if found and found[-1].service == service and found[-1].last == number - 1:
                found[-1] = Stretch(found[-1].first, number, 0, service, 10)
            else:
                found.append(Stretch(number, number, 0, service, 10))
    return found


@given(
    st.dictionaries(st.integers(1, 4), st.sets(st.integers(0, 12)), max_size=4),
    st.lists(st.integers(0, 13), max_size=6),
)
def test_each_failure_begins_once_and_ends_once(failing: dict[int, set[int]], looks: list[int]) -> None:
    """Looks may be many intervals apart, or not apart at all; the last one is after everything."""
    watch = FailingServices()
    began, ended = [], []
    for newest in [*looks, 20]:
        changes = watch.update(stretches_of(failing, newest), newest)
        began += [(each.service, each.first) for each in changes.began]
        ended += [(each.service, each.first) for each in changes.ended]
    whole = sorted((each.service, each.first) for each in stretches_of(failing, 20))
    assert sorted(began) == whole
    assert sorted(ended) == whole
    assert watch.now == {}


def test_a_change_of_the_past_is_no_new_failure() -> None:
    watch = FailingServices()
    watch.update([], 10)
    assert not watch.update([Stretch(3, 4, 0, SERVICE, 20)], 11)


def test_what_fails_now_is_known_by_its_service() -> None:
    watch = FailingServices()
    order = [Stretch(5, 6, 0, SERVICE + n, 20) for n in range(5)]
    random.Random(1).shuffle(order)
    watch.update(order, 6)
    assert sorted(watch.now) == [SERVICE + n for n in range(5)]
    assert [each.service for each in watch.update(order[:2], 7).ended] == sorted(SERVICE + n for n in range(5))
