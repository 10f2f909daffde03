"""What this machine can do, against what is taken away from it, and what the doctor says about it."""

import ctypes
import errno
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from numba.core.registry import cpu_target

from liveness.cli.doctor import command
from liveness.errors import LivenessError, UsageError
from liveness.net import features, trials
from liveness.net.features import Feature, abilities, probe_features
from liveness.net.rx_packet import PacketRxRing
from liveness.net.sockets import interface_names
from liveness.net.transport import COPY, XDP_LIVE, ZERO_COPY
from liveness.report.views.doctor import works_here
from liveness.system.child import libc, run_in_child
from liveness.system.namespace import enter_private_network
from tests.net.support import TEST_ETHERTYPE, ethertype_filter, in_network_of_root, in_private_network

PR_SET_DUMPABLE = 4
CAPABILITY_VERSION_3 = 0x20080522

MOST_ATTEMPTS = 100
"""At waiting for memory that other tests have locked, a second apart."""


def drop_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    assert libc.capset(header, nothing) == 0


def by_name(found: tuple[Feature, ...]) -> dict[str, Feature]:
    return {feature.name: feature for feature in found}


def probe_anew() -> dict[str, Feature]:
    features._probe.cache_clear()
    return by_name(probe_features())


@pytest.mark.lab
@in_private_network
def test_in_a_private_network_everything_needed_is_there() -> None:
    found = probe_anew()
    needed = features.SCAN_NEEDS | features.LAB_NEEDS
    assert {name for name in needed if not found[name].available} == set()
    assert abilities(probe_features()) == features.Abilities(scan=True, lab=True)
    assert probe_features() is probe_features()
    for feature in found.values():
        assert feature.detail
        assert feature.needed_by
        assert feature.available == (feature.remedy is None)


@pytest.mark.lab
def test_without_root_the_lab_remains() -> None:
    def inside() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # or /proc/self stays root's after the change
        found = probe_anew()
        assert not found[features.RAW_SOCKET].available
        assert found[features.RAW_SOCKET].detail == os.strerror(errno.EPERM)
        assert "setcap cap_net_raw+ep" in (found[features.RAW_SOCKET].remedy or "")
        assert found[features.PRIVATE_RAW_SOCKET].available
        assert found[features.TX_RING].available
        assert abilities(probe_features()) == features.Abilities(scan=False, lab=True)
        result = CliRunner().invoke(command)
        assert result.exit_code == 0
        assert result.output.splitlines()[-1] == works_here(features.Abilities(scan=False, lab=True))
        assert f"{features.RAW_SOCKET}: {found[features.RAW_SOCKET].remedy}" in result.output.splitlines()

    for name in ("rich.console", "liveness.cli.printing", "liveness.report.layout", "liveness.report.views.doctor"):
        importlib.import_module(name)  # while the interpreter's own files are surely readable
    cpu_target.target_context.refresh()  # Numba imports more when it loads its first kernel
    run_in_child(inside)


@pytest.mark.lab
@in_private_network
def test_without_namespaces_and_capabilities_analysis_remains() -> None:
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    drop_capabilities()
    found = probe_anew()
    for name in (features.USER_NAMESPACES, features.PRIVATE_NETWORK):
        assert not found[name].available
        assert "sysctl -w user.max_user_namespaces" in (found[name].remedy or "")
    assert "no private network" in found[features.VETH].detail
    result = CliRunner().invoke(command)
    assert result.exit_code == 3
    assert result.output.splitlines()[-1] == works_here(features.Abilities(scan=False, lab=False))
    document = json.loads(CliRunner().invoke(command, ["--json"]).output)
    assert (document["schema"], document["scan"], document["lab"]) == (1, False, False)
    assert {row["name"] for row in document["features"]} == set(found)


@pytest.mark.lab
@in_private_network
def test_without_namespaces_scanning_remains() -> None:
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    Path("/proc/sys/user/max_net_namespaces").write_text("0")
    found = probe_anew()
    assert found[features.RX_RING].available  # tried here, for want of a private network
    assert abilities(probe_features()) == features.Abilities(scan=True, lab=False)


@pytest.mark.lab
def test_trying_changes_nothing_here() -> None:
    def state() -> tuple[object, ...]:
        names = sorted(path.name for path in Path("/sys/class/net").iterdir())
        return names, Path("/proc/self/ns/net").readlink(), len(list(Path("/proc/self/fd").iterdir()))

    before = state()
    probe_anew()
    assert state() == before


