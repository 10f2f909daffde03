"""Checks before a run is resumed: its targets and its config must be those it began with."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from liveness.config.model import Config, TargetLists, to_record
from liveness.errors import RefusedError, UnsupportedError, UsageError
from liveness.order.order import Position
from liveness.runs.checkpoint import Checkpoint, Totals, write_checkpoint
from liveness.runs.losses import Losses, LostSpan
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory
from liveness.scan import run as scan
from liveness.scan.drawing import draw_key
from liveness.scan.plan import Plan
from liveness.scan.receive.replay import plan_of
from liveness.scan.recovery.resume import Resumption, beginning, check_resumable, resume
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.census.recurring import Weekly
from tests.cli.support import assert_one_line, liveness

PREFIXES = ["10.0.0.0/24", "10.0.2.0/24"]
LAGS = [0] * 18  # of nine probes with two attempts
STRETCH = LostSpan(sender=0, block=0, first=50, last=90, lags=LAGS, begins=LAGS, edge=3, share=0.5, lowest=1, highest=9)


def cut_off(folder: Path, **changes: object) -> RunDirectory:
    """Write a run that has begun and never ended; `changes` are fields of the config in its manifest."""
    blocklist = folder / "block.txt"
    blocklist.write_text("10.0.2.7\n")
    config = Config(name="weekly", targets=TargetLists(allow=("10.0.0.0/16",), block=(str(blocklist),)))
    targets = Targets.build(Intervals.from_bounds([10 << 24], [(10 << 24) + 255]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, 40_000, draw_key(config))
    run = RunDirectory.create(folder, "weekly", "2026-11-21T000000Z")
    run.write_key(plan.key)
    run.write_targets(PREFIXES)
    run.write_manifest(
        Manifest(
            name="weekly",
            run_id=run.path.name,
            status="running",
            seed=config.seed,
            config={**to_record(config), **changes},
            started="2026-11-21T00:00:00Z",
            targets=512,
            targets_sha256=run.targets_digest(),
            probes={probe.name: ProbeCounts(sent=[0] * plan.attempts) for probe in plan.probes},
            sets=[],
            control_port=plan.control_port,
            source_addresses=["10.8.0.1"],
            version="9.8.7",
        )
    )
    return run


def test_an_unchanged_run_is_resumed(tmp_path: Path) -> None:
    run = cut_off(tmp_path)
    check_resumable(run.path)
    assert resume(run.path).plan.target_count == 512


@pytest.mark.parametrize("content", ["10.0.0.0/24\n", "10.0.0.0/24\n10.0.3.0/24\n", "8.8.8.0/24\n", ""])
def test_other_targets_are_refused(tmp_path: Path, content: str) -> None:
    run = cut_off(tmp_path)
    (run.path / "targets.txt").write_text(content)
    for act in (check_resumable, resume):
        with pytest.raises(RefusedError, match=r"targets\.txt: changed since the run began: .* begin a new run"):
            act(run.path)
    assert_one_line(liveness("scan", "--resume", run.path), 4, "targets.txt", "changed since the run began")
    assert run.read_manifest().status == "running"


def test_a_run_of_a_version_that_kept_no_digest_continues(tmp_path: Path) -> None:
    run = cut_off(tmp_path)
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), targets_sha256=None))
    (run.path / "targets.txt").write_text("10.0.0.0/24\n")
    assert resume(run.path).plan.target_count == 256


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"from_the_future": 3}, "$.config.from_the_future: 3: no such field"),
        ({"rate": "fast"}, "$.config.rate: 'fast'"),
        ({"network": {"wires": "\x1b[2J"}}, "$.config.network.wires"),
        ({"block_prefix": 99}, "$.config.block_prefix: 99"),
        ({"probes": ["quic"]}, "$.config.probes[0]: 'quic'"),
        ({"retransmit": {"attempts": 10**30}}, "$.config.retransmit.attempts"),
        ({"targets": 5}, "$.config.targets: 5"),
    ],
)
def test_a_config_of_another_version_is_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    run = cut_off(tmp_path, **changes)
    for act in (check_resumable, resume):
        with pytest.raises(UsageError) as refused:
            act(run.path)
        assert words in str(refused.value)
        assert "written by liveness 9.8.7" in str(refused.value)
        assert str(refused.value).isprintable()
    failed = liveness("scan", "--resume", run.path)
    assert_one_line(failed, 2, "manifest.json", "use liveness 9.8.7")
    assert "\x1b" not in failed.err


@pytest.mark.parametrize(
    "change",
    [
        {"positions": [Position(block=0, tick=0)] * 70},
        {"positions": [Position(block=-1, tick=0)]},
        {"positions": [Position(block=10**6, tick=0)]},
        {"positions": [Position(block=0, tick=-1)]},
        {"positions": [Position(block=0, tick=2**62)]},
        {"positions": [Position(block=0, tick=0, lags=[1])]},
        {"sent": [[1]]},
        {"sent": [[-1, 0]] * 9},
        {"rate_pps": -1.0},
        {"totals": Totals(errors=[1])},
        *(
            {"losses": Losses(pending=[msgspec.structs.replace(STRETCH, **damage)])}
            for damage in (
                {"edge": 2**62},
                {"lowest": -1},
                {"highest": 2**32},
                {"lowest": 8, "highest": 7},
                {"lowest": 2**64},
                {"share": -8e5},
                {"share": 1.5},
            )
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_named_and_the_run_begins_again(
    tmp_path: Path, change: dict[str, object]
) -> None:
    run = cut_off(tmp_path)
    first = beginning(plan_of(run, run.read_manifest(), "none"), run.read_manifest())
    write_checkpoint(run.checkpoint_path, first)
    begun = RunDirectory(run.path)
    write_checkpoint(begun.checkpoint_path, msgspec.structs.replace(first, **change))
    resumption = resume(run.path)
    assert resumption.checkpoint.positions == []
    assert len(resumption.damage) == 1
    assert "checkpoint.json: $." in resumption.damage[0]


def test_a_stretch_of_the_run_is_resumed(tmp_path: Path) -> None:
    run = cut_off(tmp_path)
    first = beginning(plan_of(run, run.read_manifest(), "none"), run.read_manifest())
    write_checkpoint(run.checkpoint_path, msgspec.structs.replace(first, losses=Losses(pending=[STRETCH])))
    resumption = resume(run.path)
    assert list(resumption.damage) == []
    assert resumption.checkpoint.losses.pending == [STRETCH]


@pytest.mark.parametrize("fails", ["drop_rights", "on_start"])
def test_a_session_that_cannot_begin_leaves_the_manifest_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """That of a partial run names its sets, and a new one names none."""
    run = cut_off(tmp_path)
    (run.path / "segments").mkdir(exist_ok=True)
    run.write_manifest(msgspec.structs.replace(run.read_manifest(), status="partial"))
    before = (run.path / MANIFEST_FILE).read_bytes()

    def refuse(*_: object) -> None:
        raise UnsupportedError("user: cannot become nobody")

    def going_on(resumption: Resumption, _: object) -> Checkpoint:
        return beginning(resumption.plan, msgspec.structs.replace(resumption.checkpoint.manifest, status="running"))

    monkeypatch.setattr(scan, "decide", lambda *_: None)
    monkeypatch.setattr(scan, "find_way", lambda _: None)
    monkeypatch.setattr(scan, "meet_neighbours", lambda *_: None)
    monkeypatch.setattr(scan, "open_session", lambda *_: SimpleNamespace(identity=None))
    monkeypatch.setattr(scan, "going_on", going_on)
    monkeypatch.setattr(scan, "drop_rights", refuse if fails == "drop_rights" else lambda opened, _: opened)
    with pytest.raises(UnsupportedError, match="cannot become nobody"):
        scan.resume_scan(run.path, on_start=refuse, on_progress=lambda _: None)
    assert (run.path / MANIFEST_FILE).read_bytes() == before


def test_opt_outs_are_applied_whatever_else_the_config_says(tmp_path: Path) -> None:
    run = cut_off(tmp_path, from_the_future=3)
    applied = liveness("blocklist", "apply", run.path)
    assert (applied.code, applied.err) == (0, "")
    (tmp_path / "other").mkdir()
    cut = cut_off(tmp_path / "other", targets={"block": 7})
    assert_one_line(liveness("blocklist", "apply", cut.path), 2, "manifest.json", "$.config", "-b FILE")


def test_a_census_gives_such_a_run_up_and_takes_the_next(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    first = weekly.taken()
    run = weekly.home.run(first.run_id)
    weekly.home.write(msgspec.structs.replace(first, state="begun"))
    manifest = run.read_manifest()
    run.path.joinpath("segments").mkdir(exist_ok=True)
    run.write_manifest(msgspec.structs.replace(manifest, status="partial", config={**manifest.config, "future": 1}))
    taken = weekly.taken()
    assert taken.run_id != first.run_id
    assert any("given up" in line and "$.config.future" in line for line in weekly.warnings)
    given_up = next(record for record in weekly.records() if record.run_id == first.run_id)
    assert given_up.state == "given-up"
