"""Compiled and plain kernels are one: the same frames bring the same replies, losses and verdicts, byte for byte."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from liveness.kernel import COMPILED
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.responder.conditions import parse_conditions
from liveness.lab.model.responder.numbers import initial_sequence
from liveness.lab.services.behaviours import PROBES as TALKED
from liveness.space.addresses import format_address
from tests.lab.model.responder.support import (
    ALL_NS,
    NOW_NS,
    FarEnd,
    answering,
    packaged,
    probe_frame,
    sample,
    talk_frame,
    used,
)

NETWORK = {
    "latency": {"median": "80ms", "sigma": 0.7, "jitter": "5ms", "slow": 0.05, "slow_up_to": "3s"},
    "loss": 0.05,
    "bursts": {"share": 0.05, "mean": "200ms"},
    "icmp_limit": {"rate_pps": 2, "burst": 2},
    "link": {"rate_pps": 2000, "queue": 20},
    "duplicates": 0.05,
    "reordered": 0.1,
    "noise": 0.05,
}


def outcome(targets: list[int], opened: list[int]) -> dict[str, Any]:
    """Put probes, broken ones and talks to a far end with every condition; return what became of them."""
    end = FarEnd(conditions=parse_conditions(NETWORK, "test"))
    for number, target in enumerate(targets * 2):
        for index, probe in enumerate(PROBES):
            frame = bytearray(probe_frame(probe, target, number // len(targets)))
            if number % 10 == 9:
                frame[14 + (number * 7 + index) % (len(frame) - 14)] ^= 0x10
            end.take(bytes(frame), NOW_NS + (number * len(PROBES) + index) * 300_000)
    replies = end.due(NOW_NS + ALL_NS)
    later_ns = NOW_NS + 2 * ALL_NS
    for place, (target, probe) in enumerate(itertools.product(opened, TALKED)):
        syn = probe_frame(probe, target)
        initial = int(initial_sequence(Ether(syn)[TCP].seq, target))
        data = f"GET / HTTP/1.1\r\nHost: {format_address(target)}\r\n\r\n" if probe in ("tcp/80", "tcp/7547") else ""
        for number, flags in enumerate(("A", "PA")):
            segment = talk_frame(syn, initial, data.encode(), flags)
            end.take(segment, later_ns + (2 * place + number) * 300_000)
    replies += end.due(later_ns + ALL_NS)
    return {
        "compiled": COMPILED,
        "replies": len(replies),
        "digest": hashlib.sha256(b"".join(replies)).hexdigest(),
        "verdicts": end.model.verdicts.tolist(),
        "lost": end.model.lost.tolist(),
        "numbers": end.model.numbers.tolist(),
        "passed": {event: sorted(collector.finish()) for event, collector in sorted(end.record.passed.items())},
    }


def test_plain_python_answers_alike() -> None:
    targets = used(60) + sample(40).tolist()
    opened = answering(packaged(), "tcp/80", "syn-ack")[:40]
    here = json.loads(json.dumps(outcome(targets, opened)))
    calls = f"print(json.dumps(outcome({targets}, {opened})))"
    script = f"import json; from tests.lab.model.responder.test_compiled import outcome; {calls}"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "0" if not COMPILED else "1"}
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, cwd=root
    )
    there = json.loads(done.stdout)
    assert here.pop("compiled") is not there.pop("compiled")
    assert here == there
    assert here["replies"] > 200
    assert sum(here["verdicts"][3:]) > 50
    assert [sum(column) > 0 for column in zip(*here["lost"], strict=True)] == [True, True, True, True, False, True]
