"""Files of surveys: those of other tools, lists of blocks, the state of selections, and run directories."""

import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import yaml

from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.planes.blocks import Blocks, encode_blocks, read_blocks
from liveness.planes.delays import read_delays
from liveness.planes.live import LISTENED_NS, START_NS, LivePlanes
from liveness.planes.manifest import SurveyGap, SurveyShard, Withdrawn, write_manifest
from liveness.planes.rundir import BLOCKS_FILE, SurveyRun
from liveness.planes.stored import StoredRounds
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals
from liveness.survey.conclusion import Record, conclude, running
from liveness.survey.config_files import load_survey_config, recorded_survey_config, to_record
from liveness.survey.exporting import parts_of
from liveness.survey.import_timing import Given
from liveness.survey.opening import import_any
from liveness.survey.progress import progress_of
from liveness.survey.recorded import recorded, resumable
from liveness.survey.recorder import RoundRecorder
from liveness.survey.selection import kept_blocks, load_state
from liveness.survey.shard_union import unite_surveys
from liveness.survey.shards import open_parts
from tests.analysis.survey.test_sequences import PROBE, drawn, write_survey
from tests.fuzzing import hostile
from tests.fuzzing.kinds.flows import check_lines
from tests.fuzzing.kinds.kind import (
    FileKind,
    Mutate,
    fixed,
    flipped,
    made,
    of_json,
    of_json_lines,
    of_lines,
    of_yaml,
)
from tests.survey.test_trinocular_raw import with_outages
from tests.survey.virtual import START_NS_2020, Reply, survey_config, virtual_survey

STATE: Final = (
    b'{"schema": 1, "random": [{"block": "192.0.2.0/24", "weight": 3.5}],'
    b' "spaced": [{"block": "10.1.2.0/24", "weight": 1.0}]}'
)
BLOCKS: Final = (b"block,policy,weight\n10.0.0.0/24,random,12.5\n192.0.2.0/24,novel,1.0\n",)
TOKENS: Final = (b"10.0.0.0/23", b"nan", b"inf", b"-1", b"9" * 400, b"\0", b"\x1b[2J", b"\xff", b"0x", b"-", b'"')
RECORD_BYTES: Final = 24
ENDED_NS: Final = START_NS_2020 + 14 * 10**12
"""When a survey was killed: in the middle of a round of half an hour, when some rounds were stored."""


def _survey(folder: Path) -> SurveyRun:
    return write_survey(folder / "made", drawn(1, 2, 20), Blocks.of(np.array([0x0A0000, 0xC00002], np.uint32)))


def _exported(form: str, folder: Path) -> Sequence[bytes]:
    path = folder / form
    path.mkdir()
    content = b"".join(parts_of(_survey(path), PROBE, form))
    if form == "parquet":
        return [content]
    size = RECORD_BYTES * 200 if form == "ant" else content.find(b"\n", 8000) + 1
    return [content[:size]]


def _imported(form: str, name: str, folder: Path) -> Sequence[bytes]:
    """Return a file of the run directory of an imported survey."""
    _import_into(form, folder)
    return [(folder / name).read_bytes()]


def _import_into(form: str, folder: Path) -> None:
    """Lay out an imported survey."""
    content = b"".join(parts_of(_survey_with_verdicts(folder / "of"), PROBE, form))
    (folder / "exported").write_bytes(content)
    run = import_any([folder / "exported"], folder / "imported", "fuzz", Given())
    for entry in run.path.iterdir():
        shutil.move(entry, folder / entry.name)
    run.path.rmdir()


def _survey_with_verdicts(folder: Path) -> SurveyRun:
    """Return a survey with a /24 that Trinocular judges."""
    folder.mkdir()
    return write_survey(
        folder / "made", with_outages(20), Blocks.of(np.array([0x0A0000, 0x0A0001, 0xC00002], np.uint32))
    )


def _trinocular(folder: Path) -> Sequence[bytes]:
    return [b"".join(parts_of(_survey_with_verdicts(folder / "of"), PROBE, "trinocular"))]


def _delays(path: Path) -> None:
    for _ in read_delays(path.parents[1], PROBE, 3 * 256):
        pass


