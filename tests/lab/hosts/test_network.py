"""The lab itself, built and probed by an independent prober: every network, every probe, first to last address."""

import random
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TypeVar

import pytest
from scapy.layers.inet import IP, TCP

from liveness.errors import LivenessError
from liveness.lab.hosts.document import Daemon, Internet
from liveness.lab.hosts.truth import PROBES, packet_of, reply_of, segments
from liveness.lab.kernel_settings import this_space
from liveness.lab.load import load_internet, parse_internet
from liveness.lab.supervisor import Lab
from liveness.lab.tools import Tools, find_tools
from liveness.replies import ReplyKey
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.lab.prober import ETH_P_IP, Seen, check_checksums, probe_all

pytestmark = pytest.mark.lab

CONTROL_PORT = 50001
ETH_P_ALL = 3  # only this sees frames that leave as well
ARP_S = 4.0  # a router gives up on a silent neighbour after three tries, a second apart

T = TypeVar("T")


def in_lab(internet: Internet, tools: Tools, function: Callable[[], T]) -> T:
    """Build a lab in a child process and return what `function` says inside it."""

    def inside() -> T:
        enter_private_network()
        with Lab(internet, tools):
            return function()

    return run_in_child(inside)


def samples(internet: Internet) -> list[tuple[str, str]]:
    """Choose first, last and one more address of all that behaves alike, each with every probe, in random order."""
    chance = random.Random(7)
    chosen = [
        (str(IPv4Address(number)), probe)
        for segment in segments(internet)
        for number in {segment.first, segment.last, chance.randint(segment.first, segment.last)}
        for probe in PROBES
    ]
    chance.shuffle(chosen)
    return chosen


def expected(internet: Internet, pairs: list[tuple[str, str]], ttl: int) -> dict[tuple[str, str], set[Seen]]:
    """Write the ground truth of these probes as the prober writes what it saw."""
    truth: dict[tuple[str, str], set[Seen]] = {}
    for target, probe in pairs:
        number = int(IPv4Address(target))
        truth[target, probe] = set()
        for segment in segments(internet):
            reply = reply_of(segment, packet_of(probe, CONTROL_PORT, ttl))
            if reply is not None and segment.first <= number <= segment.last:
                label = ReplyKey(probe, reply.kind, reply.icmp_type, reply.icmp_code).label
                source = target if reply.source is None else str(IPv4Address(reply.source))
                truth[target, probe] = {Seen(label, source)}
    return truth


@pytest.mark.parametrize(("plain", "ttl"), [(False, 64), (True, 63)])
def test_every_network_does_what_the_ground_truth_says(*, plain: bool, ttl: int) -> None:
    internet, tools = load_internet(), find_tools(plain=plain)
    pairs = samples(internet)  # of the whole file: what is left out without nft has to be silent
    seen = in_lab(internet, tools, lambda: probe_all(pairs, CONTROL_PORT, ARP_S, ttl))
    assert {pair: set(replies) for pair, replies in seen.items()} == expected(tools.fit(internet), pairs, ttl)


def test_routes_that_refuse_do_so_five_times_at_once_for_every_probe() -> None:
    internet = load_internet()
    pairs = [(target, probe) for target in ("10.31.0.1", "10.31.0.3", "10.31.0.6") for probe in PROBES] * 5
    seen = in_lab(internet, Tools(), lambda: probe_all(pairs, CONTROL_PORT, 0.3))
    assert Counter(len(replies) for replies in seen.values()) == {5: 27}


def test_a_burst_into_the_lab_loses_nothing() -> None:
    """Every ICMP error and reset of a /24 at once, faster than any census sends to one network."""
    internet = load_internet()
    pairs = [(f"10.10.0.{number}", probe) for number in range(256) for probe in PROBES]
    seen = in_lab(internet, Tools(), lambda: probe_all(pairs, CONTROL_PORT, 0.5))
    assert {pair: set(replies) for pair, replies in seen.items()} == expected(internet, pairs, 64)


def test_a_daemon_that_fails_is_reported_with_its_last_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    broken = tmp_path_factory.mktemp("daemon") / "chronyd"
    broken.write_text("#!/bin/sh\necho no such clock; exit 3\n")
    broken.chmod(0o755)
    tools = Tools(daemons={Daemon.CHRONYD: str(broken)})
    with pytest.raises(LivenessError, match=r"chronyd of network 'clocks' ended with code 3: no such clock") as caught:
        in_lab(load_internet(), tools, lambda: None)
    assert "\n" not in str(caught.value)


def test_rules_nft_refuses_are_reported_with_what_it_says() -> None:
    text = "name: t\nnetworks: [{name: a, kind: host, prefixes: [10.1.0.0/24], firewall: [{match: udp/53, do: drop}]}]"
    with pytest.raises(LivenessError, match=r"network 'a': .*false refuses its rules"):
        in_lab(parse_internet(text, "t"), Tools(nft="/bin/false"), lambda: None)


def test_the_scanner_stands_where_it_should() -> None:
    """A marked namespace, one default route, a cold neighbour table, a link that runs, and nobody but the lab."""

    def look() -> dict[str, str]:
        commands = {
            "links": "ip -br link",
            "routes": "ip route",
            "neighbours": "ip neigh",
        }
        return {name: subprocess.check_output(line.split(), text=True) for name, line in commands.items()}

    found = in_lab(load_internet(), Tools(), look)
    links = {line.split()[0].partition("@")[0]: line.split()[1] for line in found["links"].splitlines()}
    assert links == {"lo": "UNKNOWN", "liveness-lab": "DOWN", "scan0": "UP"}
    assert [line.strip() for line in found["routes"].splitlines()] == [
        "default via 10.255.0.1 dev scan0 proto static",
        "10.255.0.0/30 dev scan0 proto kernel scope link src 10.255.0.2",
    ]
    assert found["neighbours"] == ""


def test_one_can_look_on_at_the_core_router() -> None:
    """Frames are seen there as on a wire: both directions, with finished checksums."""

    def both() -> list[bytes]:
        enter_private_network()
        with Lab(load_internet(), Tools()) as lab:
            scanner = this_space("the scanner")
            lab.router().enter()
            with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as capture:
                capture.bind(("scanner", ETH_P_ALL))
                scanner.enter()
                probe_all([("10.10.1.9", "tcp/80")], CONTROL_PORT, 0.3)
                capture.setblocking(False)
                frames: list[bytes] = []
                with suppress(BlockingIOError):
                    while True:
                        frame, address = capture.recvfrom(2048)
                        if address[1] == ETH_P_IP:  # not ARP
                            frames.append(frame)
                return frames

    packets = [IP(frame) for frame in run_in_child(both)]
    for packet in packets:
        check_checksums(packet)
    # the scanner's own kernel knows of no such connection and says so
    found = sorted((packet.src, str(packet[TCP].flags)) for packet in packets)
    assert found == [("10.10.1.9", "SA"), ("10.255.0.2", "R"), ("10.255.0.2", "S")]
