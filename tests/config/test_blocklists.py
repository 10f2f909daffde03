"""Blocklists that people keep: what is added and taken away, what stays as it is, and whom a line blocks."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.config import blocklists
from liveness.config.blocklists import add, covering, intervals_of, read_list, read_requests, withdraw
from liveness.config.requests import Entry, Reason
from liveness.errors import LivenessError, RefusedError, UsageError
from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals
from liveness.space.prefixes import read_prefixes

REASON = Reason.of("noc@example.net", "asked by mail, politely", "2026-11-22")
LIST = (
    "# Ours, since 2020.\r\n"
    "\n"
    "192.0.2.0/24 # 2026-11-02, abuse@example.net, mail: a hospital\r\n"
    "198.51.100.7\n"
    "203.0.113.16-203.0.113.99\t# no date"
)


def entry(text: str, comment: str = "") -> Entry:
    return Entry("", 0, text, *parse_entry(text), comment)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "block.txt"
    path.write_bytes(LIST.encode())
    return path


def test_entries_have_their_line_their_bounds_and_their_reason(path: Path) -> None:
    entries = read_list(path)
    assert [(entry.place, entry.text, entry.addresses) for entry in entries] == [
        (f"{path}:3", "192.0.2.0/24", 256),
        (f"{path}:4", "198.51.100.7", 1),
        (f"{path}:5", "203.0.113.16-203.0.113.99", 84),
    ]
    assert [entry.reason for entry in entries] == [
        Reason("abuse@example.net", "mail: a hospital", "2026-11-02"),
        None,
        None,
    ]
    assert intervals_of(entries) == read_prefixes(path)


def test_semicolons_begin_comments_of_requests(tmp_path: Path) -> None:
    """As in the lists of others, such as Spamhaus's."""
    (tmp_path / "drop.txt").write_text("; a list of others\n192.0.2.0/24 ; 2026-11-02, a@example.net, mail\n")
    (request,) = read_list(tmp_path / "drop.txt")
    assert (request.text, request.reason) == ("192.0.2.0/24", Reason("a@example.net", "mail", "2026-11-02"))


def test_add_appends_dated_lines_and_leaves_the_rest_alone(path: Path) -> None:
    wanted = [entry("192.0.2.128/25"), entry("203.0.113.0-203.0.113.33"), entry("10.0.0.9", "2020-01-01, x, y")]
    assert add(path, wanted, REASON) == wanted
    assert path.read_bytes() == LIST.encode() + (
        b"\n192.0.2.128/25      # 2026-11-22, noc@example.net, asked by mail, politely\n"
        b"203.0.113.0/27      # 2026-11-22, noc@example.net, asked by mail, politely\n"
        b"203.0.113.32/31     # 2026-11-22, noc@example.net, asked by mail, politely\n"
        b"10.0.0.9/32         # 2020-01-01, x, y\n"
    )
    assert read_list(path)[3].reason == REASON
    assert add(path, wanted, REASON) == []
    assert not list(path.parent.glob(".*"))


def test_a_new_list_begins_with_what_it_is_and_zmap_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    add(path, [entry("10.0.0.1-10.0.0.6")], REASON)
    lines = path.read_text().splitlines()
    assert all(line.startswith("#") for line in lines[:2])
    prefixes = [line.partition("#")[0].strip() for line in lines[2:]]
    assert prefixes == ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]


def test_mode_and_links_stay(path: Path) -> None:
    path.chmod(0o640)
    link = path.with_name("link.txt")
    link.symlink_to(path.name)
    add(link, [entry("10.0.0.0/8")], REASON)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "10.0.0.0/8" in path.read_text()


def test_withdrawing_comments_out_with_a_record_and_undoes_add(path: Path) -> None:
    add(path, [entry("10.0.0.0/8")], REASON)
    with_ten = path.read_bytes()
    removed = withdraw([path], [entry("10.0.0.0/8")], REASON, who="noc@example.net")
    assert [entry.line for entry in removed] == [6]
    assert path.read_bytes() == with_ten.replace(
        b"10.0.0.0/8 ", b"# withdrawn 2026-11-22, noc@example.net, asked by mail, politely: 10.0.0.0/8 "
    )
    with pytest.raises(UsageError, match=r"no line of .* blocks it"):
        withdraw([path], [entry("10.0.0.0/8")], REASON)
    with pytest.raises(UsageError, match=r"block.txt:3 192.0.2.0/24 \(abuse@example.net\) blocks more than that"):
        withdraw([path], [entry("192.0.2.0/28")], REASON)
    with pytest.raises(UsageError, match=r"1 within it: .*block.txt:3 192.0.2.0/24"):
        withdraw([path], [entry("192.0.0.0/8")], REASON)
    assert [request.line for request in withdraw([path], [entry("192.0.0.0/8")], REASON, inside=True)] == [3]
    assert b"mail: a hospital\r\n" in path.read_bytes()
    assert [(request.text, request.who, request.withdrawn) for request in read_requests(path) if request.withdrawn] == [
        ("192.0.2.0/24", "abuse@example.net", Reason("abuse@example.net", REASON.why, REASON.date)),
        ("10.0.0.0/8", "noc@example.net", REASON),
    ]


