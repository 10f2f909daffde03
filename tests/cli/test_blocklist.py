"""``liveness blocklist`` as people use it: exit codes, output, one line for what is wrong."""

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from liveness.errors import LivenessError
from liveness.optouts import applying, redaction
from liveness.runs.optout_record import Application
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals
from tests.cli.support import assert_one_line, liveness
from tests.populations import town

PLAIN = "10.0.0.0/8 # 2026-11-02, abuse@example.net, mail\n192.0.2.7\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "blocklist.txt").write_text(PLAIN)
    (tmp_path / "more.txt").write_text("198.51.100.0/24 # 2026-11-03, x, y\n")
    (tmp_path / "census.yaml").write_text(
        "name: c\ntargets: {allow: [0.0.0.0/0], block: [172.16.0.0/12, more.txt, blocklist.txt]}\n"
    )
    return tmp_path


def test_add_list_remove_and_list_again(folder: Path) -> None:
    for _ in range(2):
        added = liveness("blocklist", "add", "203.0.113.9", "10.0.0.0/8", "--who", "x", "--why", "y z", cwd=folder)
        assert (added.code, added.err) == (0, "")
    assert added.out == "blocklist.txt: 2 of 2 asked for already by the same person\n"
    listed = json.loads(liveness("blocklist", "list", "--json", cwd=folder).out)
    assert listed["addresses"] == 2**24 + 2
    assert [(row["line"], row["entry"], row["who"], row["why"]) for row in listed["entries"]] == [
        (1, "10.0.0.0/8", "abuse@example.net", "mail"),
        (2, "192.0.2.7", None, None),
        (3, "203.0.113.9/32", "x", "y z"),
        (4, "10.0.0.0/8", "x", "y z"),
    ]
    removed = liveness("blocklist", "remove", "203.0.113.9", "--date", "2026-12-01", cwd=folder)
    assert (removed.code, removed.out) == (0, "blocklist.txt:3: 203.0.113.9/32 removed (x)\n")
    assert (folder / "blocklist.txt").read_text().startswith(PLAIN)
    assert (
        (folder / "blocklist.txt")
        .read_text()
        .splitlines()[2]
        .startswith("# withdrawn 2026-12-01, x, no longer opted out: 203.0.113.9/32 ")
    )
    plain = liveness("blocklist", "list", cwd=folder)
    assert plain.err == "3 requests, 1 withdrawn; 16,777,217 addresses\n"
    assert plain.out.startswith("blocklist.txt:1: 10.0.0.0/8             16,777,216  # 2026-11-02, abuse@example.net")


def test_check_shows_file_and_line(folder: Path) -> None:
    asked = ("10.2.3.4", "198.51.0.0/16", "172.20.0.1", "8.8.8.8")
    checked = liveness("blocklist", "check", *asked, "-C", "census.yaml", cwd=folder)
    assert (checked.code, checked.err) == (1, "")
    assert checked.out.splitlines() == [
        "10.2.3.4: blocked; special-purpose (10.0.0.0/8), never probed",
        f"  {folder}/blocklist.txt:1: 10.0.0.0/8  # 2026-11-02, abuse@example.net, mail",
        "198.51.0.0/16: blocked in part, 256 of 65,536 addresses",
        f"  {folder}/more.txt:1: 198.51.100.0/24  # 2026-11-03, x, y",
        "172.20.0.1: blocked; special-purpose (172.16.0.0/12), never probed",
        "  census.yaml: $.targets.block[0]: 172.16.0.0/12",
        "8.8.8.8: not blocked",
    ]
    assert liveness("blocklist", "check", "10.2.3.4", "-b", "blocklist.txt", cwd=folder).code == 0


