"""Metrics: judged by Prometheus' own parser, on disk and by HTTP."""

import http.client
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from liveness.cli.watching import check_metrics_file
from liveness.errors import LivenessError, UsageError
from liveness.watch.endpoint import parse_address
from liveness.watch.exposition import CONTENT_TYPE
from liveness.watch.metrics import metrics_text
from liveness.watch.publishing import MetricsEndpoint, MetricsFile
from tests.census.recurring import TOWN
from tests.watch.readings import progress, reading

SAMPLE = re.compile(r'[a-z_]+\{([a-z]+="(?:[^"\\\n]|\\[\\n"])*"(?:,(?=.))?)+\} -?[0-9.e+]+')

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """Return all samples of a text; judged by Prometheus' parser, and by the rules that it does not enforce."""
    assert text.endswith("\n")
    samples: Samples = {}
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.documentation
        assert family.type in ("counter", "gauge")
        assert family.samples
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples
            assert sample.name.endswith("_total") == (family.type == "counter")
            samples[key] = sample.value
    seen: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("# "):
            seen[line.split()[2]] += 1
        else:
            assert SAMPLE.fullmatch(line), line
            assert seen[line.partition("{")[0]] == 2, "HELP and TYPE stand before the samples"
    return samples


def labels(**named: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(named.items()))


def test_the_text_is_prometheus() -> None:
    found = parsed(metrics_text("weekly", "1", reading(progress(1, 0), progress(11, 100, 25, drops=3)), "running"))
    assert found["liveness_scan_info", labels(census="weekly", run="1", status="running")] == 1
    assert found["liveness_scan_running", labels(census="weekly")] == 1
    assert found["liveness_scan_elapsed_seconds", labels(census="weekly")] == 11
    assert found["liveness_scan_eta_seconds", labels(census="weekly")] == 90
    assert found["liveness_probes_sent_total", labels(census="weekly", probe="tcp/443")] == 200
    assert found["liveness_probes_planned", labels(census="weekly", probe="icmp")] == 1000
    assert found["liveness_replies_total", labels(census="weekly", probe="icmp")] == 25
    assert found["liveness_hit_ratio", labels(census="weekly", probe="icmp")] == 0.25
    assert found["liveness_hit_ratio", labels(census="weekly", probe="tcp/443")] == 0.125
    assert found["liveness_rate_packets_per_second", labels(census="weekly")] == 100
    for where, count in (("kernel", 3), ("interface", 6), ("send", 9)):
        assert found["liveness_drops_total", labels(census="weekly", where=where)] == count
    assert found["liveness_blocks_done", labels(census="weekly")] == 1
    assert found["liveness_scan_paused", labels(census="weekly")] == 0
    paused = metrics_text("weekly", "1", reading(progress(1, 0, problem="no carrier")), "running")
    assert parsed(paused)["liveness_scan_paused", labels(census="weekly")] == 1


def test_odd_names_are_escaped() -> None:
    name = 'a "b" \\ c\nd'
    assert any(("census", name) in key for _, key in parsed(metrics_text(name, "1", reading(progress(1, 1)), "x")))


def test_what_is_not_known_is_left_out() -> None:
    found = parsed(metrics_text("weekly", "1", reading(progress(0, 0)), "running"))
    assert not any(name == "liveness_hit_ratio" for name, _ in found)


def test_the_file_is_replaced_whole_and_for_all_to_read(tmp_path: Path) -> None:
    warnings: list[str] = []
    path = tmp_path / "liveness.prom"
    file = MetricsFile(path, warnings.append)
    before = os.umask(0o077)
    try:
        file.open()
        for moment in range(11):
            file.read(reading(progress(moment, moment), progress(moment + 1, moment + 1)))
        node = path.stat()
        assert node.st_mode & 0o777 == 0o644
        assert parsed(path.read_text())["liveness_scan_elapsed_seconds", labels(census="")] == 11
        file.end(TOWN.manifest())
        file.close()
    finally:
        os.umask(before)
    assert path.stat().st_ino != node.st_ino
    assert parsed(path.read_text())["liveness_scan_running", labels(census="")] == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["liveness.prom"]
    assert warnings == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LivenessError, match="cannot write metrics here: there is no directory"):
        MetricsFile(tmp_path / "no" / "such.prom", lambda _: None).open()
    warnings: list[str] = []
    (tmp_path / "x").mkdir()
    file = MetricsFile(tmp_path / "x" / "liveness.prom", warnings.append)
    file.open()
    (tmp_path / "x" / "liveness.prom").unlink()
    (tmp_path / "x").rmdir()
    for moment in range(20):
        file.read(reading(progress(moment, moment), progress(moment + 1, moment + 1)))
    assert warnings == [f"{tmp_path}/x/liveness.prom: cannot write: No such file or directory"]


