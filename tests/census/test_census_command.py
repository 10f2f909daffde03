"""`liveness census run`, `list`, `show` and `diff` as cron and people run them, over made-up scans."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from liveness.cli.census import command
from liveness.errors import LivenessError, StoppedEarlyError, UsageError
from liveness.scan.interruption import Interruption
from tests.analysis import brute_force
from tests.census.recurring import TOWN, FakeScanner, Weekly, config_of, quick_page
from tests.census.support import write_yaml
from tests.cli.support import assert_one_line
from tests.cli.support import liveness as run_liveness
from tests.populations import town


@pytest.fixture(autouse=True)
def _quick_page() -> Iterator[None]:
    with quick_page():
        yield


@pytest.fixture
def scanner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeScanner:
    """Put a scanner that sends nothing in the place of the command's."""
    fake = FakeScanner(config_of(tmp_path / "sets"))
    monkeypatch.setattr("liveness.census.scanner.CensusScanner", lambda *_: fake)
    return fake


def census(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def config(folder: Path, **changes: object) -> Path:
    document = {"name": "weekly", "targets": {"allow": ["10.0.0.0/20"]}, "user": config_of(folder).user}
    return write_yaml(folder / "weekly.yaml", document | {"output": str(folder / "sets")} | changes)


def run_ids(folder: Path) -> list[str]:
    return [record.run_id for record in Weekly(folder / "sets").records()]


def test_the_mail_of_cron_is_one_line(tmp_path: Path, scanner: FakeScanner) -> None:
    first = census("run", "-C", config(tmp_path))
    scanner.replies = scanner.replies[:-40]
    second = census("run", "-C", config(tmp_path))
    earlier, later = run_ids(tmp_path)
    documents = [brute_force.run_document(town())["coverage"]["addresses"]["all"]]
    documents.append(msgspec.json.decode((tmp_path / f"sets/weekly/reports/{later}/census.json").read_bytes())["alive"])
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout == (
        f"census weekly/{earlier}: complete, 4,096 targets in 28 s, {documents[0]:,} alive, no losses;"
        f" report in {tmp_path}/sets/weekly/reports/{earlier}\n"
    )
    assert (second.exit_code, second.stderr) == (0, "")
    assert second.stdout == (
        f"census weekly/{later}: complete, 4,096 targets in 28 s, {documents[1]:,} alive"
        f" (+0 -{documents[0] - documents[1]:,} since {earlier}), no losses;"
        f" report in {tmp_path}/sets/weekly/reports/{later}\n"
    )


def test_quiet_cron_sends_no_mail_of_a_success(tmp_path: Path, scanner: FakeScanner) -> None:
    result = census("run", "-q", "-C", config(tmp_path))
    assert (result.exit_code, result.output) == (0, "")
    assert scanner.calls == [f"begin {run_ids(tmp_path)[0]}"]
    scanner.losses = ["the kernel dropped 5 packets"]
    result = census("run", "-q", "-C", config(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "liveness: warning: losses: the kernel dropped 5 packets\n"


def test_what_ends_early_is_reported_with_its_exit_code(tmp_path: Path, scanner: FakeScanner) -> None:
    scanner.interrupted = Interruption("limits.max_runtime of 1h reached")
    with pytest.raises(StoppedEarlyError) as caught:
        census("run", "-q", "-C", config(tmp_path))
    [run_id] = run_ids(tmp_path)
    assert str(caught.value) == (
        f"census weekly/{run_id}: partial (limits.max_runtime of 1h reached), 4,096 targets in 28 s, no losses;"
        " the next call resumes it"
    )
    scanner.interrupted = Interruption("interrupted by SIGTERM", 15)
    result = census("run", "-q", "-C", config(tmp_path))
    assert (result.exit_code, result.stdout) == (143, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"liveness: census weekly/{run_id}: partial (interrupted by SIGTERM), ")


def test_nothing_unfinished(tmp_path: Path, scanner: FakeScanner) -> None:
    result = census("run", "-C", config(tmp_path), "--unfinished")
    assert (result.exit_code, result.output) == (0, "census weekly: nothing unfinished\n")
    assert census("run", "-q", "-C", config(tmp_path), "--unfinished").output == ""
    assert scanner.calls == []
    assert census("run", "-C", config(tmp_path), "--unfinished", "--fresh").exit_code == 2


def test_notifications_go_where_the_config_says(tmp_path: Path, scanner: FakeScanner) -> None:
    message_file = tmp_path / "message.json"
    notify = {"command": f"tee {message_file}", "on": ["drops"]}
    census("run", "-C", config(tmp_path, notify=notify))
    assert not message_file.exists()
    scanner.losses = ["the kernel dropped 5 packets"]
    census("run", "-C", config(tmp_path, notify=notify))
    message = json.loads(message_file.read_bytes())
    assert message["events"] == ["complete", "drops"]
    assert message["alarms"] == ["losses: the kernel dropped 5 packets"]
    assert message["record"]["run_id"] == message["run"] == run_ids(tmp_path)[1]


def past_runs(folder: Path) -> tuple[Weekly, list[str]]:
    """Take three censuses of which one is kept, and a scan by hand."""
    weekly = Weekly(folder / "sets")
    runs = [weekly.taken().run_id]
    scanner = weekly.scanner()
    scanner.replies = [reply for reply in TOWN.replies if reply.source % 5]
    runs.append(weekly.taken(scanner).run_id)
    scanner.begin("by-hand")
    removed = weekly.home.run(runs[0]).path
    for path in sorted(removed.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    removed.rmdir()
    return weekly, runs


def test_list_shows_every_run(tmp_path: Path) -> None:
    weekly, (first, second) = past_runs(tmp_path)
    result = census("list", tmp_path)
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert set(lines) == {"run", f"weekly/{first}", f"weekly/{second}", "weekly/by-hand"}
    assert re.search(rf"weekly/{first} +gone +4,096 .* 28 s +report", lines[f"weekly/{first}"])
    assert re.search(rf"weekly/{second} +complete +4,096 .* 28 s +sets, report", lines[f"weekly/{second}"])
    assert re.search(r"weekly/by-hand +complete +4,096 +- +- +- +- +sets +-", lines["weekly/by-hand"])
    assert "\x1b" not in result.stdout
    document = json.loads(census("list", weekly.home.path, "--json").stdout)
    entries = {entry["run"]: entry for entry in document["runs"]}
    assert set(entries) == set(lines) - {"run"}
    assert entries[f"weekly/{first}"]["directory"] is None
    assert entries[f"weekly/{first}"]["kept"] == ["report"]
    assert entries[f"weekly/{second}"]["record"]["number"] == 2
    assert entries["weekly/by-hand"]["record"] is None


def test_a_damaged_run_is_listed(tmp_path: Path) -> None:
    weekly, (_, second) = past_runs(tmp_path)
    (weekly.home.run(second).path / "manifest.json").write_text("{")
    (entry,) = [
        entry for entry in json.loads(census("list", tmp_path, "--json").stdout)["runs"] if second in entry["run"]
    ]
    assert entry["status"] == "damaged"
    assert "manifest.json: not a JSON document" in entry["damage"]
    assert "damaged" in census("list", tmp_path).stdout


def test_show_prints_the_latest_and_what_is_gone(tmp_path: Path) -> None:
    weekly, (first, second) = past_runs(tmp_path)
    tables = (weekly.home.report(first) / "report.txt").read_text()
    assert census("show", first, "-d", tmp_path).stdout.endswith(tables)
    shown = census("show", f"weekly/{second}", "-d", tmp_path).stdout
    assert shown.startswith(f"census weekly/{second}: complete, ")
    assert "Changes from" in shown
    by_hand = census("show", "by-", "-d", tmp_path).stdout
    assert by_hand.startswith("Run weekly/by-hand")
    assert census("show", "-d", tmp_path).stdout
    document = json.loads(census("show", str(weekly.home.run(second).path), "--json").stdout)
    assert (document["run"], document["record"]["state"]) == (f"weekly/{second}", "reported")


def test_a_report_is_rebuilt(tmp_path: Path) -> None:
    weekly, (_, second) = past_runs(tmp_path)
    third = weekly.taken().run_id
    folder = weekly.home.report(third)
    before = {name: (folder / name).read_bytes() for name in ("report.txt", "report.json")}
    for name in before:
        (folder / name).write_text("of an older version")
    result = census("report", third, "-d", tmp_path)
    assert (result.exit_code, result.output) == (0, f"{folder}\n")
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert f"Changes from weekly/{second} to weekly/{third}" in before["report.txt"].decode()
    with pytest.raises(UsageError, match="by-hand: not a complete run of a census: liveness analyze reports on any"):
        census("report", "by-hand", "-d", tmp_path)


def test_diff_compares_any_two(tmp_path: Path) -> None:
    weekly, (_, second) = past_runs(tmp_path)
    scanner = weekly.scanner()
    third = weekly.taken(scanner).run_id
    document = json.loads(census("diff", third, second, "-d", tmp_path, "--json").stdout)
    few = [reply for reply in TOWN.replies if reply.source % 5]
    assert (document["from"], document["to"]) == (f"weekly/{third}", f"weekly/{second}")
    alive = brute_force.run_document(replace(TOWN, replies=few))["coverage"]["addresses"]["all"]
    then = brute_force.run_document(TOWN)["coverage"]["addresses"]["all"]
    assert (document["born"], document["died"], document["stayed"]) == (0, then - alive, alive)
    rates = document["hit_rates"]["icmp"]
    assert rates["from"] == len({reply.target for reply in TOWN.replies if reply.probe == "icmp"}) / 4096
    assert rates["to"] == len({reply.target for reply in few if reply.probe == "icmp"}) / 4096
    text = census("diff", second, third, "-d", tmp_path).stdout
    assert f"Changes from weekly/{second} to weekly/{third}" in text
    assert "Hit rates" in text


def test_diff_of_runs_without_a_common_probe_says_so(tmp_path: Path) -> None:
    """Zeros would say that nobody was born and nobody died."""
    weekly, (_, second) = past_runs(tmp_path)
    third = weekly.taken(weekly.scanner()).run_id
    run = weekly.home.run(second)
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), probes={}, sets=[]))
    with pytest.raises(UsageError, match=rf"{third}: no target or no probe in common with weekly/{second}$"):
        census("diff", second, third, "-d", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "{0}/nowhere"], "nowhere: no such directory"),
        (["list", "{0}/empty"], "empty: no run here or below"),
        (["show", "nothing", "-d", "{0}"], "'nothing': no such run below"),
        (["show", "20", "-d", "{0}"], "'20' names 2 runs below"),
        (["diff", "{first}", "by-hand", "-d", "{0}"], "this run is gone: only runs with sets can be compared"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    _, (first, _) = past_runs(tmp_path)
    (tmp_path / "empty").mkdir()
    given = [argument.format(tmp_path, first=first) for argument in arguments]
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        census(*given)
    assert "\n" not in str(caught.value)


def test_a_run_without_sets_and_report_is_reported(tmp_path: Path) -> None:
    weekly, (first, _) = past_runs(tmp_path)
    (weekly.home.report(first) / "report.txt").unlink()
    with pytest.raises(UsageError, match="neither the run nor its report lie there any more"):
        census("show", first, "-d", tmp_path)


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sets").write_text("")
    run = run_liveness("census", "run", "-C", config(tmp_path))
    assert_one_line(run, 1, "sets/weekly: cannot lock this census: Not a directory")


def test_no_space_for_the_report_is_one_line(
    tmp_path: Path, scanner: FakeScanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def full(descriptor: int) -> None:
        if "report.txt" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LivenessError, match=r"report\.txt: cannot write: No space left on device"):
        census("run", "-C", config(tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr("liveness.census.scanner.CensusScanner", lambda *_: scanner)
    assert census("run", "-C", config(tmp_path)).exit_code == 0
    assert len(scanner.calls) == 1, "reported, and not scanned again"
