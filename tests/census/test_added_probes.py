"""A census of real hosts with the probes that are not in the default set."""

from pathlib import Path

import pytest

from liveness.lab.hosts.check import check_run
from liveness.lab.load import parse_internet
from tests.census.support import EXEC, LIVENESS, Census, lab_config, run, write_yaml

pytestmark = pytest.mark.lab

PROBES = ["udp/1900", "snmp"]
HOSTS = """
name: added
networks:
  - {name: devices, kind: host, prefixes: [10.10.0.0/27], services: {udp/1900: answer, snmp: answer}}
  - {name: babblers, kind: host, prefixes: [10.10.1.0/27], services: {udp/1900: payload, snmp: payload}}
  - {name: mutes, kind: host, prefixes: [10.10.2.0/27], services: {udp/1900: silent, snmp: silent}}
  - {name: closed, kind: host, prefixes: [10.10.3.0/27]}
"""
TIMEOUT_S = 280


def census(folder: Path, internet: str, *options: str, **changes: object) -> Census:
    """Take a census of a lab and return its run."""
    document = lab_config(name="added", probes=PROBES, control=False, output=str(folder), cooldown="1s", **changes)
    config = write_yaml(folder / "census.yaml", document)
    command = [*EXEC, "--internet", internet, *options, "--", *LIVENESS, "scan", "-q", "-C", str(config)]
    done = run(*command, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, "")
    return Census(Path(done.stdout.strip()))


def test_real_servers_are_found_exactly(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(HOSTS)
    taken = census(tmp_path, str(tmp_path / "lab.yaml"), targets={"allow": ["10.10.0.0/22"]})
    comparison = check_run(taken.path, parse_internet(HOSTS, "lab.yaml"))
    assert comparison.differences == []
    kinds = {(key.reply.probe, key.reply.label) for key in taken.sets}
    assert kinds == {(probe, label) for probe in PROBES for label in ("answer", "payload", "error-3-3")}
    # an SSDP answer returns nothing of the cookie
    assert taken.manifest.weak["udp/1900"]["answer"] == taken.manifest.messages["udp/1900"]["answer"]
    assert "answer" not in taken.manifest.weak["snmp"]
