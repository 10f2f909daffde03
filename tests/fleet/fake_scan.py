"""A scan that sends nothing: it stands for `liveness scan` where tests place and kill scans.

It takes the options that a runner gives, and leaves what a scan leaves: a run directory that is locked, checkpoints by
which it is resumed, a manifest, sets, opt-outs. Of the shared order of targets it does those of its shard, a few at a
time. What answers follows from the address alone. With FLEET_TRACE each session adds lines with its begin and end, and
with what it has probed, so that a test sees two sessions at a time, and probes of what had opted out.
"""

import argparse
import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import yaml
from pyroaring import BitMap

from liveness.clock import utc_now
from liveness.config.load import load_config, read_entries
from liveness.config.model import to_record
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.course import Timeline
from liveness.runs.manifest import BlockStatus, Manifest, ProbeCounts, Shard, Vantage
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals

STEP = int(os.environ.get("FLEET_STEP", "8"))
"""Targets of a step."""
HELD_STEPS = 3
HELD = HELD_STEPS * STEP
"""Targets after which a scan waits while the file HOLD exists."""
PAUSE_S = float(os.environ.get("FLEET_PAUSE_S", "0.1"))
OPENING_S = float(os.environ.get("FLEET_OPENING_S", "0"))
"""How long a session that resumes a run takes to open what it needs: a signal ends it at once until then."""
HOLD = Path(os.environ.get("FLEET_HOLD", "/nonexistent"))


def answers(address: int) -> bool:
    """Return whether a host is there."""
    return hashlib.sha256(address.to_bytes(4, "big")).digest()[0] < 96


def members(entries: Intervals) -> list[int]:
    """Return addresses in their shared order."""
    found = [address for low, high in zip(entries.first, entries.last, strict=True) for address in range(low, high + 1)]
    return sorted(found, key=lambda address: hashlib.sha256(b"order" + int(address).to_bytes(4, "big")).digest())


def trace(**fields: Any) -> None:  # noqa: ANN401 - of JSON
    """Add a line to the trace."""
    path = os.environ.get("FLEET_TRACE")
    if path:
        with open(path, "a", encoding="ascii") as file:  # noqa: PTH123 - appended to at once
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps({"time_s": time.time(), "pid": os.getpid(), **fields}) + "\n")


class Scan:
    """One session."""

    def __init__(self, run: RunDirectory, config: Any) -> None:  # noqa: ANN401 - a config
        self.run, self.config = run, config
        shard = config.shard
        self.targets = run.read_targets()
        self.mine = members(self.targets)[shard.index :: shard.of]
        self.label = f"{run.path.name}/{config.vantage}/{shard.index}"
        self.stopped = False
        self.began = utc_now()

    def withdrawn(self) -> Intervals:
        return read_entries(list(self.config.targets.blocklists)).intersection(self.targets)

    def work(self) -> int:
        """Do the rest of the shard; return the exit code."""
        signal.signal(signal.SIGINT, self.stop)
        signal.signal(signal.SIGTERM, self.stop)
        self.run.write_manifest(self.manifest())
        progress = self.run.path / "checkpoint.json"
        state: dict[str, Any] = json.loads(progress.read_text()) if progress.exists() else {"done": 0, "found": []}
        trace(event="begin", scan=self.label, done=state["done"])
        start = self.config.start_at.seconds + self.config.start_offset.seconds
        while time.time() < start and not self.stopped:
            time.sleep(0.02)
        if not state["done"]:
            trace(event="first", scan=self.label)
        while state["done"] < len(self.mine) and not self.stopped:
            if state["done"] >= HELD and HOLD.exists():
                time.sleep(0.02)
                continue
            blocked = set(members(self.withdrawn()))
            step = [one for one in self.mine[state["done"] : state["done"] + STEP] if one not in blocked]
            trace(event="probed", scan=self.label, targets=[int(one) for one in step])
            state = {"done": state["done"] + STEP, "found": state["found"] + [int(one) for one in step if answers(one)]}
            temporary = progress.with_suffix(".tmp")
            temporary.write_text(json.dumps(state))
            temporary.rename(progress)
            self.metrics(min(state["done"], len(self.mine)))
            time.sleep(PAUSE_S)
        trace(event="end", scan=self.label, done=state["done"])
        self.finish(state["found"], complete=state["done"] >= len(self.mine))
        return 0 if state["done"] >= len(self.mine) else 130

    def stop(self, *_: object) -> None:
        self.stopped = True

    def metrics(self, done: int) -> None:
        if OPTIONS.metrics_file:
            counts = {"planned": len(self.mine), "sent_total": done}
            lines = [f'liveness_probes_{name}{{probe="icmp"}} {count}\n' for name, count in counts.items()]
            Path(OPTIONS.metrics_file).write_text("".join(lines))

    def manifest(self, **changes: Any) -> Manifest:  # noqa: ANN401 - fields
        config, shard = self.config, self.config.shard
        return msgspec.structs.replace(
            Manifest(
                name=config.name,
                run_id=self.run.path.name,
                status="running",
                seed=config.seed,
                config=to_record(config),
                started=self.began,
                targets=len(self.mine),
                targets_sha256=self.run.targets_digest(),
                probes={"icmp": ProbeCounts(sent=[len(self.mine)], send_errors=0)},
                sets=[],
                shard=Shard(index=shard.index, of=shard.of, start_at=str(config.start_at)),
                vantage=Vantage(name=config.vantage),
                blocks=[BlockStatus(block="0.0.0.0/3", targets=len(self.mine), status="done")],
                timeline=Timeline(),
            ),
            **changes,
        )

    def finish(self, found: list[int], *, complete: bool) -> None:
        """Write sets and manifest."""
        blocked = set(members(self.withdrawn()))
        alive = BitMap(address for address in found if address not in blocked)
        key = ReplyKey("icmp", Kind.ECHO_REPLY, None, None)
        roles = (Role.SOURCE, Role.TARGET, Role.DIRECT) if alive else ()
        sets = [self.run.write_set(SetKey(key, role), alive) for role in roles]
        status = "complete" if complete else "partial"
        reason = None if complete else "interrupted"
        messages = {"icmp": {"echo-reply": len(alive)}}
        self.run.write_manifest(
            self.manifest(status=status, reason=reason, sets=sets, finished=utc_now(), messages=messages)
        )
        if complete:
            (self.run.path / "checkpoint.json").unlink()


def main() -> int:
    if OPTIONS.resume:
        run = RunDirectory.open(Path(OPTIONS.resume))
        run.lock()
        document = run.read_manifest().config
        path = run.path / ".config.yaml"
        path.write_text(yaml.safe_dump({**document}))
        time.sleep(OPENING_S)
        return Scan(run, load_config(path)).work()
    config = load_config(OPTIONS.config)
    run = RunDirectory.create(Path(config.output), config.name, OPTIONS.run_id)
    run.lock()
    run.write_targets(read_entries(list(config.targets.allow)).entries())
    run.write_key(bytes(16))
    return Scan(run, config).work()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("scan")
    parser.add_argument("-q", action="store_true")
    for name in ("--metrics-file", "--config", "--run-id", "--resume"):
        parser.add_argument(name)
    OPTIONS = parser.parse_args()
    sys.exit(main())
