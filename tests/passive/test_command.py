"""`liveness passive` as people call it: exit codes, messages, resuming, following, sets."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyroaring import BitMap

from liveness.errors import RefusedError, UsageError
from liveness.passive import run as run_module
from liveness.passive.config import load_config
from liveness.passive.directory import hold
from liveness.passive.run import PassiveRun
from tests.passive.drawn import EPOCH_S, SECOND, draw, write_config
from tests.passive.judge import ACK, RST, SYN, TCP, Record, write_csv
from tests.passive.test_judge import run_of

FORBIDDEN_REMOTE = "80.0.0.9"


def liveness(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "liveness", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def one_sided(count: int = 150) -> list[Record]:
    """Return established connections of which only one direction was seen."""
    at = EPOCH_S * SECOND
    return [Record(at, at, FORBIDDEN_REMOTE, "10.0.0.1", 2000 + n, 80, TCP, 5, 400, SYN | ACK) for n in range(count)]


def answered(count: int = 150) -> list[Record]:
    back = [
        Record(r.start + 1, r.end + 1, r.dst, r.src, r.dport, r.sport, TCP, 5, 400, SYN | ACK) for r in one_sided(count)
    ]
    return one_sided(count) + back


def test_a_run_from_the_command_line_to_its_report(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", answered())
    config = write_config(tmp_path / "c.yaml", tmp_path / "out")
    run = Path(liveness("passive", "run", "--config", config, tmp_path / "flows.csv").stdout.strip())
    document = json.loads(liveness("passive", "report", run, "--json").stdout)
    assert document["kind"] == "passive"
    assert document["status"] == "complete"
    assert document["run"] == f"campus/{run.name}"
    assert document["totals"]["two_way"] == {"flows": 150, "packets": 1500, "bytes": 120000}
    assert "Outages" in liveness("passive", "report", run).stdout
    assert FORBIDDEN_REMOTE not in json.dumps(document)
    assert not (run / "work").exists()


def test_sets_of_a_run_are_ordinary_sets(tmp_path: Path) -> None:
    document = run_of(tmp_path, answered(5))
    run = tmp_path / "out/campus/run"
    assert document["status"] == "complete"
    listed = [line.split("\t") for line in liveness("passive", "sets", run).stdout.splitlines()]
    assert [(kind, number) for _, kind, number in listed] == [("two-way", "1")]
    assert liveness("sets", "cat", listed[0][0]).stdout.split() == ["10.0.0.1"]
    assert BitMap.deserialize(Path(listed[0][0]).read_bytes()) == BitMap([10 << 24 | 1])


def test_a_one_sided_capture_is_refused_unless_forced(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", one_sided())
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"])
    refused = liveness("passive", "run", "--config", config, code=4)
    assert "--force" in refused.stderr
    run = Path(liveness("passive", "run", "--config", config, "--force", "--run-id", "forced").stdout.strip())
    document = json.loads(liveness("passive", "report", run, "--json").stdout)
    assert document["symmetry"]["verdict"] == "one-sided"
    assert document["symmetry"]["tcp_inbound_established_unanswered"] == 1.0


def test_too_few_flows_say_nothing_about_symmetry(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", one_sided(99))
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"])
    run = Path(liveness("passive", "run", "--config", config).stdout.strip())
    symmetry = json.loads(liveness("passive", "report", run, "--json").stdout)["symmetry"]
    assert symmetry == {"verdict": "ok", "tcp_inbound_established_unanswered": 1.0, "tcp_inbound_established": 99}


def test_sampled_exports_are_refused_unless_forced(tmp_path: Path) -> None:
    record = struct.pack(">IIIHHIIIIHHBBBBHHBBH", 80 << 24, 10 << 24 | 1, 0, 0, 0, 1, 40, 0, 0, 2000, 80, 0, 2, 6, 0,
                         0, 0, 0, 0, 0)  # fmt: skip
    header = struct.pack(">HHIIIIBBH", 5, 1, 1000, EPOCH_S, 0, 0, 0, 0, 1 << 14 | 100)
    (tmp_path / "sampled.v5").write_bytes(header + record)
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["sampled.v5"])
    refused = liveness("passive", "run", "--config", config, code=4)
    assert "1 of 100 packets" in refused.stderr
    assert "--force" in refused.stderr
    liveness("passive", "run", "--config", config, "--force", "--run-id", "forced")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"locals": ["10.0.0.0/8"]}, "$.locals: "),
        ({"local": []}, "$.local: []: expected the prefixes"),
        ({"local": ["10.0.0.0/33"]}, "$.local[0]: '10.0.0.0/33'"),
        ({"interval": "0s"}, "$.interval: '0s': expected a duration"),
        ({"exclude": ["udp"]}, "$.exclude: 'udp': expected some of multicast"),
        ({"services": {"learn_clients": 0}}, "$.services.learn_clients: 0: expected a whole number, at least 1"),
        (
            {"services": {"known": ["10.0.0.1/80"]}},
            "$.services.known[0]: '10.0.0.1/80': expected ADDRESS/PROTOCOL/PORT",
        ),
        ({"scanners": {"theta": 1}}, "$.scanners.theta: 1: no such field, did you mean 'theta1'?"),
        ({"rules": "nobody"}, "rules nobody: neither shipped (glatz-2011-10) nor a file"),
        ({"inputs": ["nothing/"]}, "nothing: no such file, folder or glob with a match"),
    ],
)
def test_a_wrong_config_is_one_line_with_path_and_value(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", **{"inputs": ["none.csv"], **more})
    (tmp_path / "none.csv").write_text("start,end,src,dst,sport,dport,protocol,packets,bytes,flags,exporter\n")
    done = liveness("passive", "run", "--config", config, code=2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_damage_is_named_and_what_came_before_it_counts(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", answered(20))
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000") + b"\1\2\3")
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv", "cut.pcap"])
    done = liveness("passive", "run", "--config", config, "--run-id", "r", code=5)
    assert "cut.pcap" in done.stderr
    document = json.loads(liveness("passive", "report", tmp_path / "out/campus/r", "--json").stdout)
    assert document["status"] == "partial"
    assert document["totals"]["two_way"]["flows"] == 20


def test_explain_shows_signs_rules_and_class(tmp_path: Path) -> None:
    at = EPOCH_S * SECOND
    records = [*answered(3), Record(at, at, "80.1.1.1", "10.0.0.77", 4444, 23, TCP, 1, 40, SYN)]
    run_of(tmp_path, records, keep_flows=True)
    shown = liveness("passive", "explain", tmp_path / "out/campus/run", "--local", "10.0.0.77").stdout
    assert "80.1.1.1:4444 > 10.0.0.77:23" in shown
    assert "GreyIP Onepkt TCP" in shown
    assert "rule 4, MalScan: GreyIP Onepkt !TRWscan !HCscan !Backsc !ICMP" in shown
    assert "class  MalScan" in shown
    conflict = liveness("passive", "explain", "--signs", "Unreach,Backsc,TCP").stdout
    assert "conflict: rule 11 wins" in conflict
    assert "class SrvUnreach" in conflict


def test_explain_refuses_what_is_no_address_and_says_when_no_flow_is_like_it(tmp_path: Path) -> None:
    run_of(tmp_path, draw(1, hours=1), keep_flows=True)
    run = tmp_path / "out/campus/run"
    for option in ("--local", "--remote"):
        done = liveness("passive", "explain", run, option, "10.0.0", code=2)
        assert done.stderr == f"liveness: error: {option} 10.0.0: expected an IPv4 address such as 198.51.100.7\n"
    done = liveness("passive", "explain", run, "--remote", "192.0.2.1")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "no inbound one-way flow is like this" in done.stderr


def test_explain_needs_kept_flows(tmp_path: Path) -> None:
    run_of(tmp_path, answered(3))
    assert "keep_flows" in liveness("passive", "explain", tmp_path / "out/campus/run", code=2).stderr


def test_analyze_takes_a_passive_run_for_no_run_of_a_census(tmp_path: Path) -> None:
    run_of(tmp_path, answered(3))
    assert "no run here" in liveness("analyze", tmp_path / "out", code=2).stderr


def test_the_page_and_figures_are_of_the_document_and_name_no_remote(tmp_path: Path) -> None:
    document = run_of(tmp_path, draw(0))
    run = tmp_path / "out/campus/run"
    liveness("passive", "report", run, "--html", tmp_path / "page.html", "--figures", tmp_path / "figures")
    page = (tmp_path / "page.html").read_text()
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {
        "classes-flows", "classes-packets", "directions", "signs", "ports", "failed-clients", "outages",
        "grey-space", "exporters",
    }  # fmt: skip
    for text in (page, *(path.read_text() for path in (tmp_path / "figures").iterdir())):
        assert "80.0." not in text
        assert "80.1." not in text
    assert f"{document['totals']['classes']['MalScan']['flows']:,}" in page
    assert document["outages"][0]["services"][0] in page
    assert 'src="http' not in page


def _documents(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / "passive.json").read_text())
    return document


def test_a_killed_run_is_resumed_to_the_same_results(tmp_path: Path) -> None:
    records = draw(5, hours=1)
    wanted = run_of(tmp_path, records, files=3)
    config = tmp_path / "config.yaml"
    script = (
        "import os, sys; from pathlib import Path; from liveness.passive import run as r; from liveness.passive.config "
        "import load_config; from liveness.passive.partitions import Partitions\n"
        "count = 0\n"
        "take = Partitions.take\n"
        "def dying(self, flows):\n"
        "    global count\n"
        "    take(self, flows); self.flush(); count += 1\n"
        "    if count == 2: os._exit(9)\n"
        "Partitions.take = dying\n"
        f"p = r.PassiveRun.create(load_config(Path({str(config)!r})), 'killed', forced=True, note=print)\n"
        "p.go([], follow=False)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 9
    killed = tmp_path / "out/campus/killed"
    assert json.loads((killed / "manifest.json").read_text())["status"] == "running"
    liveness("passive", "run", "--resume", killed)
    found = _documents(killed)
    assert {**found, "run": ""} == {**wanted, "run": ""}
    assert "complete" in liveness("passive", "run", "--resume", killed, code=4).stderr


KILLED_AT_THE_END = """
import os, sys
from pathlib import Path
from liveness.files.directory import Directory
from liveness.passive.config import load_config
from liveness.passive.run import PassiveRun

