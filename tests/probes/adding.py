"""Copies of the package to which a probe is added: one file and one line each, in the scanner and in the lab."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LAST_PROBE = '    Entry("snmp", "snmp", words=("udp/161", "udp/snmp")),\n'
NEW_PROBE = '    Entry("udp/7", "added_probe", words=("echo/udp",)),\n'
LAST_TWIN = '    Twin("snmp", "snmp", port=161),\n'
NEW_TWIN = '    Twin("udp/7", "added_twin", port=7),\n'


def copy_with_probe(folder: Path) -> Path:
    """Copy the package and the tests into a folder, add the probe to the scanner, and return the folder."""
    for name in ("liveness", "tests"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "tests/probes/added_probe.py", folder / "liveness/probes/added_probe.py")
    _add_line(folder / "liveness/probes/registry.py", LAST_PROBE, NEW_PROBE)
    return folder


def add_twin(folder: Path) -> None:
    """Add the probe's twin to the lab of a copy."""
    shutil.copy(REPOSITORY / "tests/lab/added_twin.py", folder / "liveness/lab/twins/added_twin.py")
    _add_line(folder / "liveness/lab/twins/registry.py", LAST_TWIN, NEW_TWIN)


def _add_line(registry: Path, last: str, new: str) -> None:
    text = registry.read_text()
    assert text.count(last) == 1
    registry.write_text(text.replace(last, last + new))


def run_in(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a copy, with kernels as plain Python: only what they know is tested."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "NUMBA_DISABLE_JIT": "1"}
    return subprocess.run(
        [sys.executable, *command], check=False, cwd=copy, env=environment, capture_output=True, text=True, timeout=300
    )
