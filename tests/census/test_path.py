"""Changes of the way while a scan runs: nothing is lost, or status, exit code and warnings say so."""

import signal
import time
from pathlib import Path

import pytest

from liveness.runs.left_out import load_left_out
from tests.census.rig import COUNT, GATEWAY, SCANNER, Rig, Scan, ip, rig
from tests.census.support import losses_of
from tests.census.test_losses import tool
from tests.net.support import in_private_network

pytestmark = [pytest.mark.lab, pytest.mark.slow]

NEW_MAC = "02:00:00:00:00:99"


def answered(scan: Scan) -> int:
    """Return how many targets are in the set of echo replies."""
    return len(scan.census.union({"icmp"}, {"echo-reply"}, "source"))


def actions(scan: Scan) -> list[str]:
    return [event.action for event in scan.census.manifest.path]


def whole(scan: Scan) -> None:
    """Wait for the end: nothing is missing, and what was lost on the way is told."""
    assert scan.finish() == 0, scan.output
    manifest = scan.census.manifest
    assert manifest.status == "complete"
    assert answered(scan) == COUNT, manifest.loss_warnings
    assert "everything that is known to have been lost was sent again" in manifest.loss_warnings


def begun(built: Rig, **changes: object) -> Scan:
    """Return a scan that has sent a fifth of its frames."""
    scan = built.scan(**changes)
    scan.wait_sent(0.2)
    return scan


