"""Adding a probe: one file and one line in a copy of the package, and it is configured, filled, matched and counted.

The copy runs in a process of its own, as plain Python: what is tested is that nothing else has to know the probe.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.probes.adding import copy_with_probe, run_in

PROGRAM = """
import json
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from tests.scan import test_census_in_memory as census


def network(frame):
    asked = IP(frame[14:])
    place = census.parse_address(asked.dst) - census.FIRST
    if UDP in asked and asked[UDP].dport == 7 and place in (3, 5, 300):
        said = b"hello" if place == 5 else bytes(asked[UDP].payload)
        back = IP(src=asked.dst, dst=asked.src) / UDP(sport=7, dport=asked[UDP].sport) / said
        yield bytes(Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01", type=0x0800) / back)


_, sets, _ = census.scan(census.small_config(probes=["icmp", "udp/7"]), network)
print(json.dumps({" ".join(key): sorted(one - census.FIRST for one in members) for key, members in sets.items()}))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package and of the tests, to which the probe is added."""
    return copy_with_probe(tmp_path)


def document(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - JSON
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_file_and_a_line_are_enough(copy: Path) -> None:
    listed = document(run_in(copy, "-m", "liveness", "probes", "--json"))
    (added,) = (probe for probe in listed if probe["name"] == "udp/7")
    assert (added["protocol"], added["port"]) == ("added_probe", 7)
    sets = document(run_in(copy, "-c", PROGRAM))
    assert sets == {
        "udp/7 answer source": [3, 300],
        "udp/7 answer target": [3, 300],
        "udp/7 payload source": [5],
        "udp/7 payload target": [5],
    }


def test_a_probe_that_lacks_a_verb_stops_the_import(copy: Path) -> None:
    path = copy / "liveness" / "probes" / "added_probe.py"
    path.write_text(path.read_text().replace("def carries_cookie(", "def carries_biscuit("))
    done = run_in(copy, "-c", "import liveness.probes.dispatch")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "probe 'udp/7' (liveness.probes.added_probe): verb 'carries_cookie' is missing" in last
