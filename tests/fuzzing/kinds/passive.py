"""Files of the passive instrument: configs, rules, manifests, results, and the journal of a run that did not end."""

import json
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb

from liveness.lab.traffic.labels import FLOWS, LABELS, REPORT, TRUTH, judge_passive_run
from liveness.passive.config import load_config
from liveness.passive.directory import WORK as WORK_FOLDER
from liveness.passive.manifest import load_manifest, load_results
from liveness.passive.partitions import JOURNAL
from liveness.passive.rules import load_rules
from liveness.passive.run import PassiveRun
from liveness.report.passive.page import passive_page
from liveness.report.passive.tables import passive_tables
from liveness.runs.rundir import MANIFEST_FILE, PASSIVE_FILE
from tests.fuzzing.kinds.flows import check_lines
from tests.fuzzing.kinds.kind import FileKind, coin, fixed, made, of_json, of_lines, of_yaml
from tests.passive.drawn import draw, write_config
from tests.passive.judge import write_csv

DRAWN: Final = 1024
"""One document of results in so many is drawn as well."""


def read_config(path: Path) -> None:
    """Read a config."""
    load_config(path)


def read_rules(path: Path) -> None:
    """Read rules, and tabulate them."""
    rules = load_rules(str(path))
    rules.class_of(5)
    rules.conflicting(77)


def read_run(path: Path) -> None:
    """Read the manifest of a run that did not end, or open it to read on."""
    if coin(path):
        load_manifest(path.parent)
        return
    resume(path.parent)


def read_journal(path: Path) -> None:
    """Open a run to read on, and look at what it has."""
    resume(path.parents[1])


def resume(folder: Path) -> None:
    """Open a run to read on, and give it up."""
    run = PassiveRun.resume(folder, forced=True, note=lambda _line: None)
    try:
        for number in run.partitions.intervals[:5]:
            list(run.partitions.observations(number))
        run.partitions.save()
        run.write_manifest()
    finally:
        run.release()


def unfinished(work: Path) -> None:
    """Lay out a run that has read one input and did not end."""
    flows = work / "flows.csv"
    write_csv(flows, draw(5, hours=0.2))
    config = load_config(write_config(work / "config.json", work / "out", inputs=[str(flows)]))
    run = PassiveRun.create(config, "run", forced=True, note=lambda _line: None)
    run.inputs.read(flows)
    run.write_manifest()
    run.release()
    run.path.rename(work / "run")


def finished(work: Path) -> None:
    """Lay out a run that has ended."""
    flows = work / "flows.csv"
    write_csv(flows, draw(5, hours=0.2))
    config = load_config(write_config(work / "config.json", work / "out", inputs=[str(flows)]))
    run = PassiveRun.create(config, "run", forced=True, note=lambda _line: None)
    run.go([], follow=False)
    run.path.rename(work / "run")


def read_results(path: Path) -> None:
    """Read the results of a run, make the tables of its report, and its page of some."""
    document = load_results(path.parent)
    for table in passive_tables(document):
        check_lines([table.title, *table.notes, *(str(cell) for row in table.rows for cell in row)])
    if coin(path, DRAWN):
        passive_page(document)


def _results(folder: Path) -> Sequence[bytes]:
    finished(folder)
    return [(folder / "run" / PASSIVE_FILE).read_bytes()]


def _file_of(name: str, folder: Path) -> Sequence[bytes]:
    unfinished(folder)
    return [(folder / "run" / name).read_bytes()]


def _configs(folder: Path) -> Sequence[bytes]:
    return [write_config(folder / "c.yaml", Path("out"), keep_flows=True, inputs=["a.csv"]).read_bytes()]


def _rules() -> Sequence[bytes]:
    data = resources.files("liveness.passive") / "data"
    return [entry.read_bytes() for entry in data.iterdir() if entry.name.endswith(".rules")]


_TIMES = {"start": "2026-03-30T08:00:00Z", "end": "2026-03-30T08:20:00Z"}
_SERVICE = {
    "service": "198.51.100.1/tcp/80", "clients_ok": 3, "clients_failed": 1,
    "intervals": [{"start": _TIMES["start"], "clients_ok": 3, "clients_failed": 1}],
}  # fmt: skip
_TRUTH = {"services": [_SERVICE], "outages": [{"service": _SERVICE["service"], "share": 1.0, **_TIMES}]}
_REPORT = {"run": "a/run", "services": [_SERVICE], "outages": [{"services": [_SERVICE["service"]], **_TIMES}]}
_LABELS = b"src,dst,sport,dport,protocol,label\n8.8.8.8,198.51.100.1,4000,80,6,scan\n9.9.9.9,198.51.100.2,1,2,6,peer\n"


def judged(folder: Path) -> None:
    """Lay out a passive run that kept its flows, and the truth about its traffic."""
    (folder / "run").mkdir()
    (folder / TRUTH).write_text(json.dumps(_TRUTH))
    (folder / LABELS).write_bytes(_LABELS)
    (folder / "run" / REPORT).write_text(json.dumps(_REPORT))
    with closing(duckdb.connect()) as connection:
        connection.execute(
            "COPY (SELECT '198.51.100.1' AS local, '8.8.8.8' AS remote, 80::USMALLINT AS lport, "
            "4000::USMALLINT AS rport, 6::UTINYINT AS protocol, 'MalScan' AS class) TO "
            f"'{folder / 'run' / FLOWS}' (FORMAT parquet)"
        )


def read_judged(folder: Path) -> None:
    """Compare the run with the truth."""
    judgement = judge_passive_run(folder / "run", folder)
    check_lines([*judgement.lines(), *judgement.matrix])


def kinds() -> list[FileKind]:
    """Return the kinds of the passive instrument's files."""
    return [
        FileKind("passive config", "c.yaml", _configs, of_yaml, read_config),
        FileKind("passive rules", "a.rules", made(_rules), of_lines(b" "), read_rules),
        FileKind("passive manifest", f"run/{MANIFEST_FILE}", partial(_file_of, MANIFEST_FILE), of_json, read_run,
                 surroundings=unfinished),
        FileKind("passive journal", f"run/{WORK_FOLDER}/{JOURNAL}", partial(_file_of, f"{WORK_FOLDER}/{JOURNAL}"),
                 of_json, read_journal, surroundings=unfinished),
        FileKind("passive results", f"run/{PASSIVE_FILE}", _results, of_json, read_results,
                 ["passive", "report", "{folder}"], finished),
        FileKind("traffic truth", TRUTH, fixed(json.dumps(_TRUTH).encode()), of_json,
                 lambda path: read_judged(path.parent), surroundings=judged),
        FileKind("traffic report", f"run/{REPORT}", fixed(json.dumps(_REPORT).encode()), of_json,
                 lambda path: read_judged(path.parents[1]), surroundings=judged),
        FileKind("traffic labels", LABELS, fixed(_LABELS), of_lines(b","),
                 lambda path: read_judged(path.parent), surroundings=judged),
    ]  # fmt: skip
