"""A census while forged replies pour in: no cookie is guessed, nothing true is lost, or the loss is told."""

import json
import math
import sys
from pathlib import Path
from typing import Final

import pytest
from pyroaring import BitMap

from liveness.config.load import resolve_targets
from liveness.config.model import from_document
from liveness.lab.hosts.check import probes_of
from liveness.lab.hosts.truth import expected_sets
from liveness.lab.load import load_internet
from liveness.replies import Kind, Role
from liveness.space.addresses import parse_address
from tests.census.flood import KINDS
from tests.census.support import LIVENESS, ROOT, Census, clean_environment, run, write_yaml

pytestmark = pytest.mark.lab

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/22], listen: [22, 80, 443], dns: answer}
"""
FIRST, LAST = parse_address("10.1.0.0"), parse_address("10.1.3.255")
CONFIG: Final[dict[str, object]] = {
    "name": "flooded",
    "targets": {"allow": ["10.1.0.0/22"]},
    "rate": "1kpps",
    "senders": 1,
    "control": False,
    "probe_spacing": "10ms",
    "cooldown": "3s",
    "retransmit": {"attempts": 2, "queue": 200},
    "receive": {"ring_mib": 128},
}
PORTS_OF_A_TARGET: Final = 2 / (61000 - 32768 + 1)
"""A forger's chance to hit one of the two source ports that a target was probed from."""
WEAK: Final = ("rst", "dns", "ntp", "error-udp")
"""Forged kinds of which a weak one needs the port alone."""


def forged_run(folder: Path, count: int) -> tuple[Census, dict[str, int], Path]:
    """Return a census that was flooded with so many packets, how many of each kind, and the lab's file."""
    internet = folder / "small.yaml"
    internet.write_text(LAB)
    # it lasts as long as the flood does, at 200,000 packets a second or more
    changes = {"cooldown": f"{3 + count // 200_000}s", "output": str(folder)}
    config = write_yaml(folder / "config.yaml", CONFIG | changes)
    flood = (sys.executable, "-m", "tests.census.flood", internet, folder / "sent.json", str(count))
    scan = (*LIVENESS, "scan", "-q", "-C", config, "--run-id", "1")
    alone = clean_environment(OPENBLAS_NUM_THREADS="1")  # a user namespace wants one thread
    done = run(*flood, str(FIRST), str(LAST), *scan, cwd=ROOT, timeout=300, env=alone)
    assert done.returncode == 0, done.stderr
    return Census(folder / "flooded" / "1"), json.loads((folder / "sent.json").read_text()), internet


def most_likely(count: int, chance: float) -> float:
    """Return what a binomial count stays below, but once in a hundred million times."""
    expected = count * chance
    return expected + 6 * math.sqrt(expected) + 6


@pytest.mark.parametrize("count", [400_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_forged_replies_prove_nothing_and_hide_nothing(compiled: None, tmp_path: Path, count: int) -> None:  # noqa: ARG001 - for its effect
    census, sent, internet = forged_run(tmp_path, count)
    manifest = census.manifest
    assert sum(sent.values()) == count
    assert set(sent) == set(KINDS)
    messages = sum(sum(labels.values()) for labels in manifest.messages.values())
    rejected = sum(manifest.rejected.values())
    receive = manifest.receive
    assert receive.packets == messages + rejected
    assert receive.kernel_packets == receive.packets + receive.kernel_drops
    # all of the flood was seen but what its own kernel's queue dropped, which nobody counts as received
    assert receive.kernel_packets > 0.9 * count
    assert rejected > 0.9 * receive.packets - messages

    config = from_document(manifest.config)
    targets = resolve_targets(config, lab=True).intervals
    truth = expected_sets(load_internet(str(internet)), targets, probes_of(config), None, config.network.ttl)
    weak = sum(sum(labels.values()) for labels in manifest.weak.values())
    bound = most_likely(sum(sent[kind] for kind in WEAK), PORTS_OF_A_TARGET)
    assert weak <= bound
    assert weak > 0, "a flood of this size guesses some ports"
    beyond = 0
    for key, members in census.sets.items():
        wrong = len(members - truth.get(key, BitMap()))
        if key.reply.kind in (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.ANSWER):
            assert wrong == 0, key
        elif key.role is Role.TARGET:
            beyond += wrong
    assert beyond <= weak, "only weak evidence adds a member"
    lost = sum(
        len(expected) - len(expected & census.sets[key]) for key, expected in truth.items() if key in census.sets
    )
    lost += sum(len(expected) for key, expected in truth.items() if key not in census.sets)
    assert lost == 0 or manifest.loss_warnings, f"{lost} members lost in silence"
