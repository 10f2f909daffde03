"""The registry: names and their errors, and that probes describe every kind of reply they can get and no other."""

import re

import pytest

from liveness.errors import UsageError
from liveness.probes.registry import ENTRIES, expected_names, is_probe, listed_probes, probe_named, probes_of_run
from liveness.replies import Kind
from tests.frames import NAMES, PROBES, Reply, Scanner, sample_replies


@pytest.mark.parametrize(
    ("name", "protocol", "port"),
    [("icmp", 1, 0), ("dns", 17, 53), ("ntp", 17, 123), ("tcp/1", 6, 1), ("tcp/443", 6, 443), ("tcp/65535", 6, 65535)],
)
def test_a_name_gives_its_probe(name: str, protocol: int, port: int) -> None:
    probe = probe_named(name)
    assert (probe.name, probe.protocol, probe.port) == (name, protocol, port)
    assert probe.code == protocol * 65536 + port


@pytest.mark.parametrize(
    "name",
    ["", "tcp", "tcp/", "tcp/0", "tcp/022", "tcp/65536", "tcp/99999", "tcp/-1", "tcp/80 ", "tcp/٣", "udp/53", "ICMP"],
)
def test_any_other_name_is_a_usage_error(name: str) -> None:
    assert not is_probe(name)
    expected = re.escape(f"probe {name!r}: expected one of {expected_names()}")
    with pytest.raises(UsageError, match=f"^{expected}$"):
        probe_named(name)


def test_the_control_has_no_name_of_its_own_in_a_config() -> None:
    with pytest.raises(UsageError, match="tcp/control"):
        probe_named("tcp/control")


def test_a_run_has_its_probes_in_order_and_the_control_last() -> None:
    names = ("ntp", "tcp/80", "icmp")
    assert tuple(probe.name for probe in probes_of_run(names, None)) == names
    with_control = probes_of_run(names, 51833)
    assert tuple(probe.name for probe in with_control) == (*names, "tcp/control")
    assert with_control[-1].port == 51833


def test_no_two_probes_share_a_code() -> None:
    assert len({probe.code for probe in PROBES}) == len(PROBES)


def test_a_listing_has_one_of_each_kind_and_describes_it() -> None:
    listed = listed_probes()
    assert {probe.name for probe in listed} == {*(entry.name for entry in ENTRIES), "tcp/control"}
    for probe in listed:
        assert probe.fields
        assert probe.payload
        assert all(probe.replies.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_describes_the_kinds_it_can_get(name: str) -> None:
    scanner = Scanner()
    replies = [scanner.read(frame) for _, frame in sample_replies(scanner, name, 0x08080808, 0)]
    kinds = {reply.kind for reply in replies if isinstance(reply, Reply)}
    described = PROBES[NAMES.index(name)].replies
    assert set(described) == kinds
    assert list(described) == sorted(kinds)
    assert Kind.ERROR in kinds