def _of_records(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return records with fields changed, or bytes."""
    seed = chance.choice(seeds)
    if chance.random() < 0.3:
        return hostile.octets(chance, seed, seeds)
    content = bytearray(seed)
    for _ in range(chance.choice((1, 2, 5))):
        at = chance.randrange(len(content) // RECORD_BYTES) * RECORD_BYTES + chance.choice((0, 1, 2, 8, 12, 16, 20))
        content[at : at + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", chance.randbytes(4)))
    return bytes(content)


def _import(path: Path) -> None:
    """Import a file, and analyse what comes of it."""
    run = import_any([path], path.parent / "run", "fuzz", Given())
    encode(analyze_survey(run))
    shutil.rmtree(run.path)


def _surroundings(folder: Path) -> None:
    made = _survey(folder)
    for entry in made.path.iterdir():
        shutil.move(entry, folder / entry.name)
    made.path.rmdir()


def _manifest(folder: Path) -> Sequence[bytes]:
    return [(_survey(folder).path / "manifest.json").read_bytes()]


def _analyze(path: Path) -> None:
    encode(analyze_survey(SurveyRun.open(path.parent)))


def _state(path: Path) -> None:
    state = load_state(path)
    if state is not None:  # none yet: the first selection makes it
        kept_blocks(state.random)


def _unfinished(work: Path) -> None:
    """Lay out a survey that a kill ended in its eighth round, three of which were stored."""
    for name, content in _unfinished_files().items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@cache
def _unfinished_files() -> dict[str, bytes]:
    """Return the files of that survey by their paths. It is made once: as plain Python that takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _take_unfinished(work)
        return {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()}


def _take_unfinished(work: Path) -> None:
    config = survey_config(survey={"blocks": "x", "interval": "30m", "duration": "5h"})
    virtual = virtual_survey(work / "run", config, ("10.1.0.0",), _all_reply)
    (work / "run").mkdir()
    virtual.open()
    virtual.run(until_ns=ENDED_NS)
    virtual.recorder.cut(START_NS_2020, START_NS_2020 + 10**9, "a test", ["10.1.0.7/32"])
    virtual.recorder.withdraw(START_NS_2020 + 10**9, Intervals.from_bounds([167837698], [167837699]))
    virtual.live.header[LISTENED_NS] = ENDED_NS
    virtual.stored.close()
    virtual.live.close()
    survey, run = virtual.survey, RunDirectory(work / "run")
    write_manifest(running(survey, Record("run", None)), run.path)
    run.write_targets(["10.1.0.0/24"])
    (run.path / BLOCKS_FILE).write_bytes(encode_blocks(survey.blocks))


def _all_reply(target: int, _probe: str, _time_ns: int) -> tuple[Reply, ...]:
    return (Reply(20_000_000, "negative" if target % 7 == 0 else "positive"),)


def _unfinished_file(name: str, folder: Path) -> Sequence[bytes]:
    _unfinished(folder)
    return [(folder / "run" / name).read_bytes()]


def _resume(run: Path) -> None:
    """Say how far a survey is, go on with it, and conclude it at once."""
    progress = progress_of(run, 5)
    check_lines(progress.lines())
    json.dumps(progress.document())
    directory, manifest = resumable(run)
    survey = recorded(directory, manifest)
    notices: list[str] = []
    with closing(LivePlanes.open(run, len(survey.blocks), len(survey.probes), survey.depth)) as live:
        start_ns = int(live.header[START_NS])
        if start_ns:
            survey = survey.starting(start_ns)
        with StoredRounds(run, survey.probes, len(survey.blocks), live.stored) as stored:
            recorder = RoundRecorder(run, survey.order, survey.probes, live, stored, notices.append)
            recorder.open(ENDED_NS)
            recorder.look(ENDED_NS)
            conclude(survey, recorder, Record("run", None), complete=False, now_ns=ENDED_NS)
    check_lines(notices)


def _shards(folder: Path) -> None:
    """Lay out two shards of a survey, in `0` and `1`."""
    listed = Blocks.of(np.array([0x0A0000, 0x0A0001, 0xC00002], np.uint32))
    digest = hashlib.sha256(encode_blocks(listed)).hexdigest()
    for index, chosen in enumerate(([0, 2], [1])):
        run = write_survey(folder / str(index), drawn(1, len(chosen), 20), listed.chosen(np.array(chosen)))
        shard = SurveyShard(index=index, of=2, start_at=None, blocks_sha256=digest, targets_sha256="")
        withdrawn = [Withdrawn(first="10.0.0.7", last="192.0.2.9", round=3)]
        gaps = [SurveyGap(start="2026-12-01T00:00:00.000Z", end="2026-12-01T00:01:00.000Z", cause="a test")]
        write_manifest(msgspec.structs.replace(run.manifest, shard=shard, withdrawn=withdrawn, gaps=gaps), run.path)
        RunDirectory(run.path).write_targets([f"{listed.name(at)}" for at in chosen])


def _shard_manifest(folder: Path) -> Sequence[bytes]:
    _shards(folder)
    return [(folder / "0" / "manifest.json").read_bytes()]


def _merge(path: Path) -> None:
    """Unite a shard with the other one, whatever it says of itself, and analyse the united run."""
    united = path.parents[1] / "united"
    try:
        unite_surveys(open_parts([path.parent, path.parents[1] / "1"], partial=True), united)
        encode(analyze_survey(SurveyRun.open(united)))
    finally:
        shutil.rmtree(united, ignore_errors=True)


def _of_unfinished(name: str, file: str, mutate: Mutate) -> FileKind:
    depth = file.count("/")
    seeds = partial(_unfinished_file, file)
    return FileKind(
        name, f"run/{file}", seeds, mutate, lambda path: _resume(path.parents[depth]), surroundings=_unfinished
    )


def _load_config(path: Path) -> None:
    """Read a config, and the same as a manifest keeps it."""
    recorded_survey_config(to_record(load_survey_config(path)), path)


def _configs() -> Sequence[bytes]:
    whole = to_record(
        survey_config(probes=["icmp", "tcp/80-82", "dns"], survey={"blocks": "b.csv", "tolerance": "9ms"})
    )
    return [yaml.safe_dump(document).encode() for document in (whole, {"name": "a", "survey": {"blocks": "b.csv"}})]


def kinds() -> list[FileKind]:
    """Return the kinds of surveys."""
    imported = ["survey", "import", "{}", "-o", "{folder}/run"]
    return [
        FileKind("survey ant", "s.ant", lambda folder: _exported("ant", folder), _of_records, _import, imported),
        FileKind("survey fsdb", "s.fsdb", lambda folder: _exported("fsdb", folder), of_lines(b"\t"), _import, imported,
                 tokens=TOKENS),
        FileKind("survey csv", "s.csv", lambda folder: _exported("csv", folder), of_lines(b","), _import, imported,
                 tokens=TOKENS),
        FileKind("survey trinocular", "s.fsdb", _trinocular, of_lines(b"\t"), _import, imported, tokens=TOKENS),
        FileKind("survey parquet", "s.parquet", lambda folder: _exported("parquet", folder), flipped, _import,
                 imported),
        FileKind("survey delays", "delays/icmp.rtt", partial(_imported, "ant", "delays/icmp.rtt"), flipped, _delays,
                 ["survey", "analyze", "{folder}/.."], partial(_import_into, "ant")),
        FileKind("survey verdicts", "verdicts/icmp.states", partial(_imported, "trinocular", "verdicts/icmp.states"),
                 flipped, lambda path: _analyze(path.parent), ["survey", "analyze", "{folder}/.."],
                 partial(_import_into, "trinocular")),
        FileKind("survey blocks", "blocks.csv", fixed(*BLOCKS), of_lines(b","), read_blocks, tokens=TOKENS),
        FileKind("survey state", "state.json", fixed(STATE), of_json, _state),
        FileKind("survey manifest", "manifest.json", _manifest, of_json, _analyze, ["survey", "analyze", "{folder}"],
                 _surroundings),
        FileKind("survey plane", "matrix/icmp.positive.bits", lambda folder: [
            (_survey(folder).path / "matrix/icmp.positive.bits").read_bytes()], flipped,
            lambda path: _analyze(path.parent), ["survey", "analyze", "{folder}/.."], _surroundings),
        FileKind("survey config", "c.yaml", made(_configs), of_yaml, _load_config, ["config", "check", "{}"]),
        FileKind("shard of a survey", "0/manifest.json", _shard_manifest, of_json, _merge,
                 ["merge", "{folder}", "{folder}/../1", "-o", "{folder}/../united", "--partial"], _shards),
        _of_unfinished("unfinished survey", "manifest.json", of_json),
        _of_unfinished("survey gaps", "rounds/gaps.json", of_json),
        _of_unfinished("record of rounds", "rounds.jsonl", of_json_lines),
        _of_unfinished("live planes", "rounds/live", flipped),
        _of_unfinished("stored rounds", "rounds/icmp.positive.bits", flipped),
    ]  # fmt: skip
