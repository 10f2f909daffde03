"""Scripts that real root runs: in a private network with one link, where everybody may reach Python."""

import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final

from tests.census.support import clean_environment, run

GATEWAY: Final = "02:00:00:00:00:02"
"""Whom scans on the link `one`, 10.8.0.1/24, send their probes to; nobody has this address."""

_PLACE: Final = """
set -e
python={python}
if [ "$python" != "${{python#/root/}}" ]; then  # a Python in a folder that only root may enter is shown to all here
    mkdir -p {folder}/.root
    mount --bind /root {folder}/.root
    mount -t tmpfs -o mode=755 none /root
    mkdir -p {python} /root/.cache
    mount --bind {folder}/.root/${{python#/root/}} {python}
    mount --bind {folder}/.root/.cache /root/.cache
    umount -l {folder}/.root
fi
ip link set lo up
ip link add one type veth peer name liveness-lab
ip addr add 10.8.0.1/24 dev one
ip link set one up
ip link set liveness-lab up
umask 022
"""


def run_as_root(script: str, folder: Path, timeout_s: float = 120) -> CompletedProcess[str]:
    """Run a shell script as root who did not come by sudo; what it writes below `folder` others may reach."""
    place = _PLACE.format(python=sys.base_prefix, folder=folder)
    without_sudo = {name: value for name, value in clean_environment().items() if not name.startswith("SUDO_")}
    return run("unshare", "-n", "-m", "sh", "-c", place + script, env=without_sudo, timeout=timeout_s)
