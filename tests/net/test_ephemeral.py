"""Source ports beside those of this host's own connections: the advice, and that it helps, by the kernel itself."""

import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from liveness.cli.doctor import command
from liveness.net import features
from liveness.net.ephemeral import (
    DEFAULT_PORTS,
    LEFT_TO_THE_HOST,
    LOCAL_RANGE,
    RESERVED,
    HostPorts,
    host_ports,
    merged,
    parsed,
    warning,
)
from tests.net.support import in_private_network

ports = st.integers(1, 65_535)
ranges = st.tuples(ports, ports).map(lambda pair: (min(pair), max(pair)))


def line_of(advice: str) -> str:
    return advice.partition("net.ipv4.ip_local_reserved_ports=")[2]


@given(ranges, ranges, st.lists(ranges, max_size=4))
def test_what_is_advised_is_enough_and_leaves_the_host_its_ports(
    scan: tuple[int, int], local: tuple[int, int], reserved: list[tuple[int, int]]
) -> None:
    """Judged by sets of ports."""
    before = {port for low, high in reserved for port in range(low, high + 1)}
    ephemeral = set(range(local[0], local[1] + 1)) - before
    advice = HostPorts(*local, merged(reserved)).advice(*scan)
    hit = ephemeral & set(range(scan[0], scan[1] + 1))
    assert (advice is None) == (not hit)
    if advice is None:
        return
    after = {port for low, high in parsed(line_of(advice)) for port in range(low, high + 1)}
    assert after >= before
    left = ephemeral - after
    if "set network.source_ports" in advice:
        first, last = (int(port) for port in advice.partition(" to ")[2].partition(" and ")[0].split("-"))
        assert scan[0] == first <= last <= scan[1]
        assert not left & set(range(first, last + 1))
        assert len(ephemeral - hit) < LEFT_TO_THE_HOST
    else:
        assert not left & set(range(scan[0], scan[1] + 1))
        assert len(left) >= LEFT_TO_THE_HOST


def test_ranges_are_read_as_the_kernel_writes_them() -> None:
    assert parsed("\n") == []
    assert parsed("8080,9148-9150\n") == [(8080, 8080), (9148, 9150)]


@pytest.mark.lab
@in_private_network
def test_the_kernel_keeps_away_from_the_ports_that_were_advised() -> None:
    LOCAL_RANGE.write_text("32768 60999\n")
    RESERVED.write_text("40000,50000-50010\n")
    assert host_ports() == HostPorts(32_768, 60_999, [(40_000, 40_000), (50_000, 50_010)])
    line = warning(*DEFAULT_PORTS)
    assert line is not None
    assert "set network.source_ports (-s) to 32768-46883" in line
    remedy = line.rpartition("run: sudo ")[2]
    assert remedy == "sysctl -w net.ipv4.ip_local_reserved_ports=32768-46883,50000-50010"
    RESERVED.write_text(line_of(line))  # what the line does; sysctl itself may not be installed
    assert warning(32_768, 46_883) is None
    assert warning(32_768, 46_884) is not None
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    chosen = set()
    with socket.create_server(("127.0.0.1", 999), backlog=300) as server:
        for _ in range(200):
            with socket.create_connection(server.getsockname()) as client:
                chosen.add(client.getsockname()[1])
    assert len(chosen) > 100
    assert not [port for port in chosen if port <= 46_883]


@pytest.mark.lab
@in_private_network
def test_a_part_of_the_range_is_reserved_whole() -> None:
    LOCAL_RANGE.write_text("32768 60999\n")
    RESERVED.write_text("\n")
    line = warning(50_000, 50_999)
    assert line is not None
    assert line.endswith("run: sudo sysctl -w net.ipv4.ip_local_reserved_ports=50000-50999")
    assert warning(1_024, 32_767) is None
    assert warning(61_000, 65_535) is None


@pytest.mark.lab
@in_private_network
def test_the_doctor_names_the_line() -> None:
    features._probe.cache_clear()
    RESERVED.write_text("\n")
    LOCAL_RANGE.write_text("32768 60999\n")
    said = CliRunner().invoke(command).output
    assert "sudo sysctl -w net.ipv4.ip_local_reserved_ports=32768-46883" in said
    features._probe.cache_clear()
    LOCAL_RANGE.write_text("10000 32767\n")
    assert "ip_local_reserved_ports" not in CliRunner().invoke(command).output


def test_a_kernel_without_these_files_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("liveness.net.ephemeral.LOCAL_RANGE", tmp_path / "none")
    assert host_ports() is None
    assert warning(*DEFAULT_PORTS) is None
