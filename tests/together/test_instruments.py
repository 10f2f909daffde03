"""A census, a survey and a capture at the border at the same time, while a service is stopped: all tell the same story.

A second stands for a minute: rounds and intervals take 2.5 s, and the service is stopped for ten seconds.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

import pytest
from pyroaring import BitMap

from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.census.conftest import WARM_UP
from tests.census.support import LIVENESS, Census, clean_environment, run, write_yaml
from tests.together.border import (
    CAMPUS,
    DARK,
    RUNNING_PORT,
    SCANNER,
    SERVER,
    SERVERS,
    STOPPED_PORT,
    Attempt,
    Border,
    border,
)

pytestmark = pytest.mark.lab

INTERVAL_S: Final = 2.5
ROUNDS: Final = 1000
"""More than it takes: the survey is stopped by Ctrl-C."""
OUTAGE_ROUNDS: Final = 4
ROUNDS_AFTER: Final = 3
INTERRUPTED: Final = 130
CLIENTS: Final = 24
"""Of each port in each interval."""
OUTAGE_CLIENTS: Final = 10
"""So many that fail make an outage, if they are half of all: the defaults of a passive run."""
MARGIN_S: Final = 0.15
TIMEOUT_S: Final = 900
"""For a machine on which much else runs: a census of seconds has taken minutes there."""
PROBES: Final = ["icmp", f"tcp/{STOPPED_PORT}", f"tcp/{RUNNING_PORT}"]
INTRUDER_TARGETS: Final = 40


@dataclass(frozen=True)
class Story:
    """What happened in the lab, and the runs of the instruments that watched it."""

    folder: Path
    attempts: list[Attempt]
    stopped_s: float
    started_s: float
    late_s: float
    """How much later than planned the service was stopped or started again: a busy machine takes its time."""

    @property
    def census(self) -> Path:
        """The run of the census."""
        return self.folder / "out/census/run"

    @property
    def survey(self) -> Path:
        """The run of the survey."""
        return self.folder / "out/survey/run"

    @property
    def capture(self) -> Path:
        """What passed the border."""
        return self.folder / "border.pcap"

    def passive(self, name: str, **changes: object) -> dict[str, Any]:
        """Return the report of a passive run over the capture."""
        config = {
            "name": name, "local": [CAMPUS], "interval": f"{round(INTERVAL_S * 1000)}ms", "inputs": [str(self.capture)],
            "output": str(self.folder / "out"), **changes,
        }  # fmt: skip
        path = write_yaml(self.folder / f"{name}.yaml", config)
        done = run(*LIVENESS, "passive", "run", "--config", path, "--run-id", "run", "-q")
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(run(*LIVENESS, "passive", "report", "--json", done.stdout.strip()).stdout)
        return report


def configs(folder: Path) -> tuple[Path, Path]:
    """Write the configs of a census and of a survey of the campus."""
    common = {
        "seed": 7,
        "probes": PROBES,
        "contact": "tests of liveness, no real network",
        "output": str(folder / "out"),
    }
    (folder / "blocks.csv").write_text(f"block,policy,weight\n{SERVERS},given,1\n{DARK},given,1\n")
    survey = {
        "blocks": "blocks.csv", "interval": f"{round(INTERVAL_S * 1000)}ms",
        "duration": f"{round(INTERVAL_S * 1000) * ROUNDS}ms", "tolerance": "50ms",
    }  # fmt: skip
    census = {
        "targets": {"allow": [CAMPUS]}, "rate": "500pps", "retransmit": {"attempts": 2, "queue": 100},
        "probe_spacing": "10ms", "cooldown": "2s",
    }  # fmt: skip
    return (
        write_yaml(folder / "census.yaml", {"name": "census", **common, **census}),
        write_yaml(folder / "survey.yaml", {"name": "survey", **common, "survey": survey}),
    )


def launch(*words: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*LIVENESS, *map(str, words), "-q", "--run-id", "run"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip


def await_s(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def farthest_from(phase_s: float) -> float:
    """Return the time within an interval that is farthest from its ends and from a phase in it."""
    return phase_s / 2 if phase_s > INTERVAL_S / 2 else (phase_s + INTERVAL_S) / 2


class Clients:
    """The campus' clients: some of them connect once an interval, far from the ends of rounds and intervals."""

    def __init__(self, lab: Border, at_s: float) -> None:
        self.lab, self.at_s = lab, at_s
        self.next_s = (time.time() // INTERVAL_S + 1) * INTERVAL_S + at_s

    def until(self, end_s: float) -> None:
        """Connect at every interval's time up to a moment, and wait for that."""
        while self.next_s < end_s:
            time.sleep(max(0.0, self.next_s - time.time()))
            self.lab.connect(CLIENTS, (STOPPED_PORT, RUNNING_PORT))
            self.next_s = max(self.next_s, time.time() // INTERVAL_S * INTERVAL_S + self.at_s) + INTERVAL_S
        time.sleep(max(0.0, end_s - time.time()))


def live_through(folder: Path) -> Story:
    """Have it all happen, in this process' private network."""
    enter_private_network()
    census_config, survey_config = configs(folder)
    warm = run(sys.executable, "-c", WARM_UP, census_config, timeout=TIMEOUT_S)
    assert warm.returncode == 0, warm.stderr
    with border(folder) as lab:
        for port in (STOPPED_PORT, RUNNING_PORT):
            lab.serve(port)
        survey = launch("survey", "run", "-C", survey_config)
        path = folder / "out/survey/run"
        await_s(lambda: (path / "rounds.jsonl").exists() or survey.poll() is not None, "the survey does not begin")
        assert survey.poll() is None, survey.communicate()
        start_s = seconds(json.loads((path / "manifest.json").read_text())["survey"]["start"])
        census = launch("scan", "-C", census_config)
        clients = Clients(lab, farthest_from(start_s % INTERVAL_S))
        lab.intrude(INTRUDER_TARGETS)
        deadline = time.monotonic() + TIMEOUT_S
        while census.poll() is None:
            assert time.monotonic() < deadline, "the census does not end"
            clients.until(time.time() + 0.5)
        assert census.returncode == 0, census.communicate()
        first = int((time.time() - start_s) / INTERVAL_S) + 2
        stop_s = start_s + first * INTERVAL_S - MARGIN_S
        clients.until(stop_s)
        lab.stop(f"server {STOPPED_PORT}")
        stopped_s = time.time()
        serve_s = start_s + (first + OUTAGE_ROUNDS) * INTERVAL_S + MARGIN_S
        clients.until(serve_s)
        lab.serve(STOPPED_PORT)
        started_s = time.time()
        clients.until(start_s + (first + OUTAGE_ROUNDS + ROUNDS_AFTER) * INTERVAL_S)
        survey.send_signal(signal.SIGINT)
        said = survey.communicate(timeout=TIMEOUT_S)
        assert survey.returncode == INTERRUPTED, said
        return Story(folder, lab.attempts, stopped_s, started_s, max(stopped_s - stop_s, started_s - serve_s))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("together")
    return run_in_child(lambda: live_through(folder))


@pytest.fixture(scope="module")
def report(story: Story) -> dict[str, Any]:
    """Return the report of a passive run that knows the census."""
    return story.passive("campus", censuses=[str(story.census)])


def syns(story: Story, port: int) -> list[tuple[str, float]]:
    """Return who sent the SYNs of clients to a port, and when, as tcpdump reads the capture."""
    wanted = f"src net 10.50.0.0/16 and dst host {SERVER} and dst port {port} and tcp[13] = 2"
    printed = run("tcpdump", "-tt", "-n", "-q", "-r", story.capture, wanted)
    assert printed.returncode == 0, printed.stderr
    rows = [line.split() for line in printed.stdout.splitlines()]
    return [(row[2].rpartition(".")[0], float(row[0])) for row in rows]


def outages(story: Story) -> list[dict[str, Any]]:
    """Return start, end and clients of the outages that the definition finds in what the clients met."""
    failed = {attempt.client for attempt in story.attempts if not attempt.succeeded}
    by_interval: dict[int, dict[bool, set[str]]] = {}
    for client, time_s in syns(story, STOPPED_PORT):
        met = by_interval.setdefault(int(time_s / INTERVAL_S), {True: set(), False: set()})
        met[client not in failed].add(client)
    found: list[dict[str, Any]] = []
    for number in sorted(by_interval):
        bad, good = by_interval[number][False], by_interval[number][True]
        if len(bad) < OUTAGE_CLIENTS or len(bad) < len(good):
            continue
        if not found or found[-1]["end"] != number * INTERVAL_S:
            found.append({"start": number * INTERVAL_S, "clients": 0})
        found[-1]["end"] = (number + 1) * INTERVAL_S
        found[-1]["clients"] += len(bad)
    return found


def test_survey_and_passive_run_report_the_same_outage(story: Story, report: dict[str, Any]) -> None:
    """Both see it whole, to one round of the survey and one interval of the passive run."""
    assert {attempt.port for attempt in story.attempts if not attempt.succeeded} == {STOPPED_PORT}
    expected = outages(story)
    assert sum(outage["clients"] for outage in expected) >= CLIENTS * (OUTAGE_ROUNDS - 1)
    assert [
        {"start": seconds(each["start"]), "end": seconds(each["end"]), "clients": each["clients"]}
        for each in report["outages"]
    ] == expected
    assert {name for each in report["outages"] for name in each["services"]} == {f"{SERVER}/tcp/{STOPPED_PORT}"}
    analysed = run(*LIVENESS, "survey", "analyze", "--json", story.survey)
    assert analysed.returncode == 0, analysed.stderr
    (full,) = json.loads(analysed.stdout)["outages"]["full"]
    assert (full["block"], full["probe"]) == (SERVERS, f"tcp/{STOPPED_PORT}")
    seen = {
        "survey": (seconds(full["start"]), seconds(full["end"])),
        "passive": (expected[0]["start"], expected[-1]["end"]),
    }
    for start_s, end_s in seen.values():
        assert abs(start_s - story.stopped_s) <= INTERVAL_S
        assert abs(end_s - story.started_s) <= INTERVAL_S
    for survey_s, passive_s in zip(*seen.values(), strict=True):
        assert abs(survey_s - passive_s) <= INTERVAL_S + story.late_s


def test_the_service_that_goes_on_fails_nobody(story: Story, report: dict[str, Any]) -> None:
    services = {service["service"]: service for service in report["services"]}
    assert set(services) == {f"{SERVER}/tcp/{port}" for port in (STOPPED_PORT, RUNNING_PORT)}
    for port in (STOPPED_PORT, RUNNING_PORT):
        service = services[f"{SERVER}/tcp/{port}"]
        for name, succeeded in (("clients_ok", True), ("clients_failed", False)):
            clients = [each for each in story.attempts if each.port == port and each.succeeded is succeeded]
            assert service[name] == len(clients), (port, name)
    assert services[f"{SERVER}/tcp/{RUNNING_PORT}"]["clients_failed"] == 0


def test_our_own_probes_are_recognised_in_the_capture(story: Story, report: dict[str, Any]) -> None:
    """By the sources that the census recorded. Without that they are a scan of the whole campus."""
    ours = run("tcpdump", "-n", "-q", "-r", story.capture, "host", SCANNER).stdout.splitlines()
    manifest = Census(story.census).manifest
    assert manifest.source_addresses == [SCANNER]
    probed = json.loads((story.survey / "manifest.json").read_text())["probes"]
    sent = sum(counts["sent"] for counts in probed.values())
    sent += sum(sum(counts.sent) for counts in manifest.probes.values())
    assert len(ours) > sent  # and the replies
    records = [
        json.loads(line)
        for line in run(*LIVENESS, "flows", "cat", "--json", story.capture).stdout.splitlines()
        if f'"{SCANNER}"' in line
    ]
    assert sum(record["packets"] for record in records) == len(ours)
    assert report["records"]["own_probes"] == len(records)
    alone = story.passive("alone")
    assert alone["records"]["own_probes"] == 0
    scans = [each["totals"]["classes"]["MalScan"]["flows"] for each in (report, alone)]
    assert scans[0] <= INTRUDER_TARGETS
    assert scans[1] > 256 + INTRUDER_TARGETS


def test_grey_space_and_two_way_addresses_are_ordinary_sets(story: Story, report: dict[str, Any]) -> None:
    assert report["status"] == "complete"
    sets = story.folder / "out/campus/run/sets"
    two_way = run(*LIVENESS, "sets", "cat", sets / "passive.two-way.source.roaring")
    assert two_way.stdout.split() == [SERVER]
    grey = BitMap.deserialize((sets / "passive.grey.source.roaring").read_bytes())
    first = int(IPv4Address(DARK.partition("/")[0]))
    assert grey == BitMap(range(first, first + INTRUDER_TARGETS))
    census = Census(story.census)
    assert census.union({f"tcp/{STOPPED_PORT}"}, {"syn-ack"}, "source") == BitMap(range(first - 256, first))
    assert not grey & census.union(set(PROBES), {"syn-ack", "rst", "echo-reply"}, "source")
