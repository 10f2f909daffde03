"""`liveness survey run` against real hosts in a lab, judged by the lab's truth and by a capture at the far end."""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.analysis.survey.results import analyze_survey
from liveness.lab.hosts.truth import expected_sets
from liveness.lab.load import load_internet
from liveness.order.rounds import Rounds
from liveness.order.slots import slot_tables
from liveness.planes.rundir import SurveyRun
from liveness.replies import Kind, Role
from liveness.runs.manifest import Clock
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.survey.config_files import recorded_survey_config
from tests.census.support import EXEC, LIVENESS, ROOT, run, write_yaml

pytestmark = pytest.mark.lab

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/24], listen: [80, 22], dns: answer, ntp: payload}
  - {name: closed, kind: host, prefixes: [10.2.0.0/25]}
  - {name: dark, kind: silent, prefixes: [10.2.0.128/25]}
"""
BLOCKS: Final = "block,policy,weight\n10.1.0.0/24,random,1\n10.2.0.0/24,novel,2\n"
EVERYTHING: Final = (
    "icmp",
    "tcp/22",
    "tcp/23",
    "tcp/80",
    "tcp/443",
    "tcp/7547",
    "dns",
    "ntp",
    "udp/1900",
    "snmp",
    "tcp/control",
)
UDP_PORTS: Final = {53: "dns", 123: "ntp", 1900: "udp/1900", 161: "snmp"}
TIMEOUT_S: Final = 240


@dataclass(frozen=True)
class Result:
    """A survey on disk, and what the router saw of it."""

    path: Path
    frames: Path

    @cached_property
    def run(self) -> SurveyRun:
        return SurveyRun.open(self.path)

    @cached_property
    def order(self) -> Rounds:
        manifest, blocks = self.run.manifest, self.run.blocks
        tables = slot_tables(blocks.numbers, len(manifest.probes), manifest.seed)
        config = recorded_survey_config(manifest.config, self.path)
        return Rounds(blocks.numbers, tables, manifest.start_ns, config.interval_ns, config.rounds, config.marks)

    def bits(self, probe: str) -> dict[str, NDArray[np.bool_]]:
        """Return the planes of a probe, (rounds, addresses)."""
        rounds = self.run.manifest.rounds
        with self.run.matrix() as matrix:
            planes = matrix.planes(probe, 0, len(self.run.blocks))
        return {
            name: np.unpackbits(getattr(planes, name), axis=1, bitorder="little")[:, :rounds].T.astype(np.bool_)
            for name in ("sent", "positive", "negative", "late")
        }

    @cached_property
    def captured(self) -> list[tuple[int, int, str]]:
        """(time in ns, target, probe) of every probe that passed the router."""
        found = []
        for line in self.frames.read_text().splitlines():
            time_ns, frame = line.split()
            probe = self._probe(bytes.fromhex(frame)[14:])
            if probe is not None:
                found.append((int(time_ns), int.from_bytes(bytes.fromhex(frame)[30:34], "big"), probe))
        return found

    def _probe(self, packet: bytes) -> str | None:
        """Return the probe that an IP packet is; None for what the scanner's own kernel sends, such as RST and ARP."""
        if packet[0] >> 4 != 4 or packet[12:16] != bytes((10, 255, 0, 2)):
            return None
        port = int.from_bytes(packet[22:24], "big")
        if packet[9] == 1:
            return "icmp" if packet[20] == 8 else None
        if packet[9] == 17:
            return UDP_PORTS[port]
        if packet[33] != 2:  # a SYN and nothing else
            return None
        return "tcp/control" if port == self.run.manifest.control_port else f"tcp/{port}"


