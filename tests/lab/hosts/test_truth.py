"""Ground truth against expectations written by hand, address by address."""

from ipaddress import IPv4Address

import pytest
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.lab.hosts.truth import PROBES, expected_sets, packet_of, reply_of, segments
from liveness.lab.hosts.wiring import PATHS, wire
from liveness.lab.load import load_internet, parse_internet
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.space.intervals import Intervals

CONTROL_PORT = 50001

LAB = """
name: test
networks:
  - {name: web, kind: host, prefixes: [10.1.0.0/30], listen: [80], dns: answer, ntp: payload}
  - {name: mute, kind: host, prefixes: [10.1.0.4/31], echo: false, dns: silent}
  - {name: dark, kind: silent, prefixes: [10.1.0.8/30]}
  - {name: dead, kind: unreachable, prefixes: [10.1.1.1/32, 10.1.1.2/32]}
  - {name: banned, kind: prohibit, prefixes: [10.1.1.3/32]}
  - {name: lost, kind: throw, prefixes: [10.1.1.4/32]}
  - {name: empty, kind: no-host, prefixes: [10.1.2.0/30]}
  - {name: loop, kind: loop, prefixes: [10.1.3.0/30]}
  - name: walled
    kind: host
    prefixes: [10.1.4.0/30]
    listen: [22, 80]
    firewall:
      - {to: 10.1.4.0/31, match: tcp/22, do: admin-prohibited}
      - {match: udp, do: drop}
      - {match: tcp/443, do: accept}
      - {match: tcp/23, do: tcp-reset}
    rules:
      - {match: tcp/443, do: host-unreachable}
      - {match: tcp/80, do: accept}
      - {to: 10.1.4.3/32, match: tcp, do: redirect}
"""


def address(text: str) -> int:
    return int(IPv4Address(text))


def reply(target: str, probe: str, ttl: int = 64) -> tuple[str, str] | None:
    """Return what comes back as (label, source)."""
    number = address(target)
    for segment in segments(parse_internet(LAB, "test")):
        if segment.first <= number <= segment.last:
            found = reply_of(segment, packet_of(probe, CONTROL_PORT, ttl))
            if found is None:
                return None
            label = ReplyKey(probe, found.kind, found.icmp_type, found.icmp_code).label
            return label, target if found.source is None else str(IPv4Address(found.source))
    return None


@pytest.mark.parametrize(
    ("target", "probe", "expected"),
    [
        ("10.1.0.0", "icmp", ("echo-reply", "10.1.0.0")),
        ("10.1.0.3", "tcp/80", ("syn-ack", "10.1.0.3")),
        ("10.1.0.3", "tcp/53", ("syn-ack", "10.1.0.3")),
        ("10.1.0.3", "tcp/22", ("rst", "10.1.0.3")),
        ("10.1.0.3", "tcp/control", ("rst", "10.1.0.3")),
        ("10.1.0.3", "dns", ("answer", "10.1.0.3")),
        ("10.1.0.3", "ntp", ("payload", "10.1.0.3")),
        ("10.1.0.4", "icmp", None),
        ("10.1.0.4", "dns", None),
        ("10.1.0.4", "ntp", ("error-3-3", "10.1.0.4")),
        ("10.1.0.9", "icmp", None),
        ("10.1.9.9", "icmp", None),  # in no network
        # links are numbered in the order of the file from 10.255.1.0: 0 web, 1 mute, 2 to 10 and 11 to 19 dead
        ("10.1.1.1", "icmp", ("error-3-1", "10.255.1.5")),
        ("10.1.1.1", "tcp/22", ("error-3-1", "10.255.1.7")),
        ("10.1.1.1", "tcp/control", ("error-3-1", "10.255.1.21")),
        ("10.1.1.1", "tcp/8080", ("error-3-1", "10.255.1.21")),
        ("10.1.1.2", "icmp", ("error-3-1", "10.255.1.23")),
        ("10.1.1.3", "icmp", ("error-3-13", "10.255.1.41")),
        ("10.1.1.4", "ntp", ("error-3-0", "10.255.1.73")),
        ("10.1.2.0", "dns", ("error-3-1", "10.255.1.77")),
        ("10.1.4.0", "icmp", ("echo-reply", "10.1.4.0")),
        ("10.1.4.0", "tcp/22", ("error-3-13", "10.255.1.83")),
        ("10.1.4.2", "tcp/22", ("syn-ack", "10.1.4.2")),
        ("10.1.4.0", "dns", None),
        ("10.1.4.0", "tcp/443", ("error-3-1", "10.1.4.0")),
        ("10.1.4.3", "tcp/443", ("error-3-1", "10.1.4.3")),
        ("10.1.4.0", "tcp/23", ("rst", "10.1.4.0")),
        ("10.1.4.3", "tcp/7547", ("syn-ack", "10.1.4.3")),
        ("10.1.4.2", "tcp/7547", ("rst", "10.1.4.2")),
        ("10.1.4.3", "tcp/control", ("syn-ack", "10.1.4.3")),
    ],
)
def test_what_comes_back(target: str, probe: str, expected: tuple[str, str] | None) -> None:
    assert reply(target, probe) == expected


