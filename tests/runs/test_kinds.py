"""Censuses, surveys and passive runs below one directory: each command takes its own, and names those of others."""

from pathlib import Path

import pytest

from tests.cli.support import assert_one_line, liveness
from tests.passive.drawn import write_config
from tests.passive.judge import write_csv
from tests.passive.test_command import answered
from tests.populations import town

SURVEY = """round,time_s,address,probe,state
0,1163000001.0,192.0.2.1,icmp,positive
1,1163000661.0,192.0.2.1,icmp,silent
"""
READERS = {"census": "liveness analyze", "survey": "liveness survey analyze", "passive": "liveness passive report"}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a run of each kind: census, survey, passive."""
    folder = tmp_path_factory.mktemp("kinds")
    town().write(folder / "sets").path.rename(folder / "sets" / "census" / "1")
    (folder / "survey.csv").write_text(SURVEY)
    (folder / "nothing.txt").touch()
    write_csv(folder / "flows.csv", answered(3))
    config = write_config(folder / "passive.yaml", folder / "sets")
    assert liveness("survey", "import", folder / "survey.csv", "-o", folder / "sets" / "survey" / "1").code == 0
    run = liveness("passive", "run", "--config", config, folder / "flows.csv")
    assert run.code == 0, run
    Path(run.out.strip()).rename(folder / "sets" / "passive")
    return folder / "sets"


def run_of(sets: Path, kind: str) -> Path:
    return sets / kind if kind == "passive" else sets / kind / "1"


def test_commands_of_censuses_leave_others_out(sets: Path) -> None:
    for words in (("analyze",), ("census", "list"), ("census", "show", "latest", "--directory")):
        alone, among = liveness(*words, sets / "census"), liveness(*words, sets)
        assert (among.code, among.err) == (0, alone.err), among
        assert among.out == alone.out
    applied = liveness("blocklist", "add", "192.0.2.0/24", "-b", sets.parent / "blocked.txt")
    assert applied.code == 0
    applied = liveness("blocklist", "apply", sets, "-b", sets.parent / "blocked.txt")
    assert (applied.code, applied.err) == (0, "")


@pytest.mark.parametrize("kind", ["census", "survey", "passive"])
@pytest.mark.parametrize(
    ("words", "own"),
    [
        (("analyze",), "census"),
        (("census", "list"), "census"),
        (("census", "show"), "census"),
        (("blocklist", "apply", "-b", "nothing.txt"), "census survey"),
        (("scan", "--resume"), "census"),
        (("survey", "analyze"), "survey"),
        (("survey", "export"), "survey"),
        (("passive", "report"), "passive"),
        (("passive", "sets"), "passive"),
    ],
)
def test_a_run_of_another_kind_is_named_with_its_command(
    sets: Path, words: tuple[str, ...], own: str, kind: str
) -> None:
    run = run_of(sets, kind)
    done = liveness(*words, run, cwd=sets.parent)
    if kind in own.split():
        assert ", not a " not in done.err, done
    else:
        assert_one_line(done, 2, f"{run}: a {'passive run' if kind == 'passive' else kind}, not a ", READERS[kind])


@pytest.mark.parametrize(
    "words",
    [
        ("analyze",),
        ("replay", "--run"),
        ("census", "list"),
        ("lab", "check"),
        ("survey", "analyze"),
        ("survey", "export"),
        ("passive", "report"),
        ("passive", "sets"),
    ],
)
def test_a_directory_that_is_missing_is_no_run_without_a_manifest(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert_one_line(liveness(*words, tmp_path / "missing"), 2, "missing: no such directory")


def test_an_unknown_kind_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema": 1, "kind": "\\u001b[2J' + "x" * 1000 + '"}')
    assert_one_line(liveness("analyze", tmp_path), 2, r"a run of the kind '\x1b[2Jxxx", "…", "not a census")
    assert "xxxx" * 20 not in liveness("analyze", tmp_path).err
