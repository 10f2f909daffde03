"""A scan whose output is full, closed, or read no more: it goes on, and ends with its own exit code."""

import uuid
from pathlib import Path

import pytest

from tests.census.support import Census
from tests.census.test_interrupt import MARK, await_true, marked
from tests.census.test_robustness import check_true, in_lab

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("compiled")]

QUICK = {"rate": "300pps", "cooldown": "300ms"}


@pytest.mark.parametrize(
    ("how", "printed"),
    [
        ("{scan} >/dev/full; echo ended with $? >&2", "standard output: No space left on device: {run}"),
        ("{scan} >&-; echo ended with $? >&2", "standard output: it is closed: {run}"),
        ("({scan}; echo ended with $? >&2) | :", "standard output: Broken pipe: {run}"),
    ],
    ids=["full", "closed", "gone"],
)
def test_a_finished_scan_names_its_run_where_it_can(tmp_path: Path, how: str, printed: str) -> None:
    done = in_lab(tmp_path, how, **QUICK)
    assert done.stderr == f"liveness: {printed.format(run=tmp_path / 'sets/sturdy/one')}\nended with 0\n"
    check_true(tmp_path)


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", "2>&1 | head -1", "2>&1 | :"])
def test_a_scan_without_a_reader_of_its_output_continues(tmp_path: Path, where: str) -> None:
    """A display that writes a line at the beginning, a reader that leaves: the scan, not quiet, is as it would be."""
    loud = "$(echo '{scan}' | sed 's/ -q / /')"
    script = "(" + loud + "; echo ended with $? >{folder}/code) " + where
    in_lab(tmp_path, script, **QUICK)
    assert (tmp_path / "code").read_text() == "ended with 0\n"
    check_true(tmp_path)


def test_a_pipe_that_closes_in_mid_run_ends_no_scan_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice of a withdrawal finds standard error closed, as ssh leaves it where the connection is lost."""
    mark = str(uuid.uuid4())
    monkeypatch.setenv(MARK, mark)
    (tmp_path / "block.txt").write_text("10.9.0.0/24\n")
    script = """
    mkfifo {folder}/errors
    {scan} 2>{folder}/errors & scan=$!
    exec 3<{folder}/errors
    {begun}
    exec 3<&-
    echo 10.8.0.0/24 >>{folder}/block.txt
    echo 10.2.0.0/30 >>{folder}/block.txt
    wait $scan; echo ended with $? >{folder}/code
    """
    targets = {"allow": ["10.1.0.0/24", "10.2.0.0/25"], "block": [str(tmp_path / "block.txt")]}
    in_lab(tmp_path, script, targets=targets)
    assert (tmp_path / "code").read_text() == "ended with 0\n"
    assert await_true(lambda: not marked(mark)), marked(mark)
    manifest = Census(tmp_path / "sets" / "sturdy" / "one").manifest
    assert (manifest.status, [withdrawal.addresses for withdrawal in manifest.opt_outs.withdrawals]) == (
        "complete",
        [4],
    )