def survey(folder: Path, command: Sequence[str | Path] | None = None, **changed: object) -> Result:
    """Run a survey in the lab while its router captures; `command` replaces the plain run."""
    folder.mkdir(exist_ok=True)
    (folder / "lab.yaml").write_text(LAB)
    (folder / "blocks.csv").write_text(BLOCKS)
    config = write_yaml(folder / "survey.yaml", {"name": "small", "seed": 3, "output": str(folder / "out"), **changed})
    words = command or (*LIVENESS, "survey", "run", "--config", config, "--run-id", "run", "-q")
    capture = (sys.executable, "-m", "tests.census.capture", folder / "lab.yaml", folder / "frames")
    done = run(*capture, *words, cwd=ROOT, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return Result(folder / "out" / "small" / "run", folder / "frames")


def truth(result: Result, probe: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which addresses reply positively, and which otherwise, as the lab's file says."""
    first = result.run.blocks.numbers << np.uint32(8)
    addresses = Intervals.from_bounds(first, first | np.uint32(255))
    internet = load_internet(str(result.path.parents[2] / "lab.yaml"))
    positive, replied = BitMap(), BitMap()
    for key, members in expected_sets(internet, addresses, [probe], result.run.manifest.control_port, 64).items():
        if key.role is Role.TARGET or key.reply.kind is Kind.ECHO_REPLY:
            replied |= members
        if key.reply.kind in (Kind.SYN_ACK, Kind.ANSWER) or (
            key.reply.kind is Kind.ECHO_REPLY and key.role is Role.DIRECT
        ):
            positive |= members
    every = result.run.blocks.addresses
    is_positive = np.isin(every, np.array(positive, np.uint32))
    return is_positive, np.isin(every, np.array(replied, np.uint32)) & ~is_positive


def check_truth(result: Result) -> None:
    """Every pair of address and round that was sent has the bits of the truth, for every probe."""
    for probe in result.run.manifest.probes:
        bits = result.bits(probe)
        positive, negative = truth(result, probe)
        assert np.array_equal(bits["positive"], bits["sent"] & positive), probe
        assert np.array_equal(bits["negative"], bits["sent"] & negative), probe
        assert not bits["late"].any(), probe


def check_capture(result: Result) -> None:
    """Check that what counts as sent left exactly once, in its slot, and that nothing left twice in a round."""
    order, tolerance_ns = result.order, recorded_survey_config(result.run.manifest.config, result.path).tolerance_ns
    places = {int(address): index for index, address in enumerate(result.run.blocks.addresses)}
    margin_ns = 1_000_000  # the two ends of a cable, by one clock
    for place, probe in enumerate(result.run.manifest.probes):
        slots = order.address_slots(place)
        bits = result.bits(probe)["sent"]
        seen = np.zeros(bits.shape, np.int64)
        in_time = np.zeros(bits.shape, np.bool_)
        for time_ns, target, name in result.captured:
            if name != probe:
                continue
            index = places[target]
            since_ns = time_ns - order.start_ns - int(slots[index]) * order.interval_ns // order.slots
            number, late_ns = divmod(since_ns, order.interval_ns)
            seen[number, index] += 1
            in_time[number, index] |= late_ns <= tolerance_ns + margin_ns
        assert seen.max() <= 1, probe
        assert not (bits & (seen != 1)).any(), probe
        assert not (bits & ~in_time).any(), probe


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Return a survey of two /24s with all probes, five rounds of five seconds."""
    return survey(
        tmp_path_factory.mktemp("everything"),
        probes=list(EVERYTHING),
        survey={"blocks": "blocks.csv", "interval": "5s", "duration": "25s", "tolerance": "200ms"},
    )


@pytest.mark.slow
def test_all_probes_find_the_truth_in_every_round(everything: Result) -> None:
    manifest = everything.run.manifest
    assert (manifest.status, manifest.rounds, manifest.gaps) == ("complete", 5, [])
    for counts in manifest.probes.values():
        assert counts.sent + counts.not_sent == 5 * 512
        assert counts.sent > 512
    check_truth(everything)
    check_capture(everything)
    assert not (everything.path / "rounds").exists()


@pytest.mark.slow
def test_availability_is_that_of_the_lab(everything: Result) -> None:
    results = analyze_survey(everything.run)
    for probe in results.probes:
        positive, _ = truth(everything, probe.probe)
        plain = probe.readings[0]
        assert plain.ever == positive.sum()
        if positive.any():
            assert (plain.availability, plain.mean_up, plain.periods_an_address) == (1.0, 1.0, 1.0)


@pytest.mark.slow
def test_probes_are_an_interval_apart_and_never_two_of_a_24_within_half_of_its_spacing(tmp_path: Path) -> None:
    """With the tolerance that a survey has by itself: what left later than that counts as not sent, and is no gap."""
    result = survey(tmp_path, survey={"blocks": "blocks.csv", "interval": "10s", "duration": "30s"})
    check_capture(result)
    check_truth(result)
    sent = result.bits("icmp")["sent"]
    order, slots = result.order, result.order.address_slots(0)
    times: dict[int, list[int]] = defaultdict(list)
    by_address: dict[int, dict[int, int]] = defaultdict(dict)
    for time_ns, target, _ in result.captured:
        index = int(np.searchsorted(result.run.blocks.addresses, np.uint32(target)))
        number = (time_ns - order.start_ns - int(slots[index]) * order.interval_ns // order.slots) // order.interval_ns
        if sent[number, index]:
            times[target >> 8].append(time_ns)
            by_address[index][number] = time_ns
    gaps_ns = [of[number + 1] - of[number] for of in by_address.values() for number in of if number + 1 in of]
    assert len(gaps_ns) > 256
    assert max(abs(gap_ns - order.interval_ns) for gap_ns in gaps_ns) <= 50_000_000
    half_ns = order.block_spacing_ns / 2
    assert sum(map(len, times.values())) > 512
    for block, block_times in times.items():
        assert min(later - earlier for earlier, later in pairwise(block_times)) > half_ns - 1_000_000, block


KILLER: Final = """
import json, os, signal, subprocess, sys, time
config, run, *command = sys.argv[1:]
arguments = ["--config", config, "--run-id", "run"]

def begun(sessions):
    try:
        with open(os.path.join(run, "manifest.json")) as file:
            manifest = json.load(file)
    except OSError:
        return False
    stored = os.path.exists(os.path.join(run, "rounds", "icmp.sent.bits"))
    return stored and manifest["status"] == "running" and len(manifest["resumed"]) == sessions

for sessions, pause in enumerate((5.0, 3.3, 4.1)):
    process = subprocess.Popen([*command, "survey", "run", "-q", *arguments])
    deadline = time.monotonic() + 90
    while not begun(sessions) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1)
    arguments = ["--resume", run]
state = subprocess.run([*command, "survey", "status", run], capture_output=True, text=True, check=True).stdout
assert ": killed" in state, state
sys.exit(subprocess.run([*command, "survey", "run", "-q", *arguments], check=False).returncode)
"""


@pytest.mark.slow
def test_killed_and_resumed_it_is_the_truth_but_for_what_was_not_sent(tmp_path: Path) -> None:
    run_path = tmp_path / "out" / "small" / "run"
    command = (sys.executable, "-c", KILLER, tmp_path / "survey.yaml", run_path, *LIVENESS)
    result = survey(
        tmp_path,
        command,
        probes=["icmp", "tcp/80", "dns"],
        survey={"blocks": "blocks.csv", "interval": "2s", "duration": "80s", "tolerance": "200ms"},
    )
    manifest = result.run.manifest
    assert (manifest.status, manifest.rounds, len(manifest.resumed), len(manifest.gaps)) == ("complete", 40, 3, 3)
    check_truth(result)
    check_capture(result)
    assert {gap.cause for gap in manifest.gaps} == {"nobody listened between two sessions"}
    counts = manifest.probes["icmp"]
    assert counts.sent > 5 * 512


OPT_OUT: Final = """
import subprocess, sys, time
config, blocklist, noted, *command = sys.argv[1:]
process = subprocess.Popen([*command, "survey", "run", "-q", "--config", config, "--run-id", "run"])
time.sleep(12)
with open(blocklist, "a") as file:
    file.write("10.1.0.64/26\\n")
with open(noted, "w") as file:
    file.write(str(time.time_ns()))
sys.exit(process.wait())
"""


@pytest.mark.slow
def test_who_opts_out_gets_nothing_more_within_five_seconds(tmp_path: Path) -> None:
    blocklist, noted = tmp_path / "blocklist.txt", tmp_path / "noted"
    blocklist.write_text("10.1.0.0/28\n")
    command = (sys.executable, "-c", OPT_OUT, tmp_path / "survey.yaml", blocklist, noted, *LIVENESS)
    result = survey(
        tmp_path,
        command,
        targets={"block": ["blocklist.txt"]},
        survey={"blocks": "blocks.csv", "interval": "2s", "duration": "24s", "tolerance": "200ms"},
    )
    at_ns = int(noted.read_text())
    gone = range(parse_address("10.1.0.64"), parse_address("10.1.0.128"))
    times = [time_ns for time_ns, target, _ in result.captured if target in gone]
    assert times, "they were probed before"
    assert max(times) < at_ns + 5_000_000_000
    assert not [target for _, target, _ in result.captured if target < parse_address("10.1.0.16")]
    manifest = result.run.manifest
    withdrawn = manifest.withdrawn
    assert (withdrawn[0].first, withdrawn[0].last, withdrawn[0].round) == ("10.1.0.0", "10.1.0.15", 0)
    later = [entry for entry in withdrawn if entry.round]
    covered = {
        address for entry in later for address in range(parse_address(entry.first), parse_address(entry.last) + 1)
    }
    assert covered == set(gone), [format_address(address) for address in covered ^ set(gone)]
    counts = manifest.probes["icmp"]
    assert counts.sent + counts.not_sent + counts.withdrawn == manifest.rounds * 512
    assert counts.withdrawn == 16 * manifest.rounds + sum(
        (parse_address(entry.last) - parse_address(entry.first) + 1) * (manifest.rounds - entry.round)
        for entry in later
    )


def test_an_interrupted_survey_keeps_what_it_has_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(LAB)
    (tmp_path / "blocks.csv").write_text(BLOCKS)
    document = {
        "name": "small",
        "output": str(tmp_path / "out"),
        "survey": {"blocks": "blocks.csv", "interval": "2s", "duration": "10m", "tolerance": "200ms"},
    }
    config = write_yaml(tmp_path / "survey.yaml", document)
    run_path = tmp_path / "out" / "small" / "run"
    interrupted = [sys.executable, "-m", "tests.census.interrupted", "12", "1"]
    words = [*EXEC, "--internet", str(tmp_path / "lab.yaml"), "--", *interrupted, *LIVENESS, "survey", "run", "-q"]
    done = run(*words, "--config", config, "--run-id", "run", cwd=ROOT, timeout=TIMEOUT_S)
    assert "Traceback" not in done.stderr
    result = Result(run_path, tmp_path / "frames")
    manifest = result.run.manifest
    assert (manifest.status, manifest.reason) == ("partial", "interrupted by SIGINT")
    assert 1 <= manifest.rounds < 10
    check_truth(result)
    (gap,) = manifest.gaps
    assert gap.cause == "interrupted by SIGINT"
    state = json.loads(run(*LIVENESS, "survey", "status", run_path, "--json").stdout)
    assert (state["state"], state["rounds"]) == ("partial", 300)
    assert run(*LIVENESS, "survey", "analyze", run_path, "--json").returncode == 0


LATE_STOP: Final = """
import json, os, signal, subprocess, sys, time
config, run, *command = sys.argv[1:]
process = subprocess.Popen([*command, "survey", "run", "-q", "--config", config, "--run-id", "run"])
deadline = time.monotonic() + 90
while not os.path.exists(os.path.join(run, "rounds", "icmp.sent.bits")) and time.monotonic() < deadline:
    time.sleep(0.1)
time.sleep(2)
with open(os.path.join(run, "manifest.json")) as file:
    manifest = json.load(file)
end_s = manifest["start_ns"] / 1e9 + manifest["planned_rounds"] * manifest["interval_s"]
time.sleep(max(0, end_s + 2 - time.time()))
process.send_signal(signal.SIGINT)
code = process.wait()
with open(os.path.join(run, "manifest.json")) as file:
    print(code, json.load(file)["status"])
sys.exit(subprocess.run([*command, "survey", "run", "-q", "--resume", run], check=False).returncode)
"""


@pytest.mark.slow
def test_stopped_while_it_waits_for_the_last_replies_it_is_partial(tmp_path: Path) -> None:
    """What was sent within an interval before the stop counts as not sent, and is not made up for."""
    (tmp_path / "lab.yaml").write_text(LAB)
    (tmp_path / "blocks.csv").write_text(BLOCKS)
    rounds = {"blocks": "blocks.csv", "interval": "12s", "duration": "12s", "tolerance": "200ms"}
    config = write_yaml(tmp_path / "survey.yaml", {"name": "small", "output": str(tmp_path / "out"), "survey": rounds})
    run_path = tmp_path / "out" / "small" / "run"
    words = [*EXEC, "--internet", tmp_path / "lab.yaml", "--", sys.executable, "-c", LATE_STOP]
    done = run(*map(str, words), config, run_path, *LIVENESS, timeout=TIMEOUT_S)
    assert "130 partial" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr
    manifest = SurveyRun.open(run_path).manifest
    assert (manifest.status, manifest.gaps[0].cause) == ("complete", "interrupted by SIGINT")
    counts = manifest.probes["icmp"]
    assert 0 < counts.sent < 256


SHARDS: Final = """
import subprocess, sys, time
from datetime import UTC, datetime, timedelta
config, noted, *command = sys.argv[1:]
start = datetime.now(UTC) + timedelta(seconds=20)
with open(noted, "w") as file:
    file.write(start.isoformat())
options = ["--shards", "2", "--vantage", "here", "--start-at", start.isoformat()]
processes = [
    subprocess.Popen(
        [*command, "survey", "run", "-q", "-C", config, "--run-id", str(shard), "--shard", str(shard), *options]
    )
    for shard in range(2)
]
sys.exit(max(process.wait() for process in processes))
"""


@pytest.mark.slow
def test_two_shards_are_one_survey_with_an_agreed_start(tmp_path: Path) -> None:
    """Both probe at the same time, from one address and with one key: each takes the replies to its own /24s alone."""
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    noted, shards = tmp_path / "noted", [tmp_path / "out" / "small" / str(index) for index in range(2)]
    result = survey(
        tmp_path,
        (sys.executable, "-c", SHARDS, tmp_path / "survey.yaml", noted, *LIVENESS),
        probes=["icmp", "tcp/80", "tcp/control"],
        secret=str(tmp_path / "secret"),
        survey={"blocks": "blocks.csv", "interval": "3s", "duration": "12s", "tolerance": "200ms"},
    )
    start = datetime.fromisoformat(noted.read_text())
    manifests = [SurveyRun.open(path).manifest for path in shards]
    assert [(manifest.status, manifest.blocks) for manifest in manifests] == [("complete", 1)] * 2
    assert {manifest.start_ns // 1_000_000 for manifest in manifests} == {int(start.timestamp() * 1e3)}
    for manifest in manifests:
        assert manifest.vantage is not None
        assert (manifest.vantage.name, isinstance(manifest.vantage.clock, Clock)) == ("here", True)
        assert manifest.shard is not None
        assert manifest.shard.of == 2
        assert manifest.shard.late_ms is not None
    done = run(*LIVENESS, "merge", *shards, "-o", result.path, cwd=ROOT, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, "")
    manifest = result.run.manifest
    assert (manifest.status, manifest.blocks, manifest.rounds) == ("complete", 2, 4)
    assert min(counts.sent for counts in manifest.probes.values()) > 0
    assert min(time_ns for time_ns, *_ in result.captured) >= manifest.start_ns - 1_000_000
    check_truth(result)
    check_capture(result)
