"""A run under watch: notifications as services fail and recover, how it ended, and metrics."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from liveness.errors import UsageError
from liveness.passive import run as run_module
from liveness.passive.config import load_config
from liveness.passive.run import PassiveRun
from liveness.passive.state import State
from liveness.passive.watching import RunWatch
from tests.passive.drawn import EPOCH_S, SECOND, write_config
from tests.passive.judge import ACK, SYN, TCP, Record, write_csv
from tests.passive.test_command import liveness, one_sided

CLIENTS = [f"80.0.1.{n}" for n in range(1, 13)]
SERVICE = "10.0.0.1/tcp/80"
INTERVAL = 600 * SECOND


def interval_of(number: int, *, failing: bool) -> list[Record]:
    """Return what twelve clients and a server say to each other in ten minutes; the clients alone if it fails."""
    at = EPOCH_S // 600 * INTERVAL + number * INTERVAL
    records = []
    for place, client in enumerate(CLIENTS):
        start, port = at + place * SECOND, 2000 + number * 20 + place
        flags = SYN if failing else SYN | ACK
        records.append(Record(start, start, client, "10.0.0.1", port, 80, TCP, 5, 400, flags))
        if not failing:
            records.append(Record(start + 1, start + 1, "10.0.0.1", client, 80, port, TCP, 5, 400, SYN | ACK))
    return records


def recipient(folder: Path) -> list[str]:
    """Return a command that appends the message on its standard input to a file."""
    program = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    return [sys.executable, "-c", program, str(folder / "messages")]


def messages(folder: Path) -> list[dict[str, Any]]:
    path = folder / "messages"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, intervals: list[list[Record]], seen: Callable[[RunWatch], object]
) -> None:
    """Follow a folder that gets a file for each interval, the next one after the results of the one before."""
    monkeypatch.setattr(run_module, "POLL_S", 0.01)
    folder = tmp_path / "in"
    folder.mkdir()
    config = load_config(
        write_config(
            tmp_path / "c.yaml", tmp_path / "out", inputs=["in"], follow=True, lateness="0s",
            notify={"command": recipient(tmp_path)},
        )
    )  # fmt: skip
    waiting = list(enumerate(intervals))

    def note(_line: str) -> None:
        if waiting:
            number, records = waiting.pop(0)
            write_csv(folder / f"{number:02}.csv", records)
            monkeypatch.setattr("liveness.passive.inputs.SETTLED_NS", -(1 << 62))  # as if it was written long ago
        else:
            opened.stopping = True

    with RunWatch(config.notify, config.name, tmp_path, pytest.fail, tmp_path / "m.prom", "127.0.0.1:0") as watch:
        opened = PassiveRun.create(config, "live", forced=True, note=note)
        watch.begin(opened.path, opened.manifest, opened.progress)

        def update(state: State) -> None:
            watch.update(state)
            seen(watch)

        opened.on_state = update
        note("")
        opened.go([], follow=True)


def test_an_outage_is_notified_as_it_begins_and_as_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a client fails where it has no success in a neighbouring interval either: in intervals 6 and 7
    intervals = [interval_of(number, failing=5 <= number <= 8) for number in range(14)]
    served: list[str] = []

    def get(watch: RunWatch) -> None:
        assert watch._endpoint is not None
        with urlopen(f"http://127.0.0.1:{watch._endpoint.port}/metrics", timeout=60) as answer:
            served.append(answer.read().decode())

    follow(tmp_path, monkeypatch, intervals, get)
    found = messages(tmp_path)
    assert [message["events"] for message in found] == [["outage"], ["recovery"], ["complete"]]
    outage, recovery, end = found
    start = interval_of(6, failing=True)[0].start // SECOND
    assert [change["service"] for change in outage["outages"]] == [SERVICE]
    assert outage["outages"][0]["clients"] == 12
    assert (outage["began_to_fail"], outage["failing"]) == (1, 1)
    assert outage["summary"] == f"passive campus/live: {SERVICE} (12 clients) began to fail; 1 service failing"
    assert [change["service"] for change in recovery["recoveries"]] == [SERVICE]
    times = recovery["recoveries"][0]
    assert (_seconds(times["start"]), _seconds(times["end"])) == (start, start + 1200)
    assert recovery["failing"] == 0
    assert end["directory"] == str((tmp_path / "out/campus/live").absolute())
    text = (tmp_path / "messages").read_text()
    assert not any(client in text for client in CLIENTS)
    failing = [_sample(text, "liveness_passive_services_failing{") for text in served]
    assert {0.0, 1.0} == set(failing)
    named = [text for text in served if "liveness_passive_service_failed_clients{" in text]
    assert all(f'service="{SERVICE}"}} 12' in text for text in named)
    assert len(named) == failing.count(1.0)
    last = (tmp_path / "m.prom").read_text()
    assert 'liveness_passive_info{passive="campus",run="live",status="complete"} 1' in last
    assert _sample(last, "liveness_passive_running{") == 0
    assert _sample(last, "liveness_passive_inputs_total{") == 14
    assert _sample(last, "liveness_passive_records_total{") == sum(map(len, intervals))
    assert _sample(last, 'liveness_passive_flows_total{passive="campus",direction="two-way"}') == 120
    assert _sample(last, 'liveness_passive_one_way_flows_total{passive="campus",class="SrvUnreach"}') == 48
    assert not any(client in text for text in served for client in CLIENTS)


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _sample(text: str, beginning: str) -> float:
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(beginning))


def test_a_run_that_is_refused_or_cannot_begin_is_notified(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", one_sided())
    notify = {"command": recipient(tmp_path)}
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"], notify=notify)
    metrics = tmp_path / "m.prom"
    liveness("passive", "run", "--config", config, "--run-id", "r", "--metrics-file", metrics, code=4)
    assert 'run="r",status="refused"' in metrics.read_text()
    assert _sample(metrics.read_text(), "liveness_passive_running{") == 0
    run = tmp_path / "out/campus/r"
    assert "webhook" not in (run / "manifest.json").read_text()
    liveness("passive", "run", "--resume", run, "--config", config, "--force")
    (tmp_path / "flows.csv").unlink()
    liveness("passive", "run", "--config", config, code=UsageError.exit_code)
    refused, resumed, missing = messages(tmp_path)
    assert (refused["events"], refused["exit_code"], refused["run"]) == (["failure"], 4, "r")
    assert (resumed["events"], resumed["exit_code"], resumed["run"]) == (["complete"], 0, "r")
    assert (missing["events"], missing["exit_code"], missing["run"]) == (["failure"], 2, None)
    assert "flows.csv" in missing["summary"]


def test_only_wanted_events_are_notified(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", interval_of(0, failing=False))
    notify = {"command": recipient(tmp_path), "on": ["failure"]}
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"], notify=notify)
    liveness("passive", "run", "--config", config)
    assert messages(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "notify", "message"),
    [
        (["--metrics-file", "m.txt"], {}, "node_exporter reads files that end in .prom only"),
        (["--metrics-address", "nowhere"], {}, "--metrics-address 'nowhere': expected HOST:PORT"),
        ([], {"command": "no-such-program-at-all"}, "$.notify.command: 'no-such-program-at-all': no such program"),
        ([], {"webhook": "gopher://x"}, "$.notify.webhook: 'gopher://x': expected a URL"),
        ([], {"on": ["flood"]}, "$.notify.on[0]: 'flood'"),
    ],
)
def test_wrong_ways_to_watch_are_one_line_and_no_run(
    tmp_path: Path, words: list[str], notify: dict[str, Any], message: str
) -> None:
    write_csv(tmp_path / "flows.csv", interval_of(0, failing=False))
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"], notify=notify)
    done = liveness("passive", "run", "--config", config, *words, code=2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