def test_trials_that_read_say_what_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    with pytest.raises(LivenessError, match="64 KiB, 384 KiB are needed for each sender"):
        trials.locked_memory()
    monkeypatch.setattr(time, "clock_getres", lambda _: 0.004)
    with pytest.raises(LivenessError, match="resolution 4000000 ns"):
        trials.clock()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert trials.processors().startswith("1 usable")


@pytest.mark.lab
def test_nft_reports_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "SYSTEM_PROGRAMS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LivenessError, match="nft is not installed"):
        trials.nft()
    program = tmp_path / "nft"
    program.write_text("#!/bin/sh\necho 'Error: no such kernel module' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(LivenessError, match="Error: no such kernel module"):
        trials.nft()


@pytest.mark.lab
def test_refused_links_say_so() -> None:
    def inside() -> None:
        enter_private_network()
        drop_capabilities()
        trials.link_kind("veth")

    with pytest.raises(Exception, match="Operation not permitted"):
        run_in_child(inside)


def ways_to_send(*arguments: str) -> tuple[list[dict[str, Any]], int]:
    """Return the ways to send, tried while no other test holds the memory that this user may lock, and the attempts."""
    attempts = 0
    while True:
        attempts += 1
        document = json.loads(CliRunner().invoke(command, ["--json", *arguments]).output)
        ways: list[dict[str, Any]] = document["transports"]
        if "locked memory" not in str(ways) or attempts == MOST_ATTEMPTS:
            return ways, attempts
        time.sleep(1)


@pytest.mark.lab
@in_network_of_root
def test_root_can_send_live_frames() -> None:
    """The trial is in a network of its own; a second one is on the interface that is named."""
    trials.join_by_link("w0")
    found = [(way["interface"], way["passed"]) for way in ways_to_send("-i", "w0")[0] if way["way"] == XDP_LIVE]
    assert found == [("veth", True), ("w0", True)]


@pytest.mark.lab
@in_private_network
def test_the_ways_to_send_are_tried_in_private_and_on_an_interface_that_is_named() -> None:
    """Without one nothing is sent here."""
    trials.join_by_link("w0")
    rx = PacketRxRing("w0-far", ethertype_filter(TEST_ETHERTYPE), ring_mib=2)
    ways = {way["way"]: way for way in ways_to_send()[0]}
    assert {way["interface"] for way in ways.values()} == {"veth"}
    assert [way["passed"] for way in ways.values()] == [False, True, True, False]
    assert "in the initial user namespace: run as root" in ways[XDP_LIVE]["detail"]
    assert "Operation not supported" in ways[ZERO_COPY]["detail"]
    assert ways[COPY]["frames_a_call"] >= 32
    assert rx.blocks(0.1) is None

    named, attempts = ways_to_send("-i", "w0")
    assert [way["passed"] for way in named if way["interface"] == "w0"] == [False, True, True, False]
    assert rx.blocks(1) is not None
    assert 2 <= rx.statistics().packets <= 2 * attempts
    rx.close()
    table = CliRunner().invoke(command, ["-i", "w0"], env={"COLUMNS": "200"})
    assert "w0" in table.output
    assert "af_xdp (copy)" in table.output
    with pytest.raises(UsageError, match="no interface 'eth9' here"):
        CliRunner().invoke(command, ["-i", "eth9"], catch_exceptions=False)


def test_each_need_is_needed() -> None:
    def without(missing: str) -> features.Abilities:
        names = features.SCAN_NEEDS | features.LAB_NEEDS
        return abilities(tuple(Feature(name, name != missing, "", None, "") for name in names))

    assert without("nothing") == features.Abilities(scan=True, lab=True)
    for name in (features.TX_RING, features.RX_RING, features.FILTER, features.NETLINK):
        assert without(name) == features.Abilities(scan=False, lab=False)
    assert without(features.RAW_SOCKET) == features.Abilities(scan=False, lab=True)
    for name in (features.PRIVATE_NETWORK, features.PRIVATE_RAW_SOCKET, features.VETH):
        assert without(name) == features.Abilities(scan=True, lab=False)


@pytest.mark.lab
@in_private_network
def test_links_made_for_a_trial_are_removed() -> None:
    before = interface_names()
    assert trials.link_kind("veth")
    assert interface_names() == before


def test_the_verdict_names_what_works() -> None:
    verdicts = {works_here(features.Abilities(scan=scan, lab=lab)) for scan in (True, False) for lab in (True, False)}
    assert len(verdicts) == 4
    assert all("\n" not in verdict and "analysis" in verdict for verdict in verdicts)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from liveness.cli.doctor import command\n"
        "print([name for name in ('numpy', 'pyroute2', 'rich', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
