"""Changes of the way while a scan runs: nothing is lost, or status, exit code and warnings say so."""

import time
from pathlib import Path

import pytest

from tests.census.rig import COUNT, GATEWAY, SCANNER, Rig, Scan, ip, rig
from tests.net.support import in_private_network

pytestmark = [pytest.mark.lab, pytest.mark.slow]

NEW_MAC = "02:00:00:00:00:99"


def answered(scan: Scan) -> int:
    """Return how many targets are in the set of echo replies."""
    return len(scan.census.union({"icmp"}, {"echo-reply"}, "source"))


def actions(scan: Scan) -> list[str]:
    return [event.action for event in scan.census.manifest.path]


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
        assert (manifest.status, manifest.loss_warnings) == ("complete", [])
        assert actions(scan) == ["noted"], "the way as it was found"
        assert manifest.path[0].targets == COUNT


@in_private_network
def test_a_gateway_with_a_new_mac_is_found_within_two_seconds(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        built.far_ip("link", "set", "ps0", "address", NEW_MAC)
        code = scan.finish()
        assert code in (0, 5), scan.output
        assert answered(scan) >= COUNT - 2_000, "at 1,000 pps"
        assert "redirected" in actions(scan)
        (event,) = [one for one in scan.census.manifest.path if one.action == "redirected"]
        assert NEW_MAC in event.detail


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
        assert scan.finish() in (0, 5), scan.output
        assert answered(scan) >= COUNT - 300
        assert ("paused" in actions(scan), "resumed" in actions(scan)) == (True, True)


@in_private_network
def test_a_link_that_goes_down_here_and_up_again(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        ip("link", "set", "s0", "down")
        ip("link", "set", "s0", "up")
        assert scan.finish() in (0, 5), scan.output
        assert answered(scan) >= COUNT - 1_500
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
def test_a_null_route_in_mid_run_is_kept_to(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = begun(built)
        ip("route", "add", "blackhole", "9.9.8.0/22")
        assert scan.finish() in (0, 5), scan.output
        (event,) = [one for one in scan.census.manifest.path if one.action == "left-out"]
        assert event.targets == 1_024
        assert COUNT - 1_024 <= answered(scan) < COUNT


@in_private_network
def test_a_new_gateway_takes_over_its_targets(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        built.far_ip("addr", "add", "10.0.1.9/24", "dev", "ps0")
        scan = begun(built)
        ip("route", "add", "9.9.8.0/22", "via", "10.0.1.9")
        assert scan.finish() in (0, 5), scan.output
        assert "1,024 targets (9.9.8.0/22) go by the new gateway 10.0.1.9" in " ".join(
            one.detail for one in scan.census.manifest.path
        )
        assert answered(scan) >= COUNT - 300


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
        assert scan.finish() in (0, 5), scan.output
        assert "gateway 10.0.1.1 does not answer" in [one.detail for one in scan.census.manifest.path]