@in_private_network
def test_nothing_happens_on_a_quiet_way(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan()
        assert scan.finish() == 0, scan.output
        assert answered(scan) == COUNT
        manifest = scan.census.manifest
        assert (manifest.status, losses_of(manifest)) == ("complete", [])
        assert actions(scan) == ["noted"], "the way as it was found"
        assert manifest.path[0].targets == COUNT


@in_private_network
def test_a_gateway_with_a_new_mac_is_found_within_two_seconds(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        built.far_ip("link", "set", "ps0", "address", NEW_MAC)
        whole(scan)
        (event,) = [event for event in scan.census.manifest.path if event.action == "redirected"]
        assert NEW_MAC in event.detail
        (loss,) = scan.census.manifest.losses
        assert 0 < loss.targets < 2_000, "less than two seconds of them"


@in_private_network
def test_a_link_that_is_down_for_seconds_costs_nothing(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        built.far_ip("link", "set", "ps0", "down")
        scan.wait_for(lambda line: line["state"] == "paused", "a pause")
        time.sleep(2)
        sent = scan.lines()[-1]["sent"]
        time.sleep(1.5)
        assert scan.lines()[-1]["sent"] == sent
        built.far_ip("link", "set", "ps0", "up")
        built.far_ip("route", "replace", "local", "9.9.0.0/16", "dev", "lo")
        whole(scan)
        assert actions(scan) == ["noted", "paused", "resumed"]
        assert scan.census.manifest.path[1].detail == "interface s0 has no carrier", "before the gateway is missed"


@in_private_network
def test_a_link_that_goes_down_here_and_up_again(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        ip("link", "set", "s0", "down")
        ip("link", "set", "s0", "up")
        whole(scan)
        assert "resumed" in actions(scan)


@in_private_network
def test_a_source_address_that_is_removed_pauses_and_ends_the_run(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built, limits={"max_pause": "2s"})
        ip("addr", "add", "10.0.1.3/24", "dev", "s0")
        ip("addr", "del", f"{SCANNER}/24", "dev", "s0")
        assert scan.finish() == 5
        manifest = scan.census.manifest
        assert manifest.status == "partial"
        assert manifest.reason is not None
        assert "source address 10.0.1.2 is not this host's any more" in manifest.reason
        assert "liveness scan --resume" in scan.output


@in_private_network
def test_a_route_to_another_interface_ends_the_run(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
        ip("link", "set", "d0", "up")
        scan = begun(built)
        ip("route", "add", "9.9.4.0/24", "dev", "d0")
        assert scan.finish() == 5
        reason = scan.census.manifest.reason or ""
        assert "256 targets (9.9.4.0/24) are routed by another interface now" in reason
        ip("route", "del", "9.9.4.0/24", "dev", "d0")
        again = built.resume(scan.census.path)
        assert again.finish() == 0, again.output
        assert answered(scan) == COUNT


@in_private_network
def test_a_null_route_in_mid_run_is_followed(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        ip("route", "add", "blackhole", "9.9.8.0/22")
        assert scan.finish() == 0, scan.output
        (event,) = [event for event in scan.census.manifest.path if event.action == "left-out"]
        assert event.targets == 1_024
        assert COUNT - 1_024 <= answered(scan) < COUNT
        assert list(load_left_out(scan.census.path).entries()) == ["9.9.8.0/22"]


@in_private_network
def test_a_new_gateway_takes_over_its_targets(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        built.far_ip("addr", "add", "10.0.1.9/24", "dev", "ps0")
        scan = begun(built)
        ip("route", "add", "9.9.8.0/22", "via", "10.0.1.9")
        whole(scan)
        assert "1,024 targets (9.9.8.0/22) go by the new gateway 10.0.1.9" in " ".join(
            event.detail for event in scan.census.manifest.path
        )


@in_private_network
def test_an_interface_that_is_removed_ends_the_run(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        built.far_ip("link", "del", "ps0")
        assert scan.finish() == 5
        assert "--resume" in scan.output
        assert scan.census.manifest.status == "partial"


@in_private_network
def test_a_gateway_that_is_not_there_any_more_pauses_the_run(tmp_path: Path) -> None:
    with rig(tmp_path, bridged=True) as built:
        scan = begun(built, rate="300pps")
        built.far_ip("addr", "del", f"{GATEWAY}/24", "dev", "ps0")
        scan.wait_for(lambda line: line["state"] == "paused", "a pause")
        built.far_ip("addr", "add", f"{GATEWAY}/24", "dev", "ps0")
        whole(scan)
        assert "gateway 10.0.1.1 does not answer" in [event.detail for event in scan.census.manifest.path]


@in_private_network
def test_the_scanners_own_mac_may_change(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        ip("link", "set", "s0", "address", NEW_MAC)
        whole(scan)
        assert f"interface s0 has another MAC address: {NEW_MAC}" in [
            event.detail for event in scan.census.manifest.path
        ]


@pytest.mark.parametrize("transport", ["af_packet", "af_xdp"])
@in_private_network
def test_several_senders_through_every_transport_survive_all_of_it(tmp_path: Path, transport: str) -> None:
    with rig(tmp_path) as built:
        scan = begun(built, network={"transport": transport}, senders=2 if transport == "af_packet" else 1)
        built.far_ip("link", "set", "ps0", "address", NEW_MAC)
        scan.wait_sent(0.5)
        ip("link", "set", "s0", "down")
        ip("link", "set", "s0", "up")
        ip("route", "replace", "default", "via", GATEWAY)
        whole(scan)
        assert {"redirected", "paused", "resumed"} <= set(actions(scan))


@in_private_network
def test_two_gateways_each_get_their_targets(tmp_path: Path) -> None:
    """The second gateway is another machine on the same link: the first drops what it should not get."""
    with rig(tmp_path, bridged=True) as built, built.second_gateway("10.0.1.9", "9.9.8.0/22"):
        built.far_ip("route", "add", "blackhole", "9.9.8.0/22", "table", "100")
        built.far_ip("rule", "add", "to", "9.9.8.0/22", "lookup", "100", "pref", "0")
        ip("route", "add", "9.9.8.0/22", "via", "10.0.1.9")
        scan = built.scan()
        assert scan.finish() == 0, scan.output
        assert answered(scan) == COUNT
        assert losses_of(scan.census.manifest) == []


@in_private_network
def test_targets_that_are_null_routed_by_now_get_nothing_of_a_resumed_run(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        scan.process.send_signal(signal.SIGTERM)
        assert scan.finish() == 143
        ip("route", "add", "blackhole", "9.9.8.0/22")
        again = built.resume(scan.census.path)
        assert again.finish() == 0, again.output
        manifest = scan.census.manifest
        assert [(event.action, event.targets) for event in manifest.path if event.action == "left-out"] == [
            ("left-out", 1_024)
        ]
        assert manifest.targets == COUNT
        assert answered(scan) < COUNT
        early = scan.census.union({"icmp"}, {"echo-reply"}, "source")
        assert len(early) >= COUNT - 1_024
        assert list(load_left_out(scan.census.path).entries()) == ["9.9.8.0/22"]


@in_private_network
def test_an_interface_that_is_down_for_long_keeps_its_confined_receivers(tmp_path: Path) -> None:
    """Receivers open no socket: what they know of their interface they know from the one that they have."""
    with rig(tmp_path) as built:
        scan = begun(built)
        ip("link", "set", "s0", "down")
        scan.wait_for(lambda line: line["state"] == "paused", "a pause")
        time.sleep(3)
        ip("link", "set", "s0", "up")
        ip("route", "replace", "default", "via", GATEWAY)
        whole(scan)
        assert scan.census.manifest.privileges.confined[-1] == "seccomp"


@in_private_network
def test_the_source_address_chooses_the_uplink_by_policy_rules(tmp_path: Path) -> None:
    """The first uplink, by which the main table leads, lets no probe through: whatever left by it would be missing."""
    with rig(tmp_path) as built:
        ip("link", "add", "d0", "type", "veth", "peer", "name", "pd0", "netns", str(built.far.pid))
        ip("addr", "add", "10.0.2.2/24", "dev", "d0")
        ip("link", "set", "d0", "up")
        built.far_ip("addr", "add", "10.0.2.1/24", "dev", "pd0")
        built.far_ip("link", "set", "pd0", "up")
        ip("rule", "add", "from", "10.0.2.2", "lookup", "200")
        ip("route", "add", "default", "via", "10.0.2.1", "dev", "d0", "table", "200")
        wrong = "add table ip t; add chain ip t c { type filter hook prerouting priority 0; };"
        built.far.run(lambda: tool("nft", wrong + " add rule ip t c iifname ps0 icmp type echo-request drop"))
        scan = built.scan("-S", "10.0.2.2")
        assert scan.finish() == 0, scan.output
        assert answered(scan) == COUNT
        assert scan.census.manifest.path[0].detail.startswith("d0 by 10.0.2.1 ")
        first = built.scan("-S", SCANNER, "-n", "64")
        first.finish()
        assert "not one reply came" in first.output, "the other source leaves by the other uplink"
