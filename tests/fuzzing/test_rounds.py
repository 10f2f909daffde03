"""Rounds of campaigns: whose turn it is, what is remembered, and when a reader has changed."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from liveness.errors import one_line
from liveness.space.addresses import format_address
from tests.fuzzing import rounds
from tests.fuzzing.file_campaign import Campaign, emptied
from tests.fuzzing.kinds.kind import FileKind, coin, fixed, flipped
from tests.fuzzing.rounds import State, load, reader_of
from tests.fuzzing.warm_duckdb import OWN_EVERY, Connection, Instance

CODE = '"""Doc."""\n\n\ndef read(path):\n    """Read."""\n    return len(path.read_bytes()) + helper()\n\n\n'
HELPER = "def helper():\n    return 1\n"


def nothing(_path: Path) -> None:
    """Read nothing."""


def raises_for_mutants(path: Path) -> None:
    if path.read_bytes() != b"abc":
        raise ValueError("odd")


def kind_of(name: str, read: Callable[[Path], object] = nothing) -> FileKind:
    return FileKind(name, "a", fixed(b"abc"), flipped, read)


def run(kinds: dict[str, FileKind], mutants: int, folder: Path, seconds: float = 600) -> list[tuple[str, int, int]]:
    """Run rounds with a state file; return kind, first and number of mutants of each turn."""
    turns: list[tuple[str, int, int]] = []

    def report(outcome: Campaign, first: int) -> None:
        turns.append((outcome.kind, first, outcome.mutants))

    path = folder / "state.json"
    rounds.rounds(kinds, mutants, load(path, 1), path, folder, seconds, report)
    return turns


def test_the_kind_with_the_fewest_mutants_has_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TURN_MUTANTS", 20)
    kinds = {name: kind_of(name) for name in ("a", "b")}
    assert run(kinds, 30, tmp_path) == [("a", 0, 20), ("b", 0, 20), ("a", 20, 10), ("b", 20, 10)]
    assert run(kinds, 30, tmp_path) == []
    kinds["c"] = kind_of("c", raises_for_mutants)
    assert run(kinds, 35, tmp_path) == [("c", 0, 20), ("c", 20, 15), ("a", 30, 5), ("b", 30, 5)]
    progress = load(tmp_path / "state.json", 1).kinds["c"]
    assert progress.mutants == 35
    assert list(progress.findings.values()) == [0]


def test_each_kind_has_its_own_surroundings(tmp_path: Path) -> None:
    def lay_out(work: Path) -> None:
        (work / "neighbour").write_bytes(b"")

    def read(path: Path) -> None:
        if not (path.parent / "neighbour").exists():
            raise ValueError("nothing is there")

    kinds = {"a": kind_of("a"), "b": FileKind("b", "a", fixed(b"abc"), flipped, read, surroundings=lay_out)}
    assert [turn[2] for turn in run(kinds, 5, tmp_path)] == [5, 5]
    assert load(tmp_path / "state.json", 1).kinds["b"].findings == {}


def test_no_turn_begins_when_time_is_over(tmp_path: Path) -> None:
    assert run({"a": kind_of("a")}, 10, tmp_path, seconds=0) == []


def test_a_reader_that_has_changed_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"a": kind_of("a"), "b": kind_of("b")}
    run(kinds, 30, tmp_path)
    monkeypatch.setattr(rounds, "reader_of", lambda kind, _folder: "" if kind.name == "a" else "changed")
    state = load(tmp_path / "state.json", 1)
    state.kinds["a"].reader = ""
    rounds.save(state, tmp_path / "state.json")
    assert run(kinds, 30, tmp_path) == [("b", 30, 30)]


def test_changes_of_a_reader_are_those_of_the_code_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PACKAGE", str(tmp_path / "package"))
    source = tmp_path / "package" / "reader.py"
    source.parent.mkdir()

    def digest(code: str) -> str:
        source.write_text(code)
        spec = importlib.util.spec_from_file_location("reader", source)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return reader_of(kind_of("a", module.read), tmp_path / "code")

    first = digest(CODE + HELPER)
    assert digest((CODE + HELPER).replace("Read.", "Read it.") + "# a comment\n") == first
    assert digest((CODE + HELPER).replace("return 1", "return 2")) != first
    (tmp_path / "package" / "other.py").write_text("a = 1\n")
    assert digest(CODE + HELPER) == first


def test_whatever_a_reader_does_with_some_files_only_is_part_of_it(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        if coin(path):
            one_line("a")
        elif not coin(path, 1000):
            format_address(1)

    found = rounds._files_run(kind_of("a", read), emptied(tmp_path / "code"))
    assert {Path(file).name for file in found} == {"errors.py", "addresses.py"}


def test_a_kernel_is_part_of_its_reader(tmp_path: Path) -> None:
    from tests.fuzzing.kinds import all_kinds  # noqa: PLC0415 - loads every reader

    kind = all_kinds()["set text"]
    files = rounds._files_run(kind, emptied(tmp_path / "code"))
    assert {Path(file).name for file in files} >= {"lines.py", "scan.py", "entries.py"}, sorted(files)


def test_readers_share_an_instance_and_nothing_in_it() -> None:
    instance = Instance()
    first, second = instance.connect(":memory:"), instance.connect(":memory:")
    for connection in (first, second):
        connection.execute("SET lock_configuration = true; SET memory_limit = '1GB'")
        connection.execute("CREATE TABLE a AS SELECT 1; CREATE MACRO one() AS 1; CREATE TEMP TABLE b AS SELECT 2")
        assert connection.execute("SELECT * FROM a, b").fetchall() == [(1, 2)]
    first.close()
    assert second.execute("SELECT * FROM a").fetchall() == [(1,)]
    with instance.connect(":memory:") as third:
        with pytest.raises(duckdb.Error, match="does not exist"):
            third.execute("SELECT * FROM a")
        assert third.execute("SELECT current_setting('memory_limit')").fetchall() == [("488.2 MiB",)]


def test_an_instance_that_an_error_has_ended_is_replaced() -> None:
    instance = Instance()
    connection = instance.connect(":memory:")
    instance._shared.close()
    connection._cursor.close()
    connection.close()
    with instance.connect(":memory:") as other:
        assert other.execute("SELECT 1").fetchall() == [(1,)]


def test_some_readers_have_an_instance_of_their_own() -> None:
    instance = Instance()
    found = [instance.connect(":memory:") for _ in range(OWN_EVERY)]
    assert [isinstance(connection, Connection) for connection in found] == [True] * (OWN_EVERY - 1) + [False]


def test_the_state_of_another_seed_is_kept(tmp_path: Path) -> None:
    rounds.save(State(seed=7), tmp_path / "state.json")
    assert load(tmp_path / "state.json", 1).seed == 7
