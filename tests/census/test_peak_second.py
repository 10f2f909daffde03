"""`limits.max_pps_per_24` holds on the wire: no second brings one /24 more packets than it allows, by its link."""

import re
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.census.rig import rig
from tests.net.support import in_private_network
from tests.net.test_rings import inside

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

SO_TIMESTAMPNS, ETH_P_IP = 35, 0x0800
LIMIT = 400
CONFIG = {
    "targets": {"allow": ["9.9.9.0/24"]},
    "probes": ["icmp", "tcp/80", "tcp/443", "tcp/22"],
    "retransmit": {"attempts": 2, "queue": 0},
    "limits": {"max_pps_per_24": LIMIT},
}


def arrivals(handle: socket.socket) -> list[int]:
    """Return when IPv4 packets arrived, by the kernel's stamps, in ns."""
    times: list[int] = []
    while True:
        try:
            _, control, _, _ = handle.recvmsg(64, 64)
        except BlockingIOError:
            return sorted(times)
        ((_, _, stamp),) = control
        seconds, nanoseconds = struct.unpack("qq", stamp)
        times.append(seconds * 10**9 + nanoseconds)


def busiest_second(times: list[int]) -> int:
    first, most = 0, 0
    for last, time_ns in enumerate(times):
        while time_ns - times[first] >= 10**9:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("spacing", ["500ms", "20ms"])
@in_private_network
def test_no_second_has_more_than_the_limit(tmp_path: Path, spacing: str) -> None:
    with rig(tmp_path) as built:
        with inside(built.far):
            handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
            handle.bind(("ps0", ETH_P_IP))
        handle.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        handle.setblocking(False)
        refused = built.scan(**CONFIG, rate="200pps", probe_spacing=spacing)
        assert refused.finish() == 4, refused.output
        highest = re.search(r"set rate to ([\d.]+)pps or less", refused.output)
        assert highest is not None, refused.output
        assert arrivals(handle) == []
        scan = built.scan(**CONFIG, rate=f"{highest[1]}pps", probe_spacing=spacing)
        times = []
        while scan.process.poll() is None:
            times += arrivals(handle)  # before its buffer is full
            time.sleep(0.05)
        assert scan.finish() == 0, scan.output
        times += arrivals(handle)
        assert len(times) == 256 * 8
        assert LIMIT / 4 < busiest_second(times) <= LIMIT
        handle.close()