remove = Directory.remove_tree

def dying(self, name):
    files = sorted(path for path in Path(sys.argv[2], name).iterdir() if path.is_file())
    for path in files[: len(files) // 2] if sys.argv[3] == "during" else ():
        path.unlink()
    if sys.argv[3] == "after":
        remove(self, name)
    os._exit(9)

Directory.remove_tree = dying
run = PassiveRun.create(load_config(Path(sys.argv[1])), "killed", forced=True, note=print)
run.go([], follow=False)
"""


def _killed_at_the_end(tmp_path: Path, config: Path, moment: str) -> Path:
    """Return a run that was killed as it began to remove its records, after half of them, or after all."""
    killed = tmp_path / "out/campus/killed"
    program = [sys.executable, "-c", KILLED_AT_THE_END, str(config), str(killed), moment]
    assert subprocess.run(program, check=False, capture_output=True).returncode == 9
    return killed


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_run_killed_at_its_very_end_keeps_no_remote_address_once_it_is_complete(tmp_path: Path, moment: str) -> None:
    wanted = run_of(tmp_path, draw(5, hours=1), files=2)
    killed = _killed_at_the_end(tmp_path, tmp_path / "config.yaml", moment)
    assert json.loads((killed / "manifest.json").read_text())["status"] == "running"
    assert (killed / "work").exists() == (moment != "after")
    before = {**_documents(killed), "run": ""}
    liveness("passive", "run", "--resume", killed)
    assert not (killed / "work").exists()
    assert {**_documents(killed), "run": ""} == before == {**wanted, "run": ""}
    manifest = json.loads((killed / "manifest.json").read_text())
    whole = json.loads((tmp_path / "out/campus/run/manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert [manifest[key] for key in ("sets", "inputs", "exporters")] == [
        whole[key] for key in ("sets", "inputs", "exporters")
    ]
    assert "complete" in liveness("passive", "run", "--resume", killed, code=4).stderr


def test_a_run_killed_at_its_very_end_is_ended_without_what_it_was_made_from(tmp_path: Path) -> None:
    """Its data on prefixes and censuses are gone. Metrics have its numbers."""
    records = draw(5, hours=1)
    write_csv(tmp_path / "flows.csv", records)
    origins = tmp_path / "p.pfx2as"
    origins.write_text("80.0.0.0\t16\t64500\n")
    config = write_config(
        tmp_path / "config.yaml",
        tmp_path / "out",
        inputs=["flows.csv"],
        prefix_data={"asn": str(origins)},
    )
    killed = _killed_at_the_end(tmp_path, config, "before")
    origins.unlink()
    manifest = json.loads((killed / "manifest.json").read_text())
    manifest["config"]["censuses"] = [str(tmp_path / "gone")]
    (killed / "manifest.json").write_text(json.dumps(manifest))
    document = _documents(killed)
    metrics = tmp_path / "m.prom"
    liveness("passive", "run", "--resume", killed, "--metrics-file", metrics)
    assert not (killed / "work").exists()
    text = metrics.read_text()
    assert 'status="complete"' in text
    for name, number in (
        ("inputs_total", 1), ("records_total", document["records"]["read"]),
        ("intervals_total", len(document["intervals"])), ("services", len(document["services"])),
    ):  # fmt: skip
        assert f'liveness_passive_{name}{{passive="campus"}} {number}' in text
    flows = document["totals"]["two_way"]["flows"]
    assert f'liveness_passive_flows_total{{passive="campus",direction="two-way"}} {flows}' in text


def test_a_run_killed_at_its_very_end_takes_no_further_input(tmp_path: Path) -> None:
    run_of(tmp_path, draw(5, hours=1))
    killed = _killed_at_the_end(tmp_path, tmp_path / "config.yaml", "before")
    more = tmp_path / "more.csv"
    write_csv(more, answered())
    assert "takes no further input" in liveness("passive", "run", "--resume", killed, more, code=4).stderr
    assert not (killed / "work").exists()


def test_a_complete_run_that_still_has_its_records_loses_them(tmp_path: Path) -> None:
    run_of(tmp_path, draw(5, hours=1))
    run = tmp_path / "out/campus/run"
    (run / "work").mkdir()
    (run / "work/1.sightings").write_bytes(b"80.0.0.9")
    liveness("passive", "run", "--resume", run)
    assert not (run / "work").exists()


def test_following_takes_files_as_they_come_and_counts_what_is_late(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["in"], follow=True, lateness="1m")
    process = subprocess.Popen(
        [sys.executable, "-m", "liveness", "passive", "run", "--config", str(config), "--run-id", "live"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    results = tmp_path / "out/campus/live/passive.json"
    try:
        for number in range(6):
            shift = number * 600 * SECOND
            records = [Record(r.start + shift, r.end + shift, r.src, r.dst, r.sport, r.dport, r.protocol, r.packets,
                              r.bytes, r.flags) for r in answered(10)]  # fmt: skip
            hidden = folder / f".{number}"
            write_csv(hidden, records)
            hidden.rename(folder / f"{number}.csv")
        _wait(lambda: results.exists() and len(_documents(results.parent)["intervals"]) >= 2)
        write_csv(folder / "old.csv", answered(10))  # of the first interval, which is finished
        _wait(lambda: _documents(results.parent)["records"]["late"] == 20)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    document = _documents(results.parent)
    assert document["status"] == "complete"
    assert [interval["two_way"]["flows"] for interval in document["intervals"]] == [10] * 6


def _followed(tmp_path: Path, note: Callable[[PassiveRun, Path], None]) -> PassiveRun:
    """Return a run that has followed a folder of three files; `note` is called after each line about one."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        write_csv(folder / name, answered(3))
        os.utime(folder / name, (1, 1))
    config = load_config(write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["in"], follow=True))
    lines: list[str] = []

    def noted(line: str) -> None:
        lines.append(line)
        note(run, folder)

    run = PassiveRun.create(config, "live", forced=True, note=noted)
    run.go([], follow=True)
    (tmp_path / "lines").write_text("\n".join(lines), errors="backslashreplace")
    return run


