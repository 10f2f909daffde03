"""Adding a probe: one file and one line in a copy of the package, and it is configured, filled, matched and counted.

The copy runs in a process of its own, as plain Python: what is tested is that nothing else has to know the probe.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
LAST_LINE = '    Entry("snmp", "snmp", words=("udp/161", "udp/snmp")),\n'
NEW_LINE = '    Entry("udp/7", "added_probe", words=("echo/udp",)),\n'
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
    for folder in ("liveness", "tests"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("added_probe.py"), tmp_path / "liveness" / "probes" / "added_probe.py")
    registry = tmp_path / "liveness" / "probes" / "registry.py"
    text = registry.read_text()
    assert text.count(LAST_LINE) == 1
    registry.write_text(text.replace(LAST_LINE, LAST_LINE + NEW_LINE))
    return tmp_path


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a copy."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "NUMBA_DISABLE_JIT": "1"}
    return subprocess.run(
        [sys.executable, *command], check=False, cwd=copy, env=environment, capture_output=True, text=True, timeout=300
    )


def document(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - JSON
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_file_and_a_line_are_enough(copy: Path) -> None:
    listed = document(run(copy, "-m", "liveness", "probes", "--json"))
    (added,) = (probe for probe in listed if probe["name"] == "udp/7")
    assert (added["protocol"], added["port"]) == ("added_probe", 7)
    sets = document(run(copy, "-c", PROGRAM))
    assert sets == {
        "udp/7 answer source": [3, 300],
        "udp/7 answer target": [3, 300],
        "udp/7 payload source": [5],
        "udp/7 payload target": [5],
    }


def test_a_probe_that_lacks_a_verb_stops_the_import(copy: Path) -> None:
    path = copy / "liveness" / "probes" / "added_probe.py"
    path.write_text(path.read_text().replace("def carries_cookie(", "def carries_biscuit("))
    done = run(copy, "-c", "import liveness.probes.dispatch")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "probe 'udp/7' (liveness.probes.added_probe): verb 'carries_cookie' is missing" in last