def test_lines_that_older_versions_removed_are_withdrawn_requests(path: Path) -> None:
    path.write_text(
        "# removed 2026-01-02, noc, moved: away: 10.0.0.0-10.0.0.9 # 2025-01-01, bob, a: b # c\n# note: x\n"
    )
    [request] = read_requests(path)
    assert (request.text, request.who, request.comment) == ("10.0.0.0-10.0.0.9", "bob", "2025-01-01, bob, a: b # c")
    assert request.withdrawn == Reason("noc", "moved: away", "2026-01-02")
    assert read_list(path) == []


@pytest.mark.parametrize(("line", "problem"), [("10.0.0.0/33", "is not a prefix"), ("10.0.0.1/8", "host bits set")])
def test_what_cannot_be_read_is_named_and_nothing_changes(path: Path, line: str, problem: str) -> None:
    path.write_text(f"10.0.0.0/8\n\n{line} # who\n")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=rf"block.txt:3: .*{problem}"):
        add(path, [entry("192.0.2.0/24")], REASON)
    with pytest.raises(UsageError, match=rf"block.txt:3: .*{problem}"):
        withdraw([path], [entry("10.0.0.0/8")], REASON)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("who", "why", "date"), [("a, b", "c", None), ("", "c", None), ("a", "b\nc", None), ("a", "b", "22.11.2026")]
)
def test_reasons_fit_a_comment(who: str, why: str, date: str | None) -> None:
    with pytest.raises(UsageError, match=r"--(who|why|date): "):
        Reason.of(who, why, date)


PREFIXES = st.integers(24, 32).flatmap(
    lambda length: st.integers(0, 2 ** (length - 24) - 1).map(lambda at: f"10.0.0.{at << (32 - length)}/{length}")
)
RANGES = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda pair: f"10.0.0.{pair[0]}-10.0.0.{sum(pair)}")
STEPS = st.tuples(
    st.sampled_from(["add", "remove", "remove all inside"]),
    PREFIXES | RANGES,
    st.sampled_from(["alice", "bob", "carol"]),
    st.booleans(),
)


def prefixes_of(bounds: tuple[int, int]) -> set[tuple[int, int]]:
    return {parse_entry(text) for text in Intervals.from_bounds([bounds[0]], [bounds[1]]).prefixes()}


@given(st.lists(STEPS, max_size=12))
def test_requests_are_a_dictionary_and_what_is_blocked_their_union(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str, bool]]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "list.txt"
    path.touch()
    model: dict[tuple[int, int], set[str]] = {}
    withdrawn = 0
    for action, text, who, named in steps:
        bounds = parse_entry(text)
        parts = prefixes_of(bounds)
        if action == "add":
            add(path, [entry(text)], Reason.of(who, "asked"))
            for part in parts:
                model.setdefault(part, set()).add(who)
        else:
            inside = action == "remove all inside"
            concerned = {part for part in model if bounds[0] <= part[0] and part[1] <= bounds[1]} if inside else parts
            gone = {(part, owner) for part in concerned for owner in model.get(part, ()) if not named or owner == who}
            exact = inside or (all(model.get(part) for part in parts) and len({owner for _, owner in gone}) == 1)
            try:
                done = withdraw([path], [entry(text)], REASON, who=who if named else None, inside=inside)
            except UsageError:
                assert not (gone and exact)
            else:
                assert gone
                assert exact
                assert {((request.first, request.last), request.who) for request in done} == gone
                withdrawn += len(done)
                for part, owner in gone:
                    model[part].discard(owner)
        requests = read_requests(path)
        current = [request for request in requests if request.withdrawn is None]
        assert sorted(request.key for request in current) == sorted(
            (*part, owner) for part in model for owner in model[part]
        )
        assert len(requests) - len(current) == withdrawn
        union = Intervals.from_bounds([p[0] for p in model if model[p]], [p[1] for p in model if model[p]])
        assert intervals_of(current) == union == read_prefixes(path)
        for address in range(parse_entry("10.0.0.0")[0], parse_entry("10.0.0.60")[0], 7):
            lines = [request.line for request in current if request.first <= address <= request.last]
            assert [request.line for request in covering(current, address, address)] == lines


def add_many(path: Path, worker: int) -> None:
    for number in range(20):
        add(path, [entry(f"10.{worker}.{number}.0/24")], REASON)


def test_those_who_add_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "block.txt"
    processes = [multiprocessing.get_context("spawn").Process(target=add_many, args=(path, n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(read_list(path)) == 60


def test_a_lock_that_is_held_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocklists, "LOCK_WAIT_S", 0.0)
    with blocklists._locked([path]), pytest.raises(RefusedError, match="another process edits lists in this folder"):
        add(path, [entry("10.0.0.0/8")], REASON)
    add(path, [entry("10.0.0.0/8")], REASON)


def test_a_full_disk_leaves_the_list(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LivenessError, match=r"block.txt: cannot write: No space left on device"):
        add(path, [entry("10.0.0.0/8")], REASON)
    assert path.read_bytes() == LIST.encode()
    assert [file.name for file in path.parent.iterdir()] == ["block.txt"]
