"""A census that root begins: its scan becomes nobody, and so does all that follows."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

from tests.census.support import LIVENESS, clean_environment, run, write_yaml

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

CALLS: Final = """
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
for turn in 1 2; do {take}; done
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_follows_a_scan_is_done_by_the_user_it_became() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's folders are closed to others
        Path(folder).chmod(0o755)
        told, sets = Path(folder) / "told", Path(folder) / "sets"
        told.mkdir()
        told.chmod(0o777)
        config = write_yaml(
            Path(folder) / "c.yaml",
            {
                "name": "weekly",
                "targets": {"allow": ["10.8.0.2-10.8.0.3"]},
                "rate": "50pps",
                "cooldown": "1s",
                "probe_spacing": "1ms",
                "network": {"interface": "one", "gateway_mac": "02:00:00:00:00:02"},
                "output": str(sets),
                "keep": {"runs": 1},
                "notify": {"command": ["sh", "-c", f"id -u >> {told}/uid"]},
            },
        )
        take = " ".join([*LIVENESS, "census", "run", "-C", str(config)])
        script = CALLS.format(take=take, folder=folder, python=sys.base_prefix)
        without_sudo = {name: value for name, value in clean_environment().items() if not name.startswith("SUDO_")}
        done = run("unshare", "-n", "-m", "sh", "-c", script, env=without_sudo, timeout=280)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 2
        assert (told / "uid").read_text().split() == ["65534"] * 2
        states = [
            json.loads(record.read_text())["state"] for record in sorted(sets.glob("weekly/reports/*/census.json"))
        ]
        assert states == ["removed", "reported"]
        page = next(sets.glob("weekly/reports/*/report.html")).read_text()
        assert page.startswith("<!DOCTYPE html>")
        assert "<svg" in page or "data:image" in page
        owners = {path.stat().st_uid for path in (sets, *sets.rglob("*"))}
        assert owners == {65534}
        assert {path.stat().st_mode & 0o077 for path in (sets, *sets.rglob("*"))} == {0}
