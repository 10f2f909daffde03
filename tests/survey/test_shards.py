"""Shards of a survey: united they are the run of one machine, byte for byte; others are refused by name."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from liveness.cli.main import group
from liveness.errors import LivenessError, StoppedEarlyError, UsageError
from liveness.planes.blocks import encode_blocks
from liveness.planes.manifest import SurveyManifest, load_manifest, write_manifest
from liveness.planes.rundir import BLOCKS_FILE, SurveyRun
from liveness.runs.manifest import Vantage
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.survey.conclusion import Record, conclude
from liveness.survey.config_files import to_record
from liveness.survey.recorder import rounds_of_record
from liveness.survey.schedule import survey_of
from liveness.survey.shard_union import unite_surveys
from liveness.survey.shards import open_parts
from tests.survey.virtual import (
    CONTROL_PORT,
    START_NS_2020,
    Reply,
    VirtualSurvey,
    slots_by_address,
    survey_config,
    virtual_survey,
)

INTERVAL_NS: Final = 660_000_000_000
MINUTE_NS: Final = 60_000_000_000
BLOCKS: Final = ("10.1.0.0", "10.1.1.0", "10.1.2.0", "10.1.3.0", "10.7.3.0", "10.9.0.0", "10.9.1.0")
BLOCKED: Final = Intervals.from_bounds(
    *(np.array([parse_address(text)], np.uint32) for text in ("10.1.0.200", "10.1.2.9"))
)
PROBES: Final = ["icmp", "tcp/80", "tcp/control"]
SURVEY: Final = {"blocks": "x", "interval": "11m", "duration": "44m"}
START_AT: Final = "2020-01-01T00:00:00Z"
DELAYS_NS: Final = (20_000_000, 5 * MINUTE_NS, 12 * MINUTE_NS, 30 * MINUTE_NS)
NAMES: Final = ("ams1", "", "nyc1")


def behaving(phases_ns: dict[int, int]) -> Callable[[int, str, int], tuple[Reply, ...]]:
    """Return a network whose answers follow from address, probe and round."""

    def behaviour(target: int, probe: str, time_ns: int) -> tuple[Reply, ...]:
        number = (time_ns - START_NS_2020 - phases_ns[target]) // INTERVAL_NS
        chance = random.Random(f"{target} {probe} {number}")
        if target & 3:
            return (Reply(30_000_000, "positive"),) if chance.random() < 0.05 else ()
        return tuple(
            Reply(chance.choice(DELAYS_NS), chance.choice(("positive", "negative", "other")))
            for _ in range(chance.choice((0, 1, 1, 2)))
        )

    return behaviour


def take(path: Path, phases_ns: dict[int, int], index: int = 0, of: int = 1) -> VirtualSurvey:
    """Run a survey, or a shard of it, in memory to its end, and write its run directory."""
    shard: dict[str, Any] = {"shard": {"index": index, "of": of}, "start_at": START_AT} if of > 1 else {}
    config = survey_config(probes=PROBES, survey=SURVEY, vantage=NAMES[index] if of > 1 else "", **shard)
    path.mkdir(parents=True)
    virtual = virtual_survey(path, config, BLOCKS, behaving(phases_ns), BLOCKED)
    virtual.open()
    virtual.recorder.cut(START_NS_2020 + INTERVAL_NS, START_NS_2020 + INTERVAL_NS + MINUTE_NS, "a gap of all")
    gone = Intervals.from_bounds(
        np.array([parse_address("10.9.0.250")], np.uint32), np.array([parse_address("10.9.1.4")], np.uint32)
    )
    at_ns = START_NS_2020 + 2 * INTERVAL_NS + 1
    virtual.run(until_ns=at_ns)
    virtual.shared.withdrawn.publish(gone)
    virtual.recorder.withdraw(at_ns, gone)
    virtual.run()
    survey = virtual.survey
    (path / BLOCKS_FILE).write_bytes(encode_blocks(survey.blocks))
    RunDirectory(path).write_targets(survey.targets.intervals.entries())
    vantage = Vantage(name=NAMES[index]) if of > 1 and NAMES[index] else None
    record = Record(
        path.name,
        CONTROL_PORT,
        vantage=vantage,
        messages={"icmp": {"echo-reply": 3}},
        rejected={"bad-cookie": index + 1},
    )
    manifest = conclude(survey, virtual.recorder, record, complete=True, now_ns=virtual.network.now_ns)
    write_manifest(manifest, path)
    virtual.stored.close()
    virtual.live.close()
    return virtual


@dataclass(frozen=True)
class Taken:
    """The run of one machine, and those of shards by their number."""

    whole: Path
    shards: dict[int, list[Path]]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    folder = tmp_path_factory.mktemp("shards")
    config = survey_config(probes=PROBES, survey=SURVEY)
    phases_ns = slots_by_address(virtual_survey(folder, config, BLOCKS, lambda *_: ()).survey)
    take(folder / "whole", phases_ns)
    shards = {of: [folder / f"{index}-of-{of}" for index in range(of)] for of in (2, 3)}
    for of, paths in shards.items():
        for index, path in enumerate(paths):
            take(path, phases_ns, index, of)
    return Taken(folder / "whole", shards)


@pytest.mark.parametrize("of", [2, 3])
def test_united_shards_are_the_survey_of_one_machine(taken: Taken, tmp_path: Path, of: int) -> None:
    paths = taken.shards[of]
    united = unite_surveys(open_parts(paths[::-1]), tmp_path / "united")
    names = sorted(path.relative_to(taken.whole) for path in (taken.whole / "matrix").iterdir())
    assert len(names) == 4 * len(PROBES) + 1
    for name in (*names, Path(BLOCKS_FILE), Path("targets.txt")):
        assert (tmp_path / "united" / name).read_bytes() == (taken.whole / name).read_bytes(), name
    whole = load_manifest(taken.whole)
    assert load_manifest(tmp_path / "united") == united
    for field in ("status", "seed", "rounds", "planned_rounds", "blocks", "probes", "withdrawn", "start_ns", "survey"):
        assert getattr(united, field) == getattr(whole, field), field
    for counts in united.probes.values():
        assert min(counts.sent, counts.not_sent, counts.withdrawn, counts.positive, counts.negative, counts.late) > 0
    assert rounds_of_record(tmp_path / "united") == rounds_of_record(taken.whole)
    assert [(one.shard, one.vantage) for one in united.merged_from] == [(at, NAMES[at]) for at in range(of)]
    assert united.rejected == {"bad-cookie": sum(range(1, of + 1))}
    assert sum(gap.addresses or 0 for gap in united.gaps) == 256 * len(BLOCKS)
    assert {gap.cause for gap in united.gaps} == {f"{NAMES[at] or f'shard {at}'}: a gap of all" for at in range(of)}
    assert SurveyRun.open(tmp_path / "united").manifest.shard is None


@pytest.mark.parametrize("of", [2, 3])
def test_analyses_of_the_united_run_are_those_of_one_machine(taken: Taken, tmp_path: Path, of: int) -> None:
    run = CliRunner()
    done = run.invoke(group, ["merge", *map(str, taken.shards[of]), "-o", str(tmp_path / "memory" / "whole")])
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "memory" / "whole"))
    documents = []
    for path in (taken.whole, tmp_path / "memory" / "whole"):
        shown = run.invoke(group, ["survey", "analyze", str(path), "--json"])
        assert shown.exit_code == 0, shown.output
        documents.append(json.loads(shown.stdout))
    assert documents[0] == documents[1]
    assert documents[0]["addresses"] == 256 * len(BLOCKS)


def changed(path: Path, folder: Path, **fields: object) -> Path:
    """Return a copy of a run with other values in its manifest; `config` is merged into that of the run."""
    copy = folder / "changed"
    shutil.copytree(path, copy)
    manifest = load_manifest(path)
    config = fields.pop("config", {})
    shard = fields.pop("shard", {})
    assert isinstance(config, dict)
    assert isinstance(shard, dict)
    assert manifest.shard is not None
    replaced = msgspec.structs.replace(
        manifest, **fields, config=manifest.config | config, shard=msgspec.structs.replace(manifest.shard, **shard)
    )
    write_manifest(replaced, copy)
    return copy


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"config": {"seed": 9}}, "seed is 0 and 9"),
        ({"config": {"name": "other"}}, "name is 'memory' and 'other'"),
        ({"config": {"survey": {"interval": "22m"}}}, "survey.interval is '11m' and '22m'"),
        ({"config": {"survey": SURVEY | {"duration": "55m"}}}, "survey.duration is '44m' and '55m'"),
        ({"config": {"probes": ["icmp"]}}, "probes is "),
        ({"start_ns": START_NS_2020 + 1}, f"start_ns is {START_NS_2020} and {START_NS_2020 + 1}"),
        ({"planned_rounds": 5}, "planned_rounds is 4 and 5"),
        ({"interval_s": 661.0}, "interval_s is 660.0 and 661.0"),
        ({"control_port": 50_124}, f"control_port is {CONTROL_PORT} and 50124"),
        ({"shard": {"blocks_sha256": "00"}}, "blocks_sha256 is "),
        ({"shard": {"targets_sha256": "00"}}, "targets_sha256 is "),
        ({"shard": {"of": 4}}, "shards is 2 and 4"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_belong_together_is_refused_by_name(
    taken: Taken, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    one, other = taken.shards[2]
    copy = changed(other, tmp_path, **fields)
    with pytest.raises(UsageError) as caught:
        open_parts([one, copy])
    assert str(caught.value).startswith(f"{one} and {copy}: no shards of one survey: {words}")


def test_a_shard_of_more_than_there_can_be_is_refused(
    taken: Taken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: object) -> None:
        pytest.fail("all shards are listed, which takes more memory than there is")

    monkeypatch.setattr("liveness.survey.shards.check_whole", endless)
    copy = changed(taken.shards[2][0], tmp_path, shard={"of": 10**12})
    with pytest.raises(LivenessError, match=r"manifest\.json: a damaged manifest: \$\.shard\.of: 1000000000000"):
        open_parts([copy])


def test_a_shard_that_is_missing_or_given_twice_is_named(taken: Taken, tmp_path: Path) -> None:
    one, two, three = taken.shards[3]
    with pytest.raises(UsageError, match=r"of 3 shards these are missing: 1: name their runs, or give --partial"):
        open_parts([three, one])
    with pytest.raises(UsageError, match=r"0-of-3 and .*changed: both are shard 0: give each shard once"):
        open_parts([one, two, changed(one, tmp_path)])
    with pytest.raises(UsageError, match="a whole survey, no shard of one: there is nothing to merge"):
        open_parts([taken.whole])
    copy = changed(one, tmp_path / "again", shard={"index": 2})
    with pytest.raises(
        UsageError, match=r"0-of-3 and .*changed: both have 10\.[0-9.]+/24: shards have no /24 in common"
    ):
        unite_surveys(open_parts([one, two, copy]), tmp_path / "united")
    assert not (tmp_path / "united").exists()


def test_the_rest_is_united_if_that_is_asked_for(taken: Taken, tmp_path: Path) -> None:
    """A shard that ended early has not sent the rounds that it lacks; a missing one has no /24 in the union."""
    one, two, _ = taken.shards[3]
    run = CliRunner()
    done = run.invoke(group, ["merge", str(one), str(two), "-o", str(tmp_path / "united"), "--partial"])
    assert isinstance(done.exception, StoppedEarlyError), done.output
    assert str(done.exception) == f"{tmp_path / 'united'}: the united run is partial: 1 of 3 shards are missing"
    united = load_manifest(tmp_path / "united")
    assert united.status == "partial"
    assert united.blocks == sum(load_manifest(path).blocks for path in (one, two)) < len(BLOCKS)
    assert SurveyRun.open(tmp_path / "united").blocks.numbers.tolist() == sorted(
        number for path in (one, two) for number in SurveyRun.open(path).blocks.numbers.tolist()
    )


def test_a_shard_that_ended_early_has_rounds_that_were_not_sent(taken: Taken, tmp_path: Path) -> None:
    one, other = taken.shards[2]
    early = changed(other, tmp_path, status="partial", reason="interrupted", rounds=2)
    for file in (early / "matrix").glob("*.bits"):
        kept = np.fromfile(file, np.uint8) & 0b11
        file.write_bytes(kept.tobytes())
    with pytest.raises(UsageError, match=r"shard 1 did not complete \(interrupted\): resume it, or give --partial"):
        open_parts([one, early])
    united = unite_surveys(open_parts([one, early], partial=True), tmp_path / "united")
    assert (united.status, united.reason, united.rounds) == ("partial", "shard 1: interrupted", 4)
    late = SurveyRun.open(early).blocks.numbers
    run = SurveyRun.open(tmp_path / "united")
    with run.matrix() as matrix:
        sent = matrix.planes("icmp", 0, len(run.blocks)).sent.reshape(len(run.blocks), 256)
    mine = np.isin(run.blocks.numbers, late)
    assert not (sent[mine] & 0b1100).any()
    assert (sent[~mine] & 0b1100).any()


def test_damage_is_named_and_nothing_is_left(taken: Taken, tmp_path: Path) -> None:
    one, other = taken.shards[2]
    copy = changed(other, tmp_path)
    (copy / "matrix" / "tcp-80.late.bits").write_bytes(b"x")
    with pytest.raises(LivenessError, match=r"changed/matrix/tcp-80\.late\.bits: 1 bytes, where the manifest's"):
        unite_surveys(open_parts([one, copy]), tmp_path / "united")
    assert not (tmp_path / "united").exists()
    again = changed(other, tmp_path / "again")
    lines = (again / BLOCKS_FILE).read_text().replace("given,1.0", "given,2.0")
    (again / BLOCKS_FILE).write_text(lines)
    with pytest.raises(LivenessError, match="not the /24s with which this survey began"):
        unite_surveys(open_parts([one, again]), tmp_path / "united")


def test_digests_follow_from_all_24s_and_lists(taken: Taken) -> None:
    manifests = [load_manifest(path) for of in (2, 3) for path in taken.shards[of]]
    shards = [manifest.shard for manifest in manifests]
    assert len({(shard.blocks_sha256, shard.targets_sha256) for shard in shards if shard is not None}) == 1
    assert [(shard.index, shard.of) for shard in shards if shard is not None] == [
        (0, 2),
        (1, 2),
        (0, 3),
        (1, 3),
        (2, 3),
    ]
    assert {shard.start_at for shard in shards if shard is not None} == {"2020-01-01T00:00:00.000Z"}
    assert load_manifest(taken.whole).shard is None
    assert all(manifest.config == to_record_of(manifest) for manifest in manifests)


def to_record_of(manifest: SurveyManifest) -> dict[str, Any]:
    assert manifest.shard is not None
    shard = {"index": manifest.shard.index, "of": manifest.shard.of}
    return to_record(
        survey_config(probes=PROBES, survey=SURVEY, vantage=NAMES[manifest.shard.index], shard=shard, start_at=START_AT)
    )


def test_a_shard_without_an_address_is_refused(tmp_path: Path) -> None:
    config = survey_config(survey=SURVEY, shard={"index": 2, "of": 3}, start_at=START_AT)
    with pytest.raises(UsageError, match=r"\$\.shard\.of: 3: shard 2 has no address to probe: there are 2 /24s in all"):
        virtual_survey(tmp_path, config, BLOCKS[:2], lambda *_: ())
    whole = virtual_survey(tmp_path, survey_config(survey=SURVEY), BLOCKS[:2], lambda *_: ()).survey
    third = survey_config(survey=SURVEY, shard={"index": 0, "of": 2}, start_at=START_AT)
    own = survey_of(third, whole.blocks, whole.targets)
    blocked = whole.targets.without(own.targets.intervals)
    with pytest.raises(UsageError, match="shard 0 has no address to probe"):
        survey_of(third, whole.blocks, blocked)
