"""What a run says it has lost is what was lost, within 5 %: without repair, against the targets that got no reply."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.census.rig import COUNT, Rig, Scan, ip, rig
from tests.census.test_losses import answered, silence, speak, tool
from tests.net.support import in_private_network

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled"), pytest.mark.slow]

NEW_MAC = "02:00:00:00:00:99"


def no_carrier(built: Rig, scan: Scan) -> None:
    built.far_ip("link", "set", "ps0", "down")
    scan.wait_for(lambda line: line["state"] == "paused", "a pause")
    time.sleep(0.5)
    built.far_ip("link", "set", "ps0", "up")
    built.far_ip("route", "replace", "local", "9.9.0.0/16", "dev", "lo")


def link_down_here(_built: Rig, _scan: Scan) -> None:
    ip("link", "set", "s0", "down")
    time.sleep(0.5)
    ip("link", "set", "s0", "up")


def other_mac(built: Rig, _scan: Scan) -> None:
    built.far_ip("link", "set", "ps0", "address", NEW_MAC)


def far_silence(built: Rig, _scan: Scan) -> None:
    silence(built)
    time.sleep(1.5)
    speak(built)


def shaped_queue(_built: Rig, _scan: Scan) -> None:
    tool("tc", "qdisc", "add", "dev", "s0", "root", "tbf", "rate", "300kbit", "burst", "2000", "limit", "3000")
    time.sleep(1.5)
    tool("tc", "qdisc", "change", "dev", "s0", "root", "tbf", "rate", "1gbit", "burst", "20000", "limit", "300000")


def port_down(_built: Rig, _scan: Scan) -> None:
    ip("link", "set", "s0", "down")
    time.sleep(1.5)
    ip("link", "set", "s0", "up")


@pytest.mark.parametrize(
    ("happens", "bridged", "transport"),
    [
        (no_carrier, False, "af_xdp"),
        (no_carrier, False, "af_packet"),
        (link_down_here, False, "af_xdp"),
        (other_mac, False, "auto"),
        (far_silence, False, "auto"),
        (shaped_queue, True, "auto"),
        (port_down, True, "auto"),
    ],
)
@in_private_network
def test_reported_losses_are_the_real_ones(
    tmp_path: Path, happens: Callable[[Rig, Scan], None], bridged: bool, transport: str
) -> None:
    with rig(tmp_path, bridged=bridged) as built:
        scan = built.scan(on_silence="warn", limits={"repair": False}, network={"transport": transport}, cooldown="3s")
        scan.wait_sent(0.4)
        happens(built, scan)
        scan.finish()
        losses = scan.census.manifest.losses
        missing = COUNT - answered(scan)
        booked = [(loss.targets, loss.from_s, loss.to_s, loss.cause) for loss in losses]
        assert sum(loss.targets for loss in losses) == pytest.approx(missing, rel=0.05, abs=8), (missing, booked)