def test_a_file_that_goes_before_it_is_read_does_not_end_following(tmp_path: Path) -> None:
    def remove(run: PassiveRun, folder: Path) -> None:
        (folder / "b.csv").unlink(missing_ok=True)
        run.stopping = len(run.partitions.journal.inputs) == 2

    run = _followed(tmp_path, remove)
    assert [Path(record.path).name for record in run.partitions.journal.inputs] == ["a.csv", "c.csv"]
    assert f"{tmp_path}/in/b.csv: gone before it was read" in (tmp_path / "lines").read_text().splitlines()
    assert run.manifest.status == "complete"


def test_following_ends_after_the_file_that_is_being_read(tmp_path: Path) -> None:
    run = _followed(tmp_path, lambda run, _folder: setattr(run, "stopping", True))
    assert [Path(record.path).name for record in run.partitions.journal.inputs] == ["a.csv"]
    assert run.manifest.status == "complete"


def _wait(true: Any) -> None:  # noqa: ANN401 - a question
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come")


def test_only_one_process_works_on_a_run(tmp_path: Path) -> None:
    run_of(tmp_path, answered(3))
    run = tmp_path / "out/campus/run"
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "status": "partial"}))
    (run / "work/logs").mkdir(parents=True)
    lock = os.open(run / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert "another process" in liveness("passive", "run", "--resume", run, code=4).stderr
    os.close(lock)


def test_refused_flows_are_two_way_and_fail(tmp_path: Path) -> None:
    at = EPOCH_S * SECOND
    records = [Record(at, at, "80.1.1.1", "10.0.0.1", 4444, 80, TCP, 1, 40, SYN),
               Record(at + 5, at + 5, "10.0.0.1", "80.1.1.1", 80, 4444, TCP, 1, 40, RST | ACK)]  # fmt: skip
    document = run_of(tmp_path, records, services={"known": ["10.0.0.1/tcp/80"]})
    assert document["totals"]["two_way"]["flows"] == 1
    assert document["totals"]["one_way"]["flows"] == 0
    assert document["services"][0]["clients_failed"] == 1
    assert document["dead"] == ["10.0.0.1/tcp/80"]


def test_what_holds_no_flows_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no flows\n")
    config = write_config(tmp_path / "c.yaml", tmp_path / "out")
    failed = liveness("passive", "run", "--config", config, tmp_path / "notes.txt", code=2)
    assert "notes.txt: no flow file that can be read" in failed.stderr
    assert not list(tmp_path.glob("out/*"))
    write_csv(tmp_path / "flows.csv", answered(3))
    liveness(
        "passive", "run", "--config", config, "--run-id", "1", tmp_path / "flows.csv", tmp_path / "notes.txt", code=2
    )
    assert json.loads((tmp_path / "out/campus/1/manifest.json").read_text())["status"] == "partial"
    (tmp_path / "notes.txt").write_text((tmp_path / "flows.csv").read_text())
    liveness("passive", "run", "--resume", tmp_path / "out/campus/1")


def test_a_mistyped_input_does_not_remove_a_run_that_is_resumed(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", answered(3))
    config = load_config(write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"]))
    made = PassiveRun.create(config, "1", forced=True, note=lambda _line: None)
    made.release()
    resumed = PassiveRun.resume(made.path, forced=True, note=lambda _line: None)
    with pytest.raises(UsageError, match="no such file"):
        resumed.go([str(tmp_path / "flaws.csv")], follow=False)
    resumed = PassiveRun.resume(made.path, forced=True, note=lambda _line: None)
    resumed.go([], follow=False)
    assert resumed.manifest.status == "complete"


def test_a_run_that_another_process_completes_meanwhile_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "flows.csv", answered(3))
    config = load_config(write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"]))
    other = PassiveRun.create(config, "1", forced=True, note=lambda _line: None)
    release = PassiveRun.release
    left: list[bool] = []

    def released(run: PassiveRun) -> None:
        if run is other:
            left.append((run.path / "work").exists())
        release(run)

    def held_later(path: Path) -> int:
        other.go([], follow=False)
        return hold(path)

    monkeypatch.setattr(PassiveRun, "release", released)
    monkeypatch.setattr(run_module, "hold", held_later)
    with pytest.raises(RefusedError, match="complete"):
        PassiveRun.resume(other.path, forced=True, note=lambda _line: None)
    assert not any(left)
    assert json.loads((other.path / "manifest.json").read_text())["status"] == "complete"
    with other.path.joinpath("lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_following_needs_an_input(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path / "c.yaml", tmp_path / "out", follow=True))
    with pytest.raises(UsageError, match="no input: name files or folders"):
        PassiveRun.create(config, "1", forced=True, note=lambda _line: None)
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    strange = folder / os.fsdecode(b"caf\xe9.csv")
    write_csv(strange, answered(3))
    with strange.open("ab") as file:
        file.write(b"1700")
    config = write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["in"])
    failed = liveness("passive", "run", "--config", config, "--run-id", "1", "--force", code=5)
    assert "caf\\udce9.csv: line 8 at byte" in failed.stderr
    run = tmp_path / "out/campus/1"
    (record,) = json.loads((run / "manifest.json").read_text())["inputs"]
    assert record["path"] == f"{folder}/caf\\udce9.csv"
    assert "caf\\udce9.csv" in liveness("flows", "info", strange, code=5).stdout
    liveness("flows", "convert", strange, "-o", tmp_path / "flows.parquet", code=5)
    failed = liveness("passive", "run", "--config", config, "--run-id", "2", strange, code=2)
    assert "name its folder" in failed.stderr
    assert not (tmp_path / "out/campus/2").exists()
    failed = liveness("passive", "run", "--config", config, "-o", tmp_path / os.fsdecode(b"\xe9"), code=2)
    assert "no UTF-8" in failed.stderr


def test_a_strange_name_is_read_once(tmp_path: Path) -> None:
    def rename(run: PassiveRun, folder: Path) -> None:
        if (folder / "b.csv").exists():
            (folder / "b.csv").rename(folder / os.fsdecode(b"\xe9.csv"))
        run.stopping = len(run.partitions.journal.inputs) == 3

    run = _followed(tmp_path, rename)
    names = [Path(record.path).name for record in run.partitions.journal.inputs]
    assert names == ["a.csv", "c.csv", "\\udce9.csv"]
    assert not run.inputs.unread([tmp_path / "in" / os.fsdecode(b"\xe9.csv")])


INTERRUPTED = """
import os, signal, sys
from liveness.cli import main
from liveness.passive.inputs import Inputs

read = Inputs.read

def interrupted(inputs, file):
    if file.name == "b.csv":
        os.kill(os.getpid(), signal.SIGINT)
    read(inputs, file)

Inputs.read = interrupted
main.run()
"""
"""The command line, with a Ctrl-C as it begins to read its second input."""


def test_ctrl_c_says_how_to_resume(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write_csv(tmp_path / name, answered(3))
    config = write_config(tmp_path / "c.yaml", tmp_path / "out")
    words = ["passive", "run", "--config", config, "--run-id", "1", tmp_path / "a.csv", tmp_path / "b.csv"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, words)], capture_output=True, text=True, check=False
    )
    run = tmp_path / "out/campus/1"
    assert done.returncode == 130, done
    assert f"what was read is kept in {run}; `liveness passive run --resume {run}` continues it" in done.stderr
    assert "Traceback" not in done.stderr
    liveness("passive", "run", "--resume", run)
    assert json.loads((run / "manifest.json").read_text())["status"] == "complete"
