"""Files of a model that changes with time: the population, the record of a survey, the log of its probes."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.probe_log import NAME
from liveness.lab.model.responder.record import SUMMARY
from liveness.lab.model.responder.state import LOG_FIELDS
from liveness.survey.judgement import judge_survey
from tests.fuzzing import hostile
from tests.fuzzing.kinds.documents import read_population
from tests.fuzzing.kinds.kind import FileKind, fixed, of_json, of_yaml

ROUNDS: Final = 8
INTERVAL_NS: Final = 1_100_000_000
TIME: Final = """time:
  starts: '2026-12-07T00:00:00Z'
  speed: 600
  zones: [-8, 0, 9]
  behaviours:
    - {name: a, kind: diurnal, weight: 2, begins: 7h, ends: 19h, days: [sat], jitter: 1h, present: 1, always_on: 0}
    - {name: b, kind: sessions, slot: 1h, up: 1, sites: [town]}
    - {name: c, kind: pool, lease: 12h}
  outages: {share: 0.003, shortest: 30m, longest: 6h, prefix: 24}
  fates: {within: 336h, born: 0.1, dies: 0.1, firewalled: 0.1, renumbered: 0.1}
  events:
    - {kind: outage, prefix: 46.0.0.0/24, at: 1h, length: 1h}
    - {kind: renumbered, prefix: 46.0.0.0/22, to: 46.0.4.0/22, at: 1h}
  slow_first: {hosts: 0.1, idle: 5m, up_to: 4s}
  late: {hosts: 0.1, replies: 0.5, up_to: 10m}
"""


def _population() -> bytes:
    from tests.lab.model.change.support import POPULATION  # noqa: PLC0415 - compiles kernels

    return (POPULATION + TIME).encode()


def _survey(folder: Path) -> Path:
    """Take a small survey in memory, in a directory that is made; return it."""
    from tests.lab.model.change.support import blocks, changing  # noqa: PLC0415 - compiles kernels
    from tests.lab.model.surveys.support import Surveyor  # noqa: PLC0415

    people = changing("{speed: 600, behaviours: [{name: a, kind: sessions, slot: 1h}], late: {hosts: 0.3, up_to: 1h}}")
    run = Surveyor(people, blocks(people, 20)[:1], ROUNDS, INTERVAL_NS).run(folder)
    (run / "population.yaml").write_text((_population().decode()).split("time:")[0] + "time: {speed: 600}\n")
    return run


def _surroundings(work: Path) -> None:
    _survey(work / "run")


def _file_of(name: str, folder: Path) -> Sequence[bytes]:
    return [(_survey(folder / "run") / "lab" / name).read_bytes()]


def judge(path: Path) -> None:
    """Judge the survey to whose record a file belongs."""
    run = path.parents[1]
    judgement = judge_survey(run, load_population(run / "population.yaml"))
    judgement.document()
    judgement.lines()


def _of_rows(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a log with fields of rows changed, or bytes."""
    seed = chance.choice(seeds)
    if chance.random() < 0.3:
        return hostile.octets(chance, seed, seeds)
    content, size = bytearray(seed), LOG_FIELDS.itemsize
    for _ in range(chance.choice((1, 2, 50))):
        at = chance.randrange(len(content) // size) * size + chance.choice((0, 4, 8, 12, 16, 17))
        length = min(chance.choice((1, 4, 8)), len(content) - at)
        content[at : at + length] = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    return bytes(content)


def kinds() -> list[FileKind]:
    """Return the kinds of a model's lab."""
    check = ["lab", "check", "--internet", "{folder}/../population.yaml", "{folder}/.."]
    return [
        FileKind("population in time", "p.yaml", fixed(_population()), of_yaml, read_population,
                 ["lab", "describe", "--internet", "{}"]),
        FileKind("probe log", f"run/lab/{NAME}", lambda folder: _file_of(NAME, folder), _of_rows, judge, check,
                 _surroundings),
        FileKind("record of a survey", f"run/lab/{SUMMARY}", lambda folder: _file_of(SUMMARY, folder), of_json, judge,
                 check, _surroundings),
    ]  # fmt: skip
