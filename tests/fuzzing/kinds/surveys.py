"""Files of surveys: those of other tools, lists of blocks, the state of selections, and run directories."""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.planes.blocks import Blocks, read_blocks
from liveness.planes.rundir import SurveyRun
from liveness.survey.exporting import parts_of
from liveness.survey.importing import Given
from liveness.survey.opening import import_any
from liveness.survey.selection import kept_blocks, load_state
from tests.analysis.survey.test_sequences import PROBE, drawn, write_survey
from tests.fuzzing import hostile
from tests.fuzzing.kinds.kind import FileKind, fixed, flipped, of_json, of_lines

STATE: Final = (
    b'{"schema": 1, "random": [{"block": "192.0.2.0/24", "weight": 3.5}],'
    b' "spaced": [{"block": "10.1.2.0/24", "weight": 1.0}]}'
)
BLOCKS: Final = (b"block,policy,weight\n10.0.0.0/24,random,12.5\n192.0.2.0/24,novel,1.0\n",)
TOKENS: Final = (b"10.0.0.0/23", b"nan", b"inf", b"-1", b"9" * 400, b"\0", b"\x1b[2J", b"\xff", b"0x", b"-", b'"')
RECORD_BYTES: Final = 24


def _survey(folder: Path) -> SurveyRun:
    return write_survey(folder / "made", drawn(1, 2, 20), Blocks.of(np.array([0x0A0000, 0xC00002], np.uint32)))


def _exported(form: str, folder: Path) -> Sequence[bytes]:
    path = folder / form
    path.mkdir()
    content = b"".join(parts_of(_survey(path), PROBE, form))
    size = RECORD_BYTES * 200 if form == "ant" else content.find(b"\n", 8000) + 1
    return [content[:size]]


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


def kinds() -> list[FileKind]:
    """Return the kinds of surveys."""
    imported = ["survey", "import", "{}", "-o", "{folder}/run"]
    return [
        FileKind("survey ant", "s.ant", lambda folder: _exported("ant", folder), _of_records, _import, imported),
        FileKind("survey fsdb", "s.fsdb", lambda folder: _exported("fsdb", folder), of_lines(b"\t"), _import, imported,
                 tokens=TOKENS),
        FileKind("survey csv", "s.csv", lambda folder: _exported("csv", folder), of_lines(b","), _import, imported,
                 tokens=TOKENS),
        FileKind("survey blocks", "blocks.csv", fixed(*BLOCKS), of_lines(b","), read_blocks, tokens=TOKENS),
        FileKind("survey state", "state.json", fixed(STATE), of_json, _state),
        FileKind("survey manifest", "manifest.json", _manifest, of_json, _analyze, ["survey", "analyze", "{folder}"],
                 _surroundings),
        FileKind("survey plane", "matrix/icmp.positive.bits", lambda folder: [
            (_survey(folder).path / "matrix/icmp.positive.bits").read_bytes()], flipped,
            lambda path: _analyze(path.parent), ["survey", "analyze", "{folder}/.."], _surroundings),
    ]  # fmt: skip
