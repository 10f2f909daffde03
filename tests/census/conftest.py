"""What the tests of whole scans share: kernels compiled beforehand, and three censuses of the default lab."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.census.support import EXEC, LIVENESS, TIMEOUT_S, Census, clean_environment, lab_config, run, write_yaml

WARM_UP = """
import sys
from liveness.config.load import load_config, resolve_targets
from liveness.probes.template import LinkAddresses
from liveness.scan.session import _warm_up, constants_of, plan_run

config = load_config(sys.argv[1])
plan = plan_run(config, resolve_targets(config, True))
_warm_up(plan, constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (0,)))
"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile what a scan calls into the cache: one process does it, not three that then scan at the same time."""
    config = write_yaml(tmp_path_factory.mktemp("warm") / "lab.yaml", lab_config())
    done = run(sys.executable, "-c", WARM_UP, config, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def censuses(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Census]:  # noqa: ARG001 - for its effect
    """Take the census of configs/lab.yaml with 1, 2 and 3 senders and as many receivers, each in a lab of its own."""
    folder = tmp_path_factory.mktemp("censuses")
    configs = {
        number: write_yaml(folder / f"lab-{number}.yaml", lab_config(output=str(folder), receive={"receivers": number}))
        for number in (1, 2, 3)
    }
    started = {
        senders: subprocess.Popen(
            [
                *EXEC,
                "--",
                *LIVENESS,
                "scan",
                "-C",
                str(configs[senders]),
                "-T",
                str(senders),
                "--run-id",
                f"by-{senders}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        for senders in configs
    }
    taken = {}
    for senders, process in started.items():
        output, complaints = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, complaints
        taken[senders] = Census(Path(output.strip()))
    return taken
