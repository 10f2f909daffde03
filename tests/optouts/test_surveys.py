"""Opt-outs applied to surveys: no bit of an opted-out address is left, all others stay, and the counts are right."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.errors import LivenessError, RefusedError, UsageError
from liveness.files.directory import Directory
from liveness.optouts import redacted_survey
from liveness.optouts.applying import apply_lists
from liveness.optouts.redaction import redact_run
from liveness.optouts.stage import STAGE
from liveness.planes.blocks import Blocks
from liveness.planes.delays import DELAY, delays_name
from liveness.planes.live import ROUNDS_FOLDER
from liveness.planes.manifest import ProbeRounds, SurveyManifest, Times, Withdrawn, load_manifest, write_manifest
from liveness.planes.matrix import PLANES, Planes, plane_name, write_phases, write_planes
from liveness.planes.rundir import SurveyRun, create_run
from liveness.runs.optout_record import load_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import parse_address
from liveness.space.prefixes import parse_lines
from liveness.survey.session import Observers, check_resumable, resume_survey
from tests.populations import town

ROUNDS = 11
BLOCKS = ("10.1.0.0", "10.1.1.0", "10.7.0.0")
PROBES = ("icmp", "tcp/80")
LISTED = ("10.1.0.3", "10.1.0.250-10.1.1.6", "10.9.0.0/16")


def survey_on_disk(path: Path) -> dict[str, Planes]:
    """Write a survey with random bits; two addresses were withdrawn in round 4. Returns its planes."""
    blocks = Blocks.of(np.array([parse_address(first) >> 8 for first in BLOCKS], np.uint32))
    create_run(path, blocks)
    chance = np.random.default_rng(5)
    addresses, planes = 256 * len(blocks), {}
    for probe in PROBES:
        sent = chance.random((addresses, ROUNDS)) < 0.9
        sent[3:5, 4:] = False
        bits = [sent, *(sent & (chance.random(sent.shape) < 0.3) for _ in PLANES[1:])]
        planes[probe] = Planes(ROUNDS, *(np.packbits(plane, axis=1, bitorder="little") for plane in bits))
        write_planes(path, probe, iter([planes[probe]]))
    write_phases(path, np.arange(addresses, dtype=np.uint32))
    (path / ROUNDS_FOLDER).mkdir()
    withdrawn = 2 * (ROUNDS - 4)
    write_manifest(
        SurveyManifest(
            name="s",
            run_id=path.name,
            status="partial",
            interval_s=60.0,
            survey=Times(start="2026-11-01T00:00:00.000Z"),
            start_ns=1_793_491_200_000_000_000,
            rounds=ROUNDS,
            blocks=len(blocks),
            probes={probe: counted(planes[probe], withdrawn) for probe in PROBES},
            withdrawn=[Withdrawn(first="10.1.0.3", last="10.1.0.4", round=4)],
        ),
        path,
    )
    return planes


def counted(planes: Planes, withdrawn: int) -> ProbeRounds:
    bits = {plane: int(np.unpackbits(getattr(planes, plane)).sum()) for plane in PLANES}
    return ProbeRounds(**bits, withdrawn=withdrawn, not_sent=len(planes.sent) * ROUNDS - bits["sent"] - withdrawn)


def gone_of(path: Path) -> NDArray[np.bool_]:
    return parse_lines(LISTED).contains(SurveyRun.open(path).blocks.addresses)


def content(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_no_bit_of_an_opted_out_address_is_left(tmp_path: Path) -> None:
    run = tmp_path / "run"
    planes = survey_on_disk(run)
    (tmp_path / "list.txt").write_text("".join(f"{entry}\n" for entry in LISTED))
    done = redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    gone = gone_of(run)
    assert done.targets == gone.sum() == 14
    for probe in PROBES:
        for plane in PLANES:
            bits = getattr(planes[probe], plane)
            bits[gone] = 0
            assert (run / plane_name(probe, plane)).read_bytes() == bits.tobytes()
    withdrawn = 14 * ROUNDS + (ROUNDS - 4)  # of 10.1.0.4 as before
    manifest = load_manifest(run)
    assert manifest.probes == {probe: counted(planes[probe], withdrawn) for probe in PROBES}
    assert [(entry.first, entry.last, entry.round) for entry in manifest.withdrawn] == [
        ("10.1.0.3", "10.1.0.3", 0),
        ("10.1.0.4", "10.1.0.4", 4),
        ("10.1.0.250", "10.1.1.6", 0),
    ]
    assert len(done.sets) == len(PROBES) * len(PLANES)
    assert all(change.before > change.after > 0 for change in done.sets)
    assert load_opt_outs(run).opt_outs.applied == [done]
    assert not (run / ROUNDS_FOLDER).exists(), "live planes have the bits too"
    assert not [path for path in run.iterdir() if path.name.startswith(".")]

    before = content(run)
    again = redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    assert (again.targets, again.sets) == (0, [])
    assert content(run) == before


def test_a_survey_that_cannot_be_redacted_is_as_it_was(tmp_path: Path) -> None:
    run = tmp_path / "run"
    survey_on_disk(run)
    (tmp_path / "list.txt").write_text("")
    lock = RunDirectory(run).lock()
    with pytest.raises(RefusedError, match="a scan is at work on this run"):
        redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    os.close(lock)
    (run / plane_name("tcp/80", "late")).write_bytes(b"x")
    before = content(run)
    with pytest.raises(LivenessError, match=r"tcp-80\.late\.bits: 1 bytes, where the manifest's"):
        redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    assert content(run) == before


def test_a_survey_that_was_killed_after_it_was_resumed_keeps_its_last_rounds(tmp_path: Path) -> None:
    run = tmp_path / "run"
    survey_on_disk(run)
    (run / ROUNDS_FOLDER / "live").write_bytes(b"days")
    write_manifest(msgspec.structs.replace(load_manifest(run), status="running"), run)
    (tmp_path / "list.txt").write_text("")
    os.close(RunDirectory(run).lock())
    before = content(run)
    with pytest.raises(LivenessError, match=r"this survey was killed: `liveness survey run --resume` continues it"):
        redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    assert content(run) == before
    (run / ROUNDS_FOLDER / "live").unlink()
    (run / ROUNDS_FOLDER).rmdir()  # a copy in a store has no live planes
    assert redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"]).targets == 14


def test_addresses_that_never_were_targets_leave_a_survey_as_it_was(tmp_path: Path) -> None:
    """A survey has whole /24s: what its own blocklist kept from being probed is withdrawn from round 0."""
    run = tmp_path / "run"
    planes = survey_on_disk(run)
    never = slice(16, 24)
    for probe in PROBES:
        for plane in PLANES:
            getattr(planes[probe], plane)[never] = 0
        write_planes(run, probe, iter([planes[probe]]))
    manifest = load_manifest(run)
    withdrawn = [*manifest.withdrawn, Withdrawn(first="10.1.0.16", last="10.1.0.23", round=0)]
    write_manifest(msgspec.structs.replace(manifest, withdrawn=withdrawn), run)
    (tmp_path / "list.txt").write_text("10.1.0.16/29\n")
    os.close(RunDirectory(run).lock())
    before = content(run)
    done = redact_run(RunDirectory(run), parse_lines(["10.1.0.16/29"]), [tmp_path / "list.txt"])
    assert (done.targets, done.sets) == (0, [])
    assert content(run) == before
    assert (run / ROUNDS_FOLDER).is_dir(), "it can be resumed"
    done = redact_run(RunDirectory(run), parse_lines(["10.1.0.16/28"]), [tmp_path / "list.txt"])
    assert done.targets == 8
    assert list(load_opt_outs(run).withdrawn.entries()) == ["10.1.0.24/29"]
    assert not (run / ROUNDS_FOLDER).exists()


def test_no_round_trip_time_of_an_opted_out_address_is_left(tmp_path: Path) -> None:
    """Imported surveys have them, by the row of each address."""
    run = tmp_path / "run"
    survey_on_disk(run)
    write_manifest(msgspec.structs.replace(load_manifest(run), delays=["icmp"]), run)
    (run / "delays").mkdir()
    gone = gone_of(run)
    times = np.zeros(5 * len(gone), DELAY)
    times["row"] = np.random.default_rng(6).integers(0, len(gone), len(times))
    times["rtt_us"] = np.arange(len(times))
    (run / delays_name("icmp")).write_bytes(times.tobytes())
    (tmp_path / "list.txt").write_text("")
    done = redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    left = times[~gone[times["row"]]]
    assert (run / delays_name("icmp")).read_bytes() == left.tobytes()
    assert [(one.file, one.before, one.after) for one in done.logs] == [(delays_name("icmp"), len(times), len(left))]
    before = content(run)
    assert redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"]).logs == []
    assert content(run) == before


@pytest.mark.parametrize("act", ["resume", "check", "apply"])
def test_a_removal_that_was_cut_short_is_finished_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Live planes that were left would bring the bits back, and the old planes would take the place of newer ones."""
    run = tmp_path / "run"
    survey_on_disk(run)
    (tmp_path / "list.txt").write_text("")

    def killed(_: RunDirectory) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(redacted_survey, "finish_redaction", killed)
        with pytest.raises(KeyboardInterrupt):
            redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    assert (run / STAGE / "moves.json").is_file()
    if act == "apply":
        assert redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"]).targets == 0
    else:
        with pytest.raises(UsageError, match="no rounds to resume from"):
            check_resumable(run) if act == "check" else resume_survey(run, Observers(lambda *_: None, lambda _: None))
    assert not (run / STAGE).exists()
    assert not (run / ROUNDS_FOLDER).exists()
    assert load_opt_outs(run).opt_outs.targets == 14
    with SurveyRun.open(run).matrix() as matrix:
        assert not matrix.planes("icmp", 0, len(BLOCKS)).sent[gone_of(run)].any()


