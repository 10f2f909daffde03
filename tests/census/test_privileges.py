"""What the processes of a real scan may still do while packets come in, and whose its files are."""

import os
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import pytest

from liveness.system import landlock, seccomp
from tests.census.as_root import GATEWAY, run_as_root
from tests.census.support import LIVENESS, Census, clean_environment, run, write_yaml
from tests.census.test_interrupt import await_true, children_of, is_scan

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80], dns: answer}
"""
CONFIG: Final[dict[str, object]] = {
    "name": "dropped",
    "targets": {"allow": ["10.1.0.0/24"]},
    "rate": "100pps",
    "probe_spacing": "10ms",
    "cooldown": "1s",
    "checkpoint": "200ms",
    "replies": "both",
    "receive": {"receivers": 2},
    "senders": 2,
}
END_S: Final = 100.0


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_every_process_has_dropped_and_the_run_is_whole(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(LAB)
    config = write_yaml(tmp_path / "census.yaml", CONFIG | {"output": str(tmp_path / "sets")})
    lab = [*LIVENESS, "lab", "exec", "--plain", "--internet", str(tmp_path / "lab.yaml"), "--"]
    process = subprocess.Popen(
        [*lab, *LIVENESS, "scan", "-q", "-C", str(config), "--run-id", "one"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert await_true(lambda: any(map(is_scan, children_of(process.pid)))), process.poll()
    (supervisor,) = filter(is_scan, children_of(process.pid))
    assert await_true(lambda: len(children_of(supervisor)) >= 5), process.poll()
    time.sleep(1)
    children = children_of(supervisor)
    converters = [pid for child in children for pid in children_of(child)]
    assert len(converters) == 2
    for pid in (supervisor, *children, *converters):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            state = status_of(int(thread.name))
            assert {state[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
            assert state["NoNewPrivs"] == "1"
    assert [status_of(pid)["Seccomp"] for pid in children] == ["2", "2", "0", "0", "2"]  # the senders have none
    _, stderr = process.communicate(timeout=END_S)
    assert (process.returncode, stderr) == (0, "")

    path = tmp_path / "sets" / "dropped" / "one"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "sets").rglob("*")}
    assert modes == {0o700, 0o600}
    manifest = Census(path).manifest
    assert manifest.status == "complete"
    assert manifest.log.complete
    assert manifest.privileges.uid == 0
    assert (
        manifest.privileges.confined == ["landlock"] * (landlock.version() > 0) + ["seccomp"] * seccomp.is_available()
    )
    assert [note for note in manifest.privileges.notes if "receivers are confined" not in note] == [
        "the user stays root: this user namespace has no user nobody (65534)"
    ]
    checked = run(*LIVENESS, "lab", "check", "--plain", "--internet", tmp_path / "lab.yaml", path)
    assert checked.returncode == 0, checked.stdout


LOOKED_AT: Final = """
{scan} scan -q 10.8.0.2-10.8.0.3 --name dropped --run-id one -i one -G {gateway} -o {output}/sets -r 5pps -c 1s &
while [ ! -f {output}/sets/dropped/one/checkpoint.json ] && kill -0 $!; do sleep 0.05; done
sleep 1
for status in $(pgrep -P $! | sed 's|.*|/proc/&/status|') /proc/$!/status; do
    grep -E '^(Uid|Groups|CapEff|CapBnd|NoNewPrivs)' $status | tr '\\n\\t' '  '; echo
done
wait $!
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("reachable", [True, False])
def test_root_becomes_nobody_where_nobody_can_work(reachable: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's folders are closed to others
        output = Path(folder)
        output.chmod(0o755 if reachable else 0o700)
        done = run_as_root(LOOKED_AT.format(scan=" ".join(LIVENESS), output=output, gateway=GATEWAY), output)
        assert done.returncode == 0, done.stderr
        *lines, path = done.stdout.splitlines()
        assert len(lines) == 4  # the supervisor, a receiver, a sender, and what compacts segments
        uid = 65534 if reachable else 0
        for line in lines:
            assert line.split()[:5] == ["Uid:", *[str(uid)] * 4]
            assert line.split()[-6:] == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
        assert {path.stat().st_uid for path in (output / "sets").rglob("*")} | {(output / "sets").stat().st_uid} == {
            uid
        }
        manifest = Census(Path(path)).manifest
        assert manifest.status == "complete"
        assert manifest.privileges.uid == uid
        assert any("nobody cannot reach" in note for note in manifest.privileges.notes) == (not reachable)
        assert (Path(path) / "key").stat().st_mode & 0o777 == 0o600


RECURRING: Final = """
cat > {output}/census.yaml <<END
name: weekly
targets: {{allow: [10.8.0.2-10.8.0.3]}}
probes: [icmp]
rate: 5pps
cooldown: 1s
network: {{interface: one, gateway_mac: {gateway}}}
output: {output}/sets
keep: {{runs: 1}}
END
for week in 1 2 3; do
    {scan} census run -q -C {output}/census.yaml
    sleep 1
done
ls {output}/sets/weekly >&2
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_census_that_root_repeats_continues_as_nobody() -> None:
    """Records, reports and what is removed: all is done by nobody, in folders that root has made."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's folders are closed to others
        output = Path(folder)
        output.chmod(0o755)
        done = run_as_root(RECURRING.format(scan=" ".join(LIVENESS), output=output, gateway=GATEWAY), output)
        assert done.returncode == 0, done.stderr
        manifests = sorted((output / "sets" / "weekly").glob("*/manifest.json"))
        assert len(manifests) == 1, done.stderr  # keep: runs: 1, by nobody
        manifest = Census(manifests[0].parent).manifest
        assert (manifest.status, manifest.privileges.uid) == ("complete", 65534)
        assert len(list((output / "sets" / "weekly" / "reports").glob("*/report.json"))) == 3


SHARED: Final = """
cat > {output}/census.yaml <<END
name: shared
targets: {{allow: [10.8.0.2-10.8.0.3]}}
probes: [icmp]
rate: 5pps
cooldown: 1s
replies: both
network: {{interface: one, gateway_mac: {gateway}}}
output: {output}/sets
share: {{group: "65532"}}
END
{scan} census run --config {output}/census.yaml --quiet
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to a group it is no member of")
def test_a_census_is_shared_with_a_group_but_for_its_key() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's folders are closed to others
        output = Path(folder)
        output.chmod(0o755)
        done = run_as_root(SHARED.format(scan=" ".join(LIVENESS), output=output, gateway=GATEWAY), output)
        assert (output / "sets" / "shared").is_dir(), done.stderr
        kept = {"key", "lock", "census.lock"}
        found = [output / "sets", *(output / "sets").rglob("*")]
        assert {path.name for path in found} >= {"shared", "reports", "sets", "manifest.json", "key"}
        for path in found:
            status = path.stat()
            mode = stat.S_IMODE(status.st_mode)
            if path.is_dir():
                assert (oct(mode), status.st_gid) == (oct(0o2750), 65532), path
            elif path.name in kept:
                assert oct(mode) == oct(0o600), path
            else:
                assert (oct(mode), status.st_gid) == (oct(0o640), 65532), path
