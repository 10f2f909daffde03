"""Rates, durations and port ranges: exact numbers, one canonical text, and what is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.config.units import (
    MAX_DURATION_US,
    MAX_RATE_BPS,
    MAX_RATE_PPS,
    Duration,
    PortRange,
    Rate,
    StartTime,
    TargetLimit,
)


@pytest.mark.parametrize(
    ("value", "text", "pps"),
    [
        ("100kpps", "100kpps", 100_000),
        ("1.5Mpps", "1.5Mpps", 1_500_000),
        ("500pps", "500pps", 500),
        (500, "500pps", 500),
        ("500", "500pps", 500),
        (1e6, "1Mpps", 1_000_000),
        ("0.5k", "500pps", 500),
        ("100 Kpps", "100kpps", 100_000),
        (1_234_567, "1234.567kpps", 1_234_567),
        ("1Gpps", "1Gpps", MAX_RATE_PPS),
        ("1.5pps", "1.5pps", 1.5),
        (0.5, "0.5pps", 0.5),
        ("0.20pps", "0.2pps", 0.2),
        ("0.0005k", "0.5pps", 0.5),
        ("12/min", "12/min", 0.2),
        ("7 / minute", "7/min", 7 / 60),
        ("1/h", "1/h", 1 / 3600),
        ("0.5/s", "0.5/s", 0.5),
    ],
)
def test_rates(value: str | float, text: str, pps: float) -> None:
    rate = Rate(value)
    assert (rate, rate.pps) == (text, pps)


@pytest.mark.parametrize(
    "value",
    [
        0,
        "0",
        -1,
        "-5pps",
        0.0001,
        "0.0000001pps",
        "0.1234567pps",
        "0.9/h",
        "0/s",
        "10/d",
        "1/3pps",
        "2000000000/s",
        "0.5bps",
        "fast",
        "",
        "100kbs",
        "100mpps",
        "2Gpps",
        True,
        None,
        "1e3",
        float("nan"),
        "٣",
    ],
)
def test_no_rates(value: str | float) -> None:
    with pytest.raises(ValueError, match="expected a "):
        Rate(value)


@pytest.mark.parametrize(
    ("value", "text", "bps"),
    [
        ("10Mbps", "10Mbps", 10_000_000),
        ("1.5 Gbps", "1.5Gbps", 1_500_000_000),
        ("64kbps", "64kbps", 64_000),
        ("9000bps", "9kbps", 9_000),
        ("1Tbps", "1Tbps", MAX_RATE_BPS),
    ],
)
def test_rates_as_bandwidth(value: str, text: str, bps: int) -> None:
    rate = Rate(value)
    assert (rate, rate.bps, rate.pps, rate.auto) == (text, bps, None, False)
    assert rate.pps_for(1_000) == bps / 1_000


def test_a_rate_to_be_found_is_no_number() -> None:
    rate = Rate(" auto ")
    assert (rate, rate.auto, rate.pps, rate.bps) == ("auto", True, None, None)
    with pytest.raises(ValueError, match="no number"):
        rate.pps_for(1_000)


@pytest.mark.parametrize("value", ["0bps", "0.5bps", "2Tbps", "2000000000000 bps"])
def test_bandwidths_out_of_range(value: str) -> None:
    with pytest.raises(ValueError, match="bits a second, from 1bps to 1Tbps"):
        Rate(value)


@given(st.integers(1, MAX_RATE_BPS))
def test_every_bandwidth_has_one_text_that_reads_back(bps: int) -> None:
    assert Rate(f"{bps}bps").bps == bps
    assert Rate(str(Rate(f"{bps}bps"))) == Rate(f"{bps}bps")


@given(st.integers(1, MAX_RATE_PPS))
def test_every_rate_has_one_text_that_reads_back(pps: int) -> None:
    assert Rate(pps).pps == pps
    assert Rate(str(Rate(pps))) == Rate(pps)


@pytest.mark.parametrize(
    ("value", "text", "seconds"),
    [
        ("100ms", "100ms", 0.1),
        ("10s", "10s", 10),
        ("2m", "2m", 120),
        ("120s", "2m", 120),
        ("24h", "24h", 86_400),
        (10, "10s", 10),
        (0.1, "100ms", 0.1),
        ("1.5s", "1500ms", 1.5),
        ("250us", "250us", 0.00025),
        ("14d", "336h", 1_209_600),
        ("3h30m", "210m", 12_600),
        ("1d 2h 3m 4s", "93784s", 93_784),
        ("1h 5s", "3605s", 3_605),
        (0, "0s", 0),
    ],
)
def test_durations(value: str | float, text: str, seconds: float) -> None:
    duration = Duration(value)
    assert (duration, duration.seconds) == (text, seconds)


@pytest.mark.parametrize(
    "value",
    [
        -1,
        "-1s",
        "soon",
        "",
        "0.5us",
        "10 parsecs",
        "9000h",
        "30m3h",
        "1.5h30m",
        "3h30",
        "365d48h",
        False,
        None,
        float("inf"),
    ],
)
def test_no_durations(value: str | float) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Duration(value)


@given(st.integers(0, MAX_DURATION_US))
def test_every_duration_has_one_text_that_reads_back(span_us: int) -> None:
    duration = Duration(f"{span_us}us")
    assert duration.us == span_us
    assert Duration(str(duration)) == duration


def test_port_ranges() -> None:
    ports = PortRange("32768-61000")
    assert (ports.first, ports.last, ports.width) == (32_768, 61_000, 28_233)
    assert PortRange("00080-80") == "80-80"


@pytest.mark.parametrize("value", ["80", "0-80", "90-80", "1-65536", "a-b", "1 - 2", 80, None])
def test_no_port_ranges(value: object) -> None:
    with pytest.raises(ValueError, match="expected a range of ports low-high within 1-65535"):
        PortRange(value)


@pytest.mark.parametrize(
    ("value", "number", "of_150"),
    [
        (100, 100, 100),
        ("100", 100, 100),
        ("1%", "1%", 1),
        ("2.50 %", "2.5%", 3),
        ("0.1%", "0.1%", 1),
        ("100%", "100%", 150),
    ],
)
def test_target_limits(value: str | int, number: int | str, of_150: int) -> None:
    limit = TargetLimit(value)
    assert (limit.number, limit.of(150)) == (number, of_150)
    assert TargetLimit(limit.number) == limit


@given(st.integers(1, 1 << 32), st.decimals("0.000000001", 100, places=9))
def test_a_share_of_targets_is_the_exact_one_rounded_down(targets: int, per_cent: Decimal) -> None:
    exact = Fraction(per_cent) / 100 * targets
    assert TargetLimit(f"{per_cent:f}%").of(targets) == max(1, exact.numerator // exact.denominator)


@pytest.mark.parametrize("value", [0, -1, "0%", "101%", "1%%", "%", 1.5, "many", True, None, "1e3", "99999999999"])
def test_no_target_limits(value: object) -> None:
    with pytest.raises(ValueError, match="expected a whole number of targets from 1 on, or a share"):
        TargetLimit(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00.000Z"),
        ("2026-12-01T02:00:00.25+02:00", "2026-12-01T00:00:00.250Z"),
        ("2026-12-01 00:00:00+00:00", "2026-12-01T00:00:00.000Z"),
    ],
)
def test_start_times_are_kept_in_utc(value: str, text: str) -> None:
    time = StartTime(value)
    assert time == text
    assert StartTime(time) == time
    assert time.seconds == pytest.approx(1_796_083_200 + (0.25 if ".250" in text else 0))


@pytest.mark.parametrize(
    "value",
    ["", "soon", "2026-12-01", "2026-12-01T00:00:00", "2026-13-01T00:00:00Z", 5, None, "9999-12-31T23:59:59-05:00"],
)
def test_start_times_need_a_date_a_time_and_an_offset(value: object) -> None:
    with pytest.raises(ValueError, match="offset from UTC"):
        StartTime(value)
