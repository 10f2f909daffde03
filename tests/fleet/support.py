"""Fleets whose scans send nothing: vantage files, commands, and what a whole census of one machine would have found."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from pyroaring import BitMap

from liveness.space.addresses import parse_entry
from tests.census.support import LIVENESS, ROOT, Census, clean_environment, run
from tests.fleet.fake_scan import HELD_STEPS, answers

FAKE: Final = [sys.executable, "-m", "tests.fleet.fake_scan"]
TIMEOUT_S: Final = 200
PATIENCE_S: Final = 240.0
ALLOWED: Final = "9.9.0.0/24"
CONFIG: Final[dict[str, Any]] = {
    "name": "wide",
    "seed": 5,
    "targets": {"allow": [ALLOWED], "block": ["blocklist.txt"]},
    "probes": ["icmp"],
    "control": False,
    "contact": "https://example.org/scan",
}


class Command:
    """A command that was started; what it prints goes to files."""

    def __init__(self, words: list[str], folder: Path, name: Path, environment: dict[str, str]) -> None:
        self.files = name.with_suffix(".out"), name.with_suffix(".err")
        with self.files[0].open("wb") as out, self.files[1].open("wb") as err:
            self.process = subprocess.Popen(
                words, cwd=folder, env=environment, stdout=out, stderr=err, start_new_session=True
            )

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code, and what was printed."""
        code = self.process.wait(PATIENCE_S)
        return code, self.files[0].read_text(), self.files[1].read_text()


class Place:
    """A folder with a census, a vantage file, a store, and a directory for each vantage point."""

    def __init__(self, folder: Path, *, vantages: int = 2, **changes: Any) -> None:  # noqa: ANN401 - fields
        self.folder = folder
        self.file = folder / "vantages.yaml"
        self.trace = folder / "trace"
        self.variables: dict[str, str] = {}
        self.begun = 0
        (folder / "blocklist.txt").write_text("9.9.0.0/28\n")
        (folder / "census.yaml").write_text(yaml.safe_dump(CONFIG))
        names = [f"v{number}" for number in range(vantages)]
        points = [{"name": name, "directory": str(folder / name), "command": FAKE} for name in names]
        document: dict[str, Any] = {"config": "census.yaml", "mode": "split", "lead": "0s", "store": {"url": "store"}}
        document["vantages"] = points
        self.file.write_text(yaml.safe_dump({**document, **changes}))

    def hold(self) -> None:
        """Have every scan wait after a few steps."""
        (self.folder / "hold").touch()

    def release(self) -> None:
        """Let held scans go on."""
        (self.folder / "hold").unlink(missing_ok=True)

    def wait_held(self, scans: int = 2) -> None:
        """Wait until so many scans have done the steps before they are held."""

        def held() -> bool:
            steps = Counter(line["scan"] for line in self.lines("probed"))
            return sum(count >= HELD_STEPS for count in steps.values()) >= scans

        wait_for(held, "scans at work")

    def environment(self, **variables: str) -> dict[str, str]:
        fixed = {"PYTHONPATH": str(ROOT), "FLEET_TRACE": str(self.trace), "FLEET_HOLD": str(self.folder / "hold")}
        return clean_environment(**{**fixed, "FLEET_PAUSE_S": "0.02", **self.variables, **variables})

    def command(self, name: str, *words: str | Path) -> list[str]:
        return [*map(str, LIVENESS), "fleet", name, "-C", str(self.file), *map(str, words)]

    def fleet(self, name: str, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run(*self.command(name, *words), cwd=self.folder, env=self.environment(**variables), timeout=TIMEOUT_S)

    def begin(self, *words: str | Path, **variables: str) -> "Command":
        """Start `fleet run`."""
        self.begun += 1
        return Command(
            self.command("run", *words),
            self.folder,
            self.folder / f"command{self.begun}",
            self.environment(**variables),
        )

    def status(self) -> dict[str, Any]:
        done = self.fleet("status", "--json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the trace of one kind of event."""
        text = self.trace.read_text() if self.trace.exists() else ""
        return [line for line in map(json.loads, text.splitlines()) if line["event"] == event]


def truth(*blocked: str) -> BitMap:
    """Return who answers of all that was allowed, less what is blocked."""
    low, high = parse_entry(ALLOWED)
    bounds = [parse_entry(entry) for entry in ("9.9.0.0/28", *blocked)]
    return BitMap(
        address
        for address in range(low, high + 1)
        if answers(address) and not any(first <= address <= last for first, last in bounds)
    )


def found(path: Path) -> BitMap:
    """Return who answered in a run."""
    census = Census(path)
    sets = {key.role.name: members for key, members in census.sets.items()}
    assert set(sets) <= {"SOURCE", "TARGET", "DIRECT"}
    return sets.get("SOURCE", BitMap())


def check_alone(place: Place) -> None:
    """Check that no shard was ever scanned by two sessions at a time: their lines in the trace are not mixed."""
    sessions: dict[str, list[int]] = {}
    for line in map(json.loads, place.trace.read_text().splitlines()):
        pids = sessions.setdefault(line["scan"], [])
        if not pids or pids[-1] != line["pid"]:
            assert line["pid"] not in pids, f"{line['scan']}: two sessions at a time"
            pids.append(line["pid"])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@contextmanager
def cleaned(place: Place) -> Iterator[Place]:
    """Leave no process of a place behind."""
    try:
        yield place
    finally:
        kill_left(place)


def kill_left(place: Place, module: str = "") -> None:
    """Kill the processes of this place only, those of a module if one is named."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(place.folder).encode() in words and module.encode() in words:
            try:
                os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue


def probed_after_an_opt_out(place: Place, entry: str) -> list[dict[str, Any]]:
    """Run r1 at two vantage points, and let `entry` opt out while it goes on; return what was probed after that."""
    place.hold()
    command = place.begin("--run-id", "r1")
    place.wait_held()
    with (place.folder / "blocklist.txt").open("a") as file:
        file.write(f"{entry}  # 2026-11-27, noc@example.net, mail\n")

    def arrived() -> bool:
        lists = list(place.folder.glob("v*/wide/r1/*/opt-outs.txt"))
        return len(lists) == 2 and all(entry in path.read_text() for path in lists)

    wait_for(arrived, "the opt-out at both vantage points")
    before = len(place.lines("probed"))
    place.release()
    code, _, err = command.ended()
    assert code == 0, err
    assert "blocklists published" in err
    after = place.lines("probed")[before:]
    assert after
    return after