def test_import_takes_what_is_new_from_files_and_standard_input(folder: Path) -> None:
    source = "10.3.0.0/16\n203.0.113.0-203.0.113.3 # kept as it is\n198.51.100.0/25\n10.3.0.0/16\n"
    done = liveness("blocklist", "import", "-", "more.txt", "--who", "x", cwd=folder, stdin=source)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "blocklist.txt: 1 of 5 asked for already by the same person"
    lines = (folder / "blocklist.txt").read_text().splitlines()
    assert [line.partition(" ")[0] for line in lines[2:]] == [
        "10.3.0.0/16",
        "203.0.113.0/30",
        "198.51.100.0/25",
        "198.51.100.0/24",
    ]
    assert lines[3::2] == ["203.0.113.0/30      # kept as it is", "198.51.100.0/24     # 2026-11-03, x, y"]
    wrong = liveness("blocklist", "import", "-", cwd=folder, stdin="1.2.3.4\n2001:db8::1\n")
    assert_one_line(wrong, 2, "standard input:2: ", "2001:db8::1")
    assert (folder / "blocklist.txt").read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("add", "10.0.0.1/8"), ("10.0.0.1/8", "host bits set")),
        (("add", "10.0.0.0/8", "--who", "a,b"), ("--who", "without commas")),
        (("remove", "192.0.2.0/30", "-b", "more.txt"), ("no line of more.txt blocks it",)),
        (("remove", "10.0.0.0/30"), ("blocklist.txt:1", "blocks more than that")),
        (("list", "-b", "gone.txt"), ("gone.txt: cannot read the blocklist: no such file",)),
        (("add", "1.2.3.4", "-b", "no/where.txt"), ("no/where.txt: cannot edit this blocklist: No such file",)),
        (("apply", "."), ("no run here or below",)),
    ],
)
def test_mistakes_are_one_line(folder: Path, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert_one_line(liveness("blocklist", *arguments, cwd=folder), 2, *parts)
    assert (folder / "blocklist.txt").read_text() == PLAIN


def test_without_a_list_the_options_are_named(tmp_path: Path) -> None:
    assert_one_line(liveness("blocklist", "check", "1.2.3.4", cwd=tmp_path), 2, "no blocklist.txt here", "-b FILE")


def test_a_request_inside_a_blocked_prefix_outlives_the_wider_one(folder: Path) -> None:
    assert liveness("blocklist", "add", "192.0.2.0/24", "--who", "alice", cwd=folder).code == 0
    assert liveness("blocklist", "add", "192.0.2.128/25", "--who", "bob", "--why", "mail", cwd=folder).code == 0
    removed = liveness("blocklist", "remove", "192.0.2.0/24", cwd=folder)
    assert removed.out.splitlines() == [
        "blocklist.txt:3: 192.0.2.0/24 removed (alice)",
        (
            "192.0.2.0/24: still blocked, whole or in part, by blocklist.txt:2 192.0.2.7 (unknown),"
            " blocklist.txt:4 192.0.2.128/25 (bob)"
        ),
    ]
    assert liveness("blocklist", "check", "192.0.2.200", cwd=folder).code == 0
    assert liveness("blocklist", "check", "192.0.2.1", cwd=folder).code == 1
    document = json.loads(liveness("blocklist", "list", "--json", cwd=folder).out)
    assert [(row["entry"], row["who"], row["withdrawn"]["who"]) for row in document["withdrawn"]] == [
        ("192.0.2.0/24", "alice", "alice")
    ]


def test_a_supernet_withdraws_nobody_unless_insisted(folder: Path) -> None:
    before = (folder / "blocklist.txt").read_text()
    refused = liveness("blocklist", "remove", "0.0.0.0/0", cwd=folder)
    assert_one_line(refused, 2, "2 within it", "blocklist.txt:1 10.0.0.0/8 (abuse@example.net)", "--all-inside")
    assert (folder / "blocklist.txt").read_text() == before
    assert liveness("blocklist", "remove", "0.0.0.0/0", "--all-inside", cwd=folder).code == 0
    assert json.loads(liveness("blocklist", "list", "--json", cwd=folder).out)["addresses"] == 0
    listed = liveness("blocklist", "list", "--all", cwd=folder)
    assert "(withdrawn " in listed.out
    assert listed.err == "0 requests, 2 withdrawn; 0 addresses\n"


def test_what_several_people_asked_for_is_withdrawn_by_name(folder: Path) -> None:
    for who in ("alice", "bob"):
        liveness("blocklist", "add", "198.51.100.0/24", "--who", who, cwd=folder)
    unnamed = liveness("blocklist", "remove", "198.51.100.0/24", cwd=folder)
    assert_one_line(unnamed, 2, "several people", "(alice)", "(bob)", "--who")
    assert_one_line(liveness("blocklist", "remove", "198.51.100.0/24", "--who", "carol", cwd=folder), 2, "by carol")
    assert liveness("blocklist", "remove", "198.51.100.0/24", "--who", "bob", cwd=folder).code == 0
    assert liveness("blocklist", "check", "198.51.100.0/24", cwd=folder).code == 0


def test_the_starting_config_has_a_blocklist_to_add_to(tmp_path: Path) -> None:
    (tmp_path / "census.yaml").write_text(liveness("config", "init", cwd=tmp_path).out)
    assert (tmp_path / "blocklist.txt").is_file()
    (tmp_path / "blocklist.txt").unlink()  # as if the config had been copied here
    added = liveness("blocklist", "add", "192.0.2.0/28", "-C", "census.yaml", "--who", "x", cwd=tmp_path)
    assert (added.code, added.out) == (0, f"{tmp_path}/blocklist.txt: 192.0.2.0/28 added\n")
    assert liveness("blocklist", "check", "192.0.2.3", "-C", "census.yaml", cwd=tmp_path).code == 0


def test_apply_continues_past_runs_that_are_locked_or_damaged(tmp_path: Path) -> None:
    runs = [replace(town(), run_id=str(number)).write(tmp_path / "sets") for number in range(4)]
    for run in runs:
        run.write_targets(["10.0.0.0/20"])
    damaged = runs[1].path / runs[1].read_manifest().sets[0].file
    damaged.write_bytes(b"")
    lock = runs[2].lock()
    (tmp_path / "b.txt").write_text("10.0.0.0/24\n")
    done = liveness("blocklist", "apply", "sets", "-b", "b.txt", cwd=tmp_path)
    again = liveness("blocklist", "apply", "sets", "-b", "b.txt", "--json", cwd=tmp_path)
    os.close(lock)
    assert done.code == again.code == 1
    assert [len(run.read_manifest().opt_outs.applied) for run in runs] == [1, 0, 0, 1]
    warnings = done.err.splitlines()
    assert damaged.name in warnings[0]
    assert "a scan is at work on this run" in warnings[1]
    assert "2 of 4 runs left as before, their opted-out data still in them" in warnings[-1]
    assert ["problem" in load for load in json.loads(again.out)] == [False, True, True, False]
    assert liveness("blocklist", "apply", str(runs[1].path), "-b", "b.txt", cwd=tmp_path).code == 1
    missing = liveness("blocklist", "apply", "sets", "-b", "none.txt", cwd=tmp_path)
    assert_one_line(missing, 2)


def test_apply_continues_past_a_run_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [replace(town(), run_id=str(number)).write(tmp_path / "sets") for number in range(3)]
    for run in runs:
        run.write_targets(["10.0.0.0/20"])
    (tmp_path / "b.txt").write_text("10.0.0.0/24\n")
    redact = redaction.redact_run

    def full(run: RunDirectory, blocked: Intervals, lists: Sequence[Path]) -> Application:
        if run.path == runs[1].path:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return redact(run, blocked, lists)

    monkeypatch.setattr(applying, "redact_run", full)
    done = list(applying.apply_lists([tmp_path / "sets"], [tmp_path / "b.txt"]))
    assert [each.changed for each in done] == [True, False, True]
    assert str(done[1].problem) == f"{runs[1].path}: opted-out data cannot be removed: No space left on device"
    with pytest.raises(LivenessError, match="No space left"):
        list(applying.apply_lists([runs[1].path], [tmp_path / "b.txt"]))


def test_apply_takes_the_lists_of_a_config_of_another_version(tmp_path: Path) -> None:
    run = town().write(tmp_path / "sets")
    run.write_targets(["10.0.0.0/20"])
    (tmp_path / "b.txt").write_text("10.0.0.0/24\n")
    config = {"from_the_future": 3, "targets": {"allow": ["10.0.0.0/8"], "block": [str(tmp_path / "b.txt")]}}
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), config=config, version="9.8.7"))
    done = liveness("blocklist", "apply", run.path)
    assert (done.code, done.err) == (0, "")
    assert len(run.read_manifest().opt_outs.applied) == 1


def test_comments_of_a_list_move_no_cursor(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("10.0.0.0/8 # 2026-01-02, \x1b[2Jme, asked\n")
    for words in (("list",), ("check", "10.0.0.1")):
        shown = liveness("blocklist", *words, "-b", tmp_path / "b.txt")
        assert "\x1b" not in shown.out
        assert "\\x1b[2Jme" in shown.out
