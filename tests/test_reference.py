"""Published values: ids and words agree with the numbers, and the lab fits its model to the very same."""

import re

import pytest

from liveness.lab.model.population.published import PUBLISHED
from liveness.reference.bano_2018 import PORT_SPLIT, PORTS_ANSWERED, VALUES, starting, words


def test_each_value_has_its_id() -> None:
    assert all(value.id == name for name, value in VALUES.items())
    assert all(value.of and value.where and value.words for value in VALUES.values())


def test_words_say_what_the_numbers_are() -> None:
    """Every share with one number prints it: read back from the words."""
    read = 0
    for value in VALUES.values():
        printed = [float(number) / 100 for number in re.findall(r"([\d.]+)%", value.words)]
        if value.unit == "share" and printed and value.low == value.high:
            assert value.value == pytest.approx(printed[-1], abs=0.006), value
            read += 1
    assert read > 30


def test_ranges_and_open_ends() -> None:
    assert (words("inflation.80"), VALUES["inflation.80"].range) == ("3-4%", (0.03, 0.04))
    assert (words("gains.negative"), VALUES["gains.negative"].range) == ("more than 13%", (0.13, None))
    with pytest.raises(ValueError, match="not a single number"):
        _ = VALUES["ports.22.exclusive"].value
    with pytest.raises(ValueError, match="replies dominate, which is not a number"):
        _ = VALUES["reply_types.icmp"].range
    assert words("nothing.of.the.kind") == ""


def test_bars_and_ports_are_those_of_the_data() -> None:
    assert sum(value.value for value in starting("ports_answered").values()) == pytest.approx(1)
    assert [value.words for value in starting("ports_answered").values()] == [
        "74.0 M, 28%", "51.2 M, 20%", "29.2 M, 11%", "42.3 M, 16%", "63.8 M, 24%",
    ]  # fmt: skip
    assert list(PORTS_ANSWERED) == [1, 2, 3, 4, 5]
    for port, split in PORT_SPLIT.items():
        assert VALUES[f"ports.{port}.active"].value == pytest.approx(sum(split) / 262e6)


def test_the_lab_fits_its_model_to_these() -> None:
    assert PUBLISHED["icmp total"] == VALUES["coverage.icmp.total"].range
    assert PUBLISHED["tcp/443 inflation"] == VALUES["inflation.443"].range
    assert PUBLISHED["negative over positive"] == (0.13, 1.0)
    assert PUBLISHED["IPall, millions"] == (487.0, 487.0)
