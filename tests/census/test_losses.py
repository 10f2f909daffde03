"""Losses in mid-run that no ring reports: they are told with their number of targets, sent again, or end the run."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.census.rig import COUNT, Rig, Scan, ip, rig
from tests.census.support import losses_of
from tests.net.support import in_private_network

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

SILENCE = (
    "add table ip t; add chain ip t c { type filter hook prerouting priority 0; };"
    " add rule ip t c icmp type echo-request drop"
)


def tool(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)


def answered(scan: Scan) -> int:
    """Return how many targets are in the set of echo replies."""
    return len(scan.census.union({"icmp"}, {"echo-reply"}, "source"))


def silence(built: Rig) -> None:
    built.far.run(lambda: tool("nft", SILENCE))


def speak(built: Rig) -> None:
    built.far.run(lambda: tool("nft", "delete table ip t"))


@in_private_network
def test_a_far_end_that_is_silent_for_seconds_pauses_the_run_which_sends_again(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan()
        scan.wait_sent(0.4)
        silence(built)
        scan.wait_for(lambda line: bool(line["silent"]), "a pause")
        time.sleep(2)
        speak(built)
        assert scan.finish() == 0, scan.output
        manifest = scan.census.manifest
        assert (manifest.status, answered(scan)) == ("complete", COUNT)
        assert manifest.probes["icmp"].sent == [COUNT]
        assert manifest.transmit.repaired > 0
        (loss,) = manifest.losses
        assert "replies stopped" in loss.cause
        assert any("sent again" in line for line in manifest.loss_warnings)
        assert "silence:" in scan.output


@in_private_network
def test_silence_in_the_last_moments_of_a_run_is_found_and_repaired(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan()
        scan.wait_sent(0.85)
        silence(built)
        scan.wait_for(lambda line: bool(line["silent"]) or line["sent"] >= line["planned"], "the end or a pause")
        time.sleep(1.5)
        speak(built)
        assert scan.finish() == 0, scan.output
        assert scan.census.manifest.status == "complete"
        assert COUNT - answered(scan) <= 260, "what is sent in a slice of the detector, at most"


@in_private_network
def test_silence_that_stops_a_run_leaves_it_to_resume(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(on_silence="stop")
        scan.wait_sent(0.4)
        silence(built)
        assert scan.finish() == 5, scan.output
        manifest = scan.census.manifest
        assert manifest.status == "partial"
        assert "on_silence: stop" in (manifest.reason or "")
        speak(built)
        again = built.resume(scan.census.path)
        assert again.finish() == 0, again.output
        assert answered(again) == COUNT


@in_private_network
def test_loss_without_repair_is_partial_and_resumed(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(on_silence="warn", limits={"repair": False})
        scan.wait_sent(0.4)
        silence(built)
        time.sleep(1.5)
        speak(built)
        assert scan.finish() == 5, scan.output
        manifest = scan.census.manifest
        missing = COUNT - answered(scan)
        assert missing > 0
        assert sum(loss.targets for loss in manifest.losses) == pytest.approx(missing, rel=0.25)
        assert manifest.status == "partial"
        assert "limits.loss" in (manifest.reason or "")


@in_private_network
def test_frames_that_a_port_below_the_bridge_drops_are_reported_and_sent_again(tmp_path: Path) -> None:
    with rig(tmp_path, bridged=True) as built:
        time.sleep(0.5)
        tool("tc", "qdisc", "add", "dev", "s0", "root", "tbf", "rate", "300kbit", "burst", "2000", "limit", "3000")
        scan = built.scan()
        code = scan.finish()
        manifest = scan.census.manifest
        assert sum(loss.probes for loss in manifest.losses if "s0 below br0" in loss.cause) > COUNT / 20
        lost = sum(loss.probes for loss in manifest.losses)  # on a busy machine more may be lost, elsewhere
        missing = COUNT - answered(scan)
        assert code == (5 if missing > COUNT / 1000 else 0), scan.output
        assert missing < lost / 10, (missing, lost)


@in_private_network
def test_frames_that_are_destroyed_without_carrier_are_errors_of_their_probe(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(network={"transport": "af_packet"}, rate="4kpps", targets={"allow": ["9.9.0.0/18"]})
        for share in (0.2, 0.5):
            scan.wait_sent(share)
            # Only the process that watches the path would stop the sender before a frame is destroyed.
            scan.process.send_signal(signal.SIGSTOP)
            built.far_ip("link", "set", "ps0", "down")
            time.sleep(0.6)
            scan.process.send_signal(signal.SIGCONT)
            time.sleep(1.0)
            built.far_ip("link", "set", "ps0", "up")
            built.far_ip("route", "replace", "local", "9.9.0.0/16", "dev", "lo")
        scan.finish()
        manifest = scan.census.manifest
        assert answered(scan) >= 4 * COUNT * 0.999
        assert manifest.probes["icmp"].send_errors > 0
        handed = sum(manifest.probes["icmp"].sent) + manifest.transmit.repaired
        assert manifest.transmit.frames + manifest.transmit.errors == handed
        assert manifest.transmit.frames <= manifest.transmit.interface_frames


@in_private_network
def test_a_run_without_any_reply_says_why_that_may_be(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        ip("addr", "add", "10.0.1.77/32", "dev", "lo")
        silence(built)
        scan = built.scan(targets={"allow": ["9.9.0.0/26"]})
        assert scan.finish() == 0, scan.output
        (warning,) = [line for line in scan.census.manifest.loss_warnings if "not one reply" in line]
        assert warning.index("source address") < warning.index("gateway") < warning.index("firewall")
        assert "not one reply" in scan.output


@in_private_network
def test_a_run_without_losses_reports_none(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(senders=2)
        assert scan.finish() == 0, scan.output
        manifest = scan.census.manifest
        assert (losses_of(manifest), manifest.losses, manifest.transmit.repaired) == ([], [], 0)
        assert answered(scan) == COUNT


@in_private_network
def test_a_gateway_with_another_mac_costs_nothing(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan()
        scan.wait_sent(0.3)
        built.far_ip("link", "set", "ps0", "address", "02:00:00:00:00:99")
        assert scan.finish() == 0, scan.output
        manifest = scan.census.manifest
        assert (manifest.status, answered(scan)) == ("complete", COUNT)
        assert manifest.losses
        assert all(loss.to_s - loss.from_s < 4 for loss in manifest.losses)
        assert manifest.transmit.repaired >= manifest.losses[0].targets


@in_private_network
def test_the_targets_behind_another_mac_are_counted_where_nothing_is_repaired(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(limits={"repair": False})
        scan.wait_sent(0.3)
        built.far_ip("link", "set", "ps0", "address", "02:00:00:00:00:99")
        assert scan.finish() == 5, scan.output
        missing = COUNT - answered(scan)
        (loss,) = scan.census.manifest.losses
        assert "02:00:00:00:00:99" in loss.cause, "not only that replies stopped"
        booked = loss.targets
        assert 0.95 * missing <= booked <= 1.05 * missing + 100
        again = built.resume(scan.census.path)
        assert again.finish() == 5, "it is told not to repair"


@in_private_network
def test_a_run_killed_in_its_repair_repairs_when_it_is_resumed(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(checkpoint="200ms")
        scan.wait_sent(0.3)
        silence(built)
        time.sleep(1)
        speak(built)
        scan.wait_for(lambda line: line["repaired"] > 0, "a repair")
        scan.process.kill()
        scan.finish()
        again = built.resume(scan.census.path)
        assert again.finish() == 0, again.output
        assert (again.census.manifest.status, answered(again)) == ("complete", COUNT)
