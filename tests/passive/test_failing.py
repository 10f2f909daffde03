"""Failures of services begin once and end once, however often the results are looked at."""

import random

from hypothesis import given
from hypothesis import strategies as st

from liveness.passive.failing import FailingServices
from liveness.passive.outages import NO_CLIENT_SINCE, Stretch

SERVICE = 10 << 24 | 1 << 8


def stretches_of(failing: dict[int, set[int]], newest: int) -> list[Stretch]:
    """Return the stretches of each service, which fails in a set of intervals, up to an interval."""
    found: list[Stretch] = []
    for service, intervals in failing.items():
        wanted = sorted(number for number in intervals if number <= newest)
        for number in wanted:
            if found and found[-1].service == service and found[-1].last == number - 1:
                found[-1] = Stretch(found[-1].first, number, 0, service, 10, number)
            else:
                found.append(Stretch(number, number, 0, service, 10, number))
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
    assert not watch.update([Stretch(3, 4, 0, SERVICE, 20, 4)], 11)


def test_what_fails_now_is_known_by_its_service() -> None:
    watch = FailingServices()
    order = [Stretch(5, 6, 0, SERVICE + n, 20, 6) for n in range(5)]
    random.Random(1).shuffle(order)
    watch.update(order, 6)
    assert sorted(watch.now) == [SERVICE + n for n in range(5)]
    assert [each.service for each in watch.update(order[:2], 7).ended] == sorted(SERVICE + n for n in range(5))


def test_a_failure_lasts_while_nobody_tries() -> None:
    watch = FailingServices()
    alone = Stretch(5, 6, 0, SERVICE, 20, NO_CLIENT_SINCE)
    assert watch.update([alone], 6).began == [alone]
    assert not watch.update([alone], 9)
    again = [Stretch(5, 6, 0, SERVICE, 20, 9), Stretch(10, 10, 0, SERVICE, 30, NO_CLIENT_SINCE)]
    assert not watch.update(again, 11)
    ended = Stretch(10, 10, 0, SERVICE, 30, 11)
    assert watch.update([again[0], ended], 12).ended == [Stretch(5, 10, 0, SERVICE, 30, NO_CLIENT_SINCE)]
    assert watch.now == {}


def test_another_failure_after_silence_and_success_is_a_new_one() -> None:
    watch = FailingServices()
    watch.update([Stretch(5, 6, 0, SERVICE, 20, NO_CLIENT_SINCE)], 8)
    fresh = Stretch(10, 10, 0, SERVICE, 20, NO_CLIENT_SINCE)
    changes = watch.update([Stretch(5, 6, 0, SERVICE, 20, 8), fresh], 10)
    assert changes.began == [fresh]
    assert [each.first for each in changes.ended] == [5]


def test_a_run_that_is_resumed_tells_only_of_what_fails_now() -> None:
    watch = FailingServices(resumed=True)
    past, present = Stretch(1, 2, 0, SERVICE, 20, 2), Stretch(5, 6, 0, SERVICE + 1, 20, 6)
    changes = watch.update([past, present], 6)
    assert (changes.began, changes.ended) == ([present], [])
    assert watch.update([past, present], 7).ended == [present]