@pytest.mark.parametrize(
    ("ttl", "source"), [(64, "10.255.1.79"), (63, "10.255.1.81"), (255, "10.255.1.81"), (4, "10.255.1.79")]
)
def test_who_ends_a_loop_depends_on_the_parity_of_the_ttl(ttl: int, source: str) -> None:
    assert reply("10.1.3.2", "icmp", ttl) == ("error-11-0", source)


def key(probe: str, kind: Kind, role: Role, *error: int) -> SetKey:
    return SetKey(ReplyKey(probe, kind, *error), role)


def test_sets_of_some_targets() -> None:
    wanted = [
        address(text)
        for text in ("10.1.0.1", "10.1.0.2", "10.1.0.5", "10.1.0.8", "10.1.1.2", "10.1.3.0", "10.1.3.1", "10.77.0.0")
    ]
    probed = Intervals.from_bounds(wanted, wanted)
    sets = expected_sets(parse_internet(LAB, "test"), probed, ["icmp", "ntp"], CONTROL_PORT, 64)
    hosts, loop = BitMap(wanted[:2]), BitMap(wanted[5:7])
    assert sets == {
        **{key("icmp", Kind.ECHO_REPLY, role): hosts for role in Role},
        key("ntp", Kind.PAYLOAD, Role.SOURCE): hosts,
        key("ntp", Kind.PAYLOAD, Role.TARGET): hosts,
        **{key("ntp", Kind.ERROR, role, 3, 3): BitMap([wanted[2]]) for role in Role},
        key("icmp", Kind.ERROR, Role.TARGET, 3, 1): BitMap([wanted[4]]),
        key("icmp", Kind.ERROR, Role.SOURCE, 3, 1): BitMap([address("10.255.1.23")]),
        key("ntp", Kind.ERROR, Role.TARGET, 3, 1): BitMap([wanted[4]]),
        key("ntp", Kind.ERROR, Role.SOURCE, 3, 1): BitMap([address("10.255.1.37")]),
        key("icmp", Kind.ERROR, Role.TARGET, 11, 0): loop,
        key("icmp", Kind.ERROR, Role.SOURCE, 11, 0): BitMap([address("10.255.1.79")]),
        key("ntp", Kind.ERROR, Role.TARGET, 11, 0): loop,
        key("ntp", Kind.ERROR, Role.SOURCE, 11, 0): BitMap([address("10.255.1.79")]),
    }


def test_nothing_is_claimed_of_the_wiring_or_of_a_short_ttl() -> None:
    internet = load_internet()
    link = address("10.255.1.3")
    with pytest.raises(UsageError, match=r"10\.255\.1\.3/32: this is the lab's own wiring"):
        expected_sets(internet, Intervals.from_bounds([link], [link]), PROBES, CONTROL_PORT, 64)
    with pytest.raises(UsageError, match=r"network\.ttl: 3"):
        expected_sets(internet, Intervals.everything(), PROBES, CONTROL_PORT, 3)


def test_an_unknown_probe_is_an_error() -> None:
    for probe in ("udp/53", "tcp/http", "sctp"):
        with pytest.raises(ValueError, match=probe):
            packet_of(probe, CONTROL_PORT, 64)
    with pytest.raises(ValueError, match="tcp/control"):
        packet_of("tcp/control", None, 64)


def test_segments_cover_every_address_once() -> None:
    internet = load_internet()
    covered = [number for segment in segments(internet) for number in range(segment.first, segment.last + 1)]
    assert len(covered) == len(set(covered)) == sum(network.addresses for network in internet.networks)


def test_no_two_links_share_an_address() -> None:
    links = [link for site in wire(load_internet()) for link in site.links]
    ends = [end for link in links for end in (link.near, link.far)]
    assert len(set(ends)) == len(ends) > 3 * 2 * len(PATHS)
    many = "name: many\nnetworks:\n  - {name: a, kind: throw, prefixes: [" + ", ".join(
        f"10.0.{number >> 8}.{number & 255}/32" for number in range(3700)
    ) + "]}\n"  # fmt: skip
    with pytest.raises(UsageError, match="needs more than"):
        wire(parse_internet(many, "many.yaml"))
