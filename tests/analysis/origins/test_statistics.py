"""Statistics of paired observations: tables of chi-squared, and worked examples."""

from math import isclose, sqrt

import numpy as np
import pytest

from liveness.analysis.origins.statistics import LARGE, Unseen, chi_squared_tail, cochran, mcnemar, unseen


@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 3.841458821), (2, 5.991464547), (3, 7.814727903), (4, 9.487729037), (9, 16.918977605)]
)
def test_the_tail_of_chi_squared_is_that_of_tables(degrees: int, value: float) -> None:
    assert chi_squared_tail(value, degrees) == pytest.approx(0.05, abs=1e-9)
    assert chi_squared_tail(0, degrees) == 1


@pytest.mark.parametrize("degrees", range(1, 12))
def test_the_tail_of_chi_squared_is_that_of_sums_of_squares(degrees: int) -> None:
    drawn = np.random.default_rng(degrees).standard_normal((40_000, degrees))
    sums = (drawn**2).sum(axis=1)
    for value in (0.5 * degrees, degrees, 2.0 * degrees):
        expected = chi_squared_tail(value, degrees)
        assert np.mean(sums >= value) == pytest.approx(expected, abs=6 * sqrt(expected / 40_000) + 1e-4)


def test_a_value_of_a_whole_census_has_a_probability_of_zero_and_no_overflow() -> None:
    assert chi_squared_tail(1e9, 1) == chi_squared_tail(1e9, 2) == chi_squared_tail(1e9, 11) == 0


def test_mcnemar_of_a_worked_example() -> None:
    """Agresti, Categorical Data Analysis, table 10.1: 150 and 86 of 1,600 change their mind."""
    value, p = mcnemar(86, 150)
    assert value == pytest.approx(17.36, abs=0.005)
    assert p == pytest.approx(3.1e-5, rel=0.01)
    assert mcnemar(0, 0) == (None, None)
    assert mcnemar(5, 5) == (0, 1)


def test_cochran_is_mcnemar_for_two() -> None:
    both, one, other = 40, 11, 4
    value, p = cochran([both + one, both + other], [one + other, both])
    assert (value, p) == mcnemar(one, other)
    assert cochran([9, 9, 9], [0, 0, 9]) == (None, None)


def test_two_captures_are_those_of_chapman() -> None:
    one, other, both = 200, 150, 30
    chapman = (one + 1) * (other + 1) / (both + 1) - 1
    seen = one + other - both
    assert seen + unseen([one - both, other - both], both).number == pytest.approx(chapman)


def test_equal_captures_are_those_of_chao() -> None:
    exclusive, two = [90, 90, 90], 500
    assert unseen(exclusive, two).number == pytest.approx((3 - 1) / (2 * 3) * 270**2 / (two + 1))


@pytest.mark.parametrize("chances", [(0.9, 0.8, 0.7), (0.98, 0.5, 0.6, 0.7), (0.97, 0.95)])
def test_independent_misses_give_the_number_that_none_saw(chances: tuple[float, ...]) -> None:
    """Expected counts of a large population in place of drawn ones."""
    hosts = 10**12
    missed = float(np.prod([1 - chance for chance in chances]))
    odds = [chance / (1 - chance) for chance in chances]
    exclusive = [round(hosts * missed * each) for each in odds]
    two = sum(one * other for place, one in enumerate(odds) for other in odds[place + 1 :])
    found = unseen(exclusive, round(hosts * missed * two))
    assert found.number == pytest.approx(hosts * missed, rel=1e-6)


def test_an_interval_of_nothing_missed_begins_with_zero_and_has_an_end() -> None:
    low, high = unseen([5, 0], 20).interval()
    assert low == 0
    assert 0 < high < 5
    assert Unseen().interval() == (0, 0)


def test_sums_over_strata_add_numbers_and_variances() -> None:
    one, other = unseen([50, 30], 20), unseen([80, 20], 9)
    total = one + other
    assert isclose(total.number, one.number + other.number)
    assert isclose(total.variance, one.variance + other.variance)
    low, high = total.interval()
    assert 0 < low < total.number < high


def test_the_interval_of_a_large_estimate_contains_it() -> None:
    """Slices without a pair of addresses seen alone estimate 0 each, and their floors add up to a large number."""
    low, high = Unseen(number=0.0, variance=1e4, floor=2 * LARGE).interval()
    assert (low, high > 2 * LARGE) == (0.0, True)
