"""A scan in a lab that is watched in every way at once: on a terminal, by file, by HTTP; and in a pipe."""

import json
import os
import pty
import re
import select
import subprocess
from pathlib import Path
from threading import Thread

import pytest

from tests.census.support import LIVENESS, clean_environment, run
from tests.census.test_resume import PROBES, TARGETS, prepare
from tests.watch.test_metrics import labels, parsed

pytestmark = pytest.mark.lab

SCRAPE = """
import sys, time, urllib.error, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for _ in range(600):
    try:
        with opener.open("http://127.0.0.1:9617/metrics", timeout=20) as answer:
            sys.stdout.write(answer.read().decode())
        break
    except urllib.error.URLError:
        time.sleep(0.1)
"""


def read_terminal(descriptor: int, into: list[bytes]) -> None:
    """Read what appears on a terminal until its other side is closed."""
    while True:
        select.select([descriptor], [], [])
        try:
            content = os.read(descriptor, 1 << 16)
        except OSError:  # nobody has the other side any more
            return
        into.append(content)


def test_a_scan_is_watched_in_every_way(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    internet, config, path = prepare(tmp_path)
    script, scrape = tmp_path / "watched.sh", tmp_path / "scrape.py"
    scrape.write_text(SCRAPE)
    scan = " ".join([*LIVENESS, "scan", "-C", str(config), "--run-id", "1"])
    watched = f"--status-file {tmp_path}/status --metrics-file {tmp_path}/scan.prom --metrics-address :9617"
    script.write_text(f"{scan} {watched} > {tmp_path}/out & {LIVENESS[0]} {scrape} > {tmp_path}/scraped; wait $!\n")
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    reader = Thread(target=read_terminal, args=(ours, shown))
    reader.start()
    done = subprocess.run(
        [*LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--", "sh", script],
        stderr=theirs,
        timeout=150,
        check=False,
        env=clean_environment(COLUMNS="150", TERM="xterm-256color"),
    )
    os.close(theirs)
    reader.join(10)
    os.close(ours)
    screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(shown).decode())
    assert done.returncode == 0, screen
    for text in (
        "icmp",
        "tcp/80",
        "dns",
        "tcp/control",
        "hit rate",
        "packets/s",
        "ETA ",
        "block 1 of 2",
        "block 2 of 2",
        "drops 0",
    ):
        assert text in screen, text
    assert "\x1b[" in b"".join(shown).decode(), "drawn anew, in place"
    assert f"{path}\n" == (tmp_path / "out").read_text()
    lines = [json.loads(line) for line in (tmp_path / "status").read_text().splitlines()]
    assert [line["state"] for line in lines][-1] == "complete"
    assert {line["run"] for line in lines} == {"killed/1"}
    assert len(lines) >= 4
    sent = [line["sent"] for line in lines]
    assert sent == sorted(sent)
    assert sent[-1] == lines[-1]["planned"] == 2 * TARGETS * PROBES
    manifest = json.loads((path / "manifest.json").read_text())
    assert lines[-1]["replies"] == sum(sum(kinds.values()) for kinds in manifest["messages"].values())
    assert lines[-1]["packets"] == manifest["receive"]["packets"]
    scraped = parsed((tmp_path / "scraped").read_text())
    assert scraped["liveness_scan_running", labels(census="killed")] == 1
    final = parsed((tmp_path / "scan.prom").read_text())
    assert final["liveness_scan_running", labels(census="killed")] == 0
    assert final["liveness_scan_info", labels(census="killed", run="1", status="complete")] == 1
    for probe, kinds in manifest["messages"].items():
        assert final["liveness_replies_total", labels(census="killed", probe=probe)] == sum(kinds.values())


def test_a_pipe_has_no_escape_codes(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    internet, config, path = prepare(tmp_path, rate="2kpps", retransmit={"attempts": 1, "queue": 1})
    scan = (*LIVENESS, "scan", "-C", config, "--run-id", "1")
    done = run(*LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--", *scan)
    assert (done.returncode, done.stdout) == (0, f"{path}\n")
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    assert done.stderr.startswith(f"scanning {TARGETS} addresses with {PROBES} probes of 1 attempts")
    lines = done.stderr.rstrip().splitlines()
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert all("senders could not keep up" in line for line in warnings), "what a busy machine causes, and nothing else"
    assert lines[-1].startswith("complete with warnings; " if warnings else "complete; ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--status-file", "no/such"], "no/such: cannot write the status here: No such file or directory"),
        (["--metrics-file", "no/such.prom"], "no/such.prom: cannot write metrics here: there is no directory no"),
        (["--metrics-address", "9617"], "--metrics-address '9617': expected HOST:PORT"),
    ],
)
def test_what_cannot_watch_stops_a_scan_before_it_begins(tmp_path: Path, options: list[str], message: str) -> None:
    internet, config, path = prepare(tmp_path)
    scan: tuple[str | Path, ...] = (*LIVENESS, "scan", "-C", config, "--run-id", "1", *options)
    done = run(*LIVENESS, "lab", "exec", "--plain", "--internet", internet, "--", *scan, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not path.exists()
