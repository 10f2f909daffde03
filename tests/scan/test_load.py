"""The load of a run: bandwidth as ZMap counts it, judged by the frames that a dry run shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.config.model import Config, from_document
from liveness.errors import UsageError
from liveness.packets.headers import bits_on_wire
from liveness.scan.preview import preview
from liveness.scan.rate.load import load_of
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets


def config_of(**changed: object) -> Config:
    return from_document({"name": "x", "targets": {"allow": ["10.1.0.0/24"]}, "control": False, **changed})


@pytest.mark.parametrize(("frame", "wire"), [(0, 84), (54, 84), (60, 84), (61, 85), (74, 98), (1514, 1538)])
def test_a_frame_on_the_wire(frame: int, wire: int) -> None:
    """1538 bytes are what every table of Ethernet's line rate has for 1500 of IP, 84 for the shortest."""
    assert bits_on_wire(frame) == wire * 8


@given(
    st.lists(st.sampled_from(["icmp", "tcp/80", "tcp/443", "dns", "ntp"]), min_size=1, unique=True),
    st.sampled_from(["windows", "linux", "mss", "none"]),
    st.sampled_from(["", "https://example.org/scan", "x" * 200]),
    st.booleans(),
)
def test_the_rate_of_a_bandwidth_is_that_of_the_frames_sent(
    probes: list[str], tcp_options: str, contact: str, control: bool
) -> None:
    config = config_of(rate="10Mbps", probes=probes, tcp_options=tcp_options, contact=contact, control=control)
    first = parse_address("10.1.0.0")
    targets = Targets.build(Intervals.from_bounds([first], [first + 255]), Intervals.empty(), lab=True)
    shown = preview(config, targets)
    frames = [14 + len(packet.data) for packet in shown.packets]
    bits = sum(max(84, 7 + 1 + frame + 4 + 12) * 8 for frame in frames)
    load = load_of(config)
    assert len(frames) == len(probes) + control
    assert (load.wire_bits, load.rate_pps, load.start_pps) == (bits, 10_000_000 / bits, 10_000_000 / bits)
    assert shown.estimate.rate_pps == round(len(frames) * 10_000_000 / bits)
    assert shown.estimate.bandwidth_bps == 10_000_000


def test_a_rate_in_packets_says_its_bandwidth() -> None:
    load = load_of(config_of(rate="100kpps", probes=["tcp/80"], tcp_options="none"))
    assert (load.wire_bits, load.rate_pps) == (84 * 8, 100_000)


def test_auto_begins_low_and_ends_at_its_limit() -> None:
    found = [
        load_of(config_of(rate="auto", **limit)) for limit in ({}, {"rate_limit": "1kpps"}, {"rate_limit": "2pps"})
    ]
    assert [(load.start_pps, load.rate_pps) for load in found] == [(500, 100_000), (250, 1_000), (1, 2)]
    (bits,) = {load.wire_bits for load in found}
    wide = load_of(config_of(rate="auto", rate_limit="1Gbps"))
    assert wide.rate_pps == 1_000_000_000 / bits


@pytest.mark.parametrize(
    ("rate", "limit", "message"),
    [
        ("1bps", None, r"config 'x': \$\.rate: 1bps: less than a packet an hour of each probe: 2bps is the least"),
        ("auto", "1bps", r"config 'x': \$\.rate_limit: 1bps: less than a packet an hour"),
        ("2kpps", "1kpps", r"config 'x': \$\.rate: 2kpps: above \$\.rate_limit: 1kpps"),
        ("1Mpps", "1Mbps", r"config 'x': \$\.rate: 1Mpps: above \$\.rate_limit: 1Mbps"),
    ],
)
def test_rates_that_cannot_be(rate: str, limit: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_of(config_of(rate=rate, rate_limit=limit))


@pytest.mark.parametrize(("rate", "per_second"), [("1/h", 1 / 3600), ("7/min", 7 / 60), ("0.2pps", 0.2)])
def test_slow_rates_down_to_a_packet_an_hour(rate: str, per_second: float) -> None:
    load = load_of(config_of(rate=rate))
    assert (load.rate_pps, load.start_pps) == (per_second, per_second)
    searched = load_of(config_of(rate="auto", rate_limit=rate))
    assert searched.start_pps <= searched.rate_pps == per_second
