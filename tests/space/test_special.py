"""The packaged registry: complete as the standards have it, and agreeing with ``ipaddress``."""

import datetime as dt
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.special import registry, registry_date, special_prefix, special_purpose

# RFC 6890 and its updates, and RFC 5771 for multicast: written here a second time, on purpose.
EXPECTED = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""


def test_it_is_exactly_the_registered_space() -> None:
    networks = [ipaddress.ip_network(prefix) for prefix in EXPECTED.split()]
    expected = Intervals.from_bounds(
        [int(network.network_address) for network in networks], [int(network.broadcast_address) for network in networks]
    )
    assert special_purpose() == expected
    assert special_purpose().count == sum(network.num_addresses for network in networks) == 592_708_864


@given(st.integers(0, (1 << 32) - 1))
def test_ordinary_addresses_are_global_to_ipaddress(address: int) -> None:
    ours = bool(special_purpose().contains([address])[0])
    judge = ipaddress.IPv4Address(address)
    if ours:
        # ipaddress has no entry for 6to4 relays and calls multicast global
        assert not judge.is_global or judge.is_multicast or judge in ipaddress.ip_network("192.88.99.0/24")
    else:
        assert judge.is_global


def test_every_entry_has_a_name_an_rfc_and_its_place() -> None:
    entries = registry()
    assert all(entry.name and entry.rfc.startswith("RFC ") for entry in entries)
    assert [(entry.first, -entry.last) for entry in entries] == sorted((entry.first, -entry.last) for entry in entries)
    assert dt.date.fromisoformat(registry_date()) >= dt.date(2025, 10, 9)


@pytest.mark.parametrize(
    ("address", "name", "rfc"),
    [
        ("10.1.2.3", "Private-Use", "RFC 1918"),
        ("0.0.0.0", "This host on this network", "RFC 1122, section 3.2.1.3"),  # noqa: S104 - an address, not a socket
        ("0.0.0.1", "This network", "RFC 791, section 3.2"),
        ("192.0.0.171", "NAT64/DNS64 Discovery", "RFC 8880, RFC 7050 section 2.2"),
        ("224.0.0.1", "Multicast", "RFC 5771"),
        ("255.255.255.255", "Limited Broadcast", "RFC 919, section 7; RFC 8190"),
    ],
)
def test_an_address_is_explained_by_its_most_specific_entry(address: str, name: str, rfc: str) -> None:
    entry = special_prefix(parse_address(address))
    assert entry is not None
    assert (entry.name, entry.rfc) == (name, rfc)


@pytest.mark.parametrize("address", ["8.8.8.8", "9.255.255.255", "11.0.0.0", "223.255.255.255", "192.0.1.0"])
def test_ordinary_addresses_have_no_entry(address: str) -> None:
    assert special_prefix(parse_address(address)) is None
