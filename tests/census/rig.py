"""A rig for the way to the targets: a scanner and a far end that answers, joined by veth, to be changed in mid-run.

`s0` (10.0.1.2/24) in the scanner's namespace, `ps0` (10.0.1.1/24) at the far end, whose kernel answers for TARGETS.
With `bridged` the scanner's interface is a bridge over `s0`. Use it inside `tests.net.support.in_private_network`.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from liveness.system.namespace import Namespace, spawn_namespace
from tests.census.support import LIVENESS, Census, clean_environment, write_yaml

TARGETS: Final = "9.9.0.0/20"
COUNT: Final = 4_096
SCANNER, GATEWAY = "10.0.1.2", "10.0.1.1"
PATIENCE_S: Final = 90.0
POLL_S: Final = 0.02


def ip(*words: str) -> None:
    """Change the scanner's side."""
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)


@dataclass
class Scan:
    """A scan that runs in the scanner's namespace."""

    process: subprocess.Popen[str]
    folder: Path
    status: Path
    output: str = field(default="", init=False)

    def lines(self) -> list[dict[str, Any]]:
        """Return the status lines so far."""
        return [json.loads(line) for line in self.status.read_text().splitlines()] if self.status.exists() else []

    def wait_for(self, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Wait until a status line fulfils a condition."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(condition(line) for line in self.lines()):
            assert self.process.poll() is None, f"the scan ended before {what}: {self.finish()}"
            assert time.monotonic() < deadline, what
            time.sleep(POLL_S)

    def wait_sent(self, share: float) -> None:
        """Wait until a share of all frames has been sent."""
        self.wait_for(lambda line: line["sent"] >= share * line["planned"], f"{share:.0%} of the frames")

    def finish(self) -> int:
        """Wait for the end, and return the exit code."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.output += out + err
        return self.process.returncode

    @property
    def census(self) -> Census:
        """The run on disk."""
        (manifest,) = self.folder.glob("sets/rig/*/manifest.json")
        return Census(manifest.parent)


@dataclass
class Rig:
    """The two ends."""

    far: Namespace
    folder: Path
    interface: str

    def far_ip(self, *words: str) -> None:
        """Run ip(8) at the far end."""
        self.far.run(lambda: ip(*words))

    @contextmanager
    def second_gateway(self, address: str, prefix: str) -> Iterator[Namespace]:
        """Yield one more host on the scanner's bridge, which answers for a prefix."""
        with spawn_namespace() as other:
            ip("link", "add", "s1", "type", "veth", "peer", "name", "ps1", "netns", str(other.pid))
            ip("link", "set", "s1", "master", "br0", "up")

            def inside() -> None:
                ip("addr", "add", f"{address}/24", "dev", "ps1")
                ip("link", "set", "ps1", "up")
                ip("route", "add", "local", prefix, "dev", "lo")

            other.run(inside)
            yield other

    def scan(self, *flags: str, **changes: Any) -> Scan:  # noqa: ANN401 - any field of a config
        """Start a scan of all targets with ICMP echo at 1,000 pps, with some fields of its config changed."""
        config = {
            "name": "rig",
            "targets": {"allow": [TARGETS]},
            "probes": ["icmp"],
            "control": False,
            "rate": "1kpps",
            "retransmit": {"attempts": 1},
            "cooldown": "1s",
            "contact": "https://example.org/scan",
            "output": str(self.folder / "sets"),
        }
        path = write_yaml(self.folder / "rig.yaml", config | changes)
        return self.start("scan", "--config", str(path), *flags)

    def resume(self, run: Path) -> Scan:
        """Go on with a run."""
        return self.start("scan", "--resume", str(run))

    def start(self, *words: str) -> Scan:
        """Start a command that writes a status file."""
        status = self.folder / f"status{time.monotonic_ns()}"
        process = subprocess.Popen(
            [*LIVENESS, *words, "--status-file", str(status)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        return Scan(process, self.folder, status)


@contextmanager
def rig(folder: Path, *, bridged: bool = False) -> Iterator[Rig]:
    """Yield a rig, in this process's namespace and one more."""
    with spawn_namespace() as far:
        ip("link", "add", "s0", "type", "veth", "peer", "name", "ps0", "netns", str(far.pid))
        interface = "s0"
        if bridged:
            ip("link", "add", "br0", "type", "bridge")
            ip("link", "set", "s0", "master", "br0", "up")
            interface = "br0"
        ip("addr", "add", f"{SCANNER}/24", "dev", interface)
        ip("link", "set", interface, "up")

        def other_end() -> None:
            ip("addr", "add", f"{GATEWAY}/24", "dev", "ps0")
            ip("link", "set", "ps0", "up")
            ip("route", "add", "local", "9.9.0.0/16", "dev", "lo")

        far.run(other_end)
        ip("route", "add", "default", "via", GATEWAY)
        yield Rig(far, folder, interface)
