"""A census that root begins: its scan becomes nobody, and so does all that follows."""

import json
import os
import tempfile
from pathlib import Path

import pytest

from tests.census.as_root import GATEWAY, run_as_root
from tests.census.support import LIVENESS, write_yaml

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_follows_a_scan_is_done_by_the_user_it_became() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's folders are closed to others
        Path(folder).chmod(0o755)
        notified, sets = Path(folder) / "told", Path(folder) / "sets"
        notified.mkdir()
        notified.chmod(0o777)
        config = write_yaml(
            Path(folder) / "c.yaml",
            {
                "name": "weekly",
                "targets": {"allow": ["10.8.0.2-10.8.0.3"]},
                "rate": "50pps",
                "cooldown": "1s",
                "probe_spacing": "1ms",
                "network": {"interface": "one", "gateway_mac": GATEWAY},
                "output": str(sets),
                "keep": {"runs": 1},
                "notify": {"command": ["sh", "-c", f"id -u >> {notified}/uid"]},
            },
        )
        take = " ".join([*LIVENESS, "census", "run", "-C", str(config)])
        done = run_as_root(f"for turn in 1 2; do {take}; done", Path(folder), timeout_s=280)
        assert done.returncode == 0, done.stderr
        silent = "liveness: warning: losses: not one reply came"  # nobody is there
        assert all(line.startswith(silent) for line in done.stderr.splitlines()), done.stderr
        assert len(done.stdout.splitlines()) == 2
        assert (notified / "uid").read_text().split() == ["65534"] * 2
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