@pytest.fixture
def endpoint() -> Iterator[MetricsEndpoint]:
    """Answer at a port of loopback that the kernel chooses."""
    server = MetricsEndpoint("127.0.0.1:0")
    server.open()
    yield server
    server.close()


def fetch(port: int, method: str = "GET", path: str = "/metrics") -> tuple[int, str | None, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("Content-Type"), body


def test_http(endpoint: MetricsEndpoint) -> None:
    endpoint.read(reading(progress(1, 100)))
    status, kind, body = fetch(endpoint.port)
    assert (status, kind) == (200, CONTENT_TYPE)
    assert parsed(body)["liveness_scan_running", labels(census="")] == 1
    assert fetch(endpoint.port, "HEAD")[0] == 200
    assert fetch(endpoint.port, "HEAD")[2] == ""
    assert fetch(endpoint.port, path="/")[0] == 404
    assert fetch(endpoint.port, "POST")[0] == 501
    endpoint.end(TOWN.manifest())
    assert parsed(fetch(endpoint.port)[2])["liveness_scan_running", labels(census="")] == 0


def test_early_requests_are_answered_later(endpoint: MetricsEndpoint) -> None:
    answers: list[int] = []
    early = Thread(target=lambda: answers.append(fetch(endpoint.port)[0]))
    early.start()
    endpoint.read(reading(progress(1, 100)))
    early.join(10)
    assert answers == [200]


def test_a_silent_client_blocks_no_other(endpoint: MetricsEndpoint, capfd: pytest.CaptureFixture[str]) -> None:
    endpoint.read(reading(progress(1, 100)))
    with (
        socket.create_connection(("127.0.0.1", endpoint.port)) as silent,
        socket.create_connection(("127.0.0.1", endpoint.port)) as rude,
    ):
        rude.sendall(b"\xff\x00 nonsense\r\n\r\n")
        assert fetch(endpoint.port)[0] == 200
        silent.sendall(b"GET ")
        assert fetch(endpoint.port)[0] == 200
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_reported(endpoint: MetricsEndpoint) -> None:
    address = f"127.0.0.1:{endpoint.port}"
    with pytest.raises(UsageError, match=f"--metrics-address {address}: cannot listen there: Address already in use"):
        MetricsEndpoint(address).open()


def test_closing_what_never_began() -> None:
    server = MetricsEndpoint("[::1]:0")
    server.open()
    assert server.port > 0
    server.close()
    server.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":9600", ("127.0.0.1", 9600)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),  # noqa: S104 - parsed, not bound
        ("[::1]:9600", ("::1", 9600)),
        ("metrics.example.org:1", ("metrics.example.org", 1)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "9600", "host", "host:", "::1:9600", "host:65536", "host:-1", "host:٣", "[::1]"])
def test_what_is_no_address_is_reported(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected HOST:PORT such as 127\.0\.0\.1:9600, or :9600 for"):
        parse_address(text)


def test_the_last_success_survives_scans_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.prom"
    now = reading(progress(1, 0), progress(11, 100, 25))

    def scanned(status: str) -> str:
        watcher = MetricsFile(path, pytest.fail, "weekly")
        watcher.open()
        waiting = path.read_text()
        watcher._metrics.census = "weekly"
        watcher.read(now)
        watcher.end(msgspec.structs.replace(TOWN.manifest(), status=status))
        return waiting

    name = ("liveness_last_success_timestamp_seconds", labels(census="weekly"))
    assert scanned("partial") == ""
    assert name not in parsed(path.read_text())
    before = time.time()
    scanned("complete")
    success = parsed(path.read_text())[name]
    assert before - 1 <= success <= time.time() + 1
    assert parsed(scanned("partial")) == {name: success}, "an alarm must not lose it while nothing is sent yet"
    assert parsed(path.read_text())[name] == success
    MetricsFile(path, pytest.fail, "other").open()
    assert path.read_text() == ""


@pytest.mark.parametrize("name", ["x.txt", "x", ".prom.bak", "metrics.PROM"])
def test_files_that_node_exporter_does_not_read_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"node_exporter reads files that end in \.prom only: name it .*\.prom"):
        check_metrics_file(tmp_path / name)
    check_metrics_file(tmp_path / "x.prom")