@pytest.mark.parametrize("act", ["resume", "check"])
def test_a_removal_is_finished_also_where_it_was_cut_short_when_the_rounds_were_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    run = tmp_path / "run"
    survey_on_disk(run)
    (tmp_path / "list.txt").write_text("")
    remove_tree = Directory.remove_tree

    def killed(files: Directory, name: str) -> None:
        remove_tree(files, name)
        if name == ROUNDS_FOLDER:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Directory, "remove_tree", killed)
        with pytest.raises(KeyboardInterrupt):
            redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    assert (run / STAGE / "moves.json").is_file()
    assert not (run / ROUNDS_FOLDER).exists()
    with pytest.raises(UsageError, match="no rounds to resume from"):
        check_resumable(run) if act == "check" else resume_survey(run, Observers(lambda *_: None, lambda _: None))
    assert not (run / STAGE).exists()


def test_surveys_below_a_folder_lose_what_their_own_lists_block(tmp_path: Path) -> None:
    town().write(tmp_path / "sets")
    (tmp_path / "list.txt").write_text("".join(f"{entry}\n" for entry in LISTED))
    for name, block in (("a", [str(tmp_path / "list.txt")]), ("b", [])):
        run = tmp_path / "sets" / "weeks" / name
        run.parent.mkdir(exist_ok=True)
        survey_on_disk(run)
        write_manifest(msgspec.structs.replace(load_manifest(run), config={"targets": {"block": block}}), run)
    done = {each.run.name: each for each in apply_lists([tmp_path / "sets"], None)}
    assert len(done) == 3
    applied = done["a"].application
    assert applied is not None
    assert applied.targets == 14
    assert [line for line in done["a"].lines() if "this survey cannot be resumed any more" in line]
    assert str(done["b"].problem).endswith("its config names no blocklist: give -b FILE")
    alone = list(apply_lists([tmp_path / "sets" / "weeks" / "a"], None))
    assert [(each.changed, each.ended) for each in alone] == [(False, False)]
    below = list(apply_lists([tmp_path / "sets" / "weeks"], [tmp_path / "list.txt"]))
    assert [each.changed for each in below] == [False, True]


def test_planes_without_a_bit_to_clear_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    survey_on_disk(run)
    (tmp_path / "list.txt").write_text("")
    written: list[str] = []

    def noted(path: Path, probe: str, parts: Iterator[Planes]) -> None:
        written.append(probe)
        write_planes(path, probe, parts)

    monkeypatch.setattr(redacted_survey, "write_planes", noted)
    redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    assert written == list(PROBES)
    redact_run(RunDirectory(run), parse_lines(LISTED), [tmp_path / "list.txt"])
    assert written == list(PROBES)
