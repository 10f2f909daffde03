"""Files of the passive instrument: configs, rules, manifests, results, and the journal of a run that did not end."""

from collections.abc import Sequence
from functools import partial
from importlib import resources
from pathlib import Path

from liveness.passive.config import load_config
from liveness.passive.manifest import load_manifest
from liveness.passive.partitions import JOURNAL
from liveness.passive.rules import load_rules
from liveness.passive.run import WORK as WORK_FOLDER
from liveness.passive.run import PassiveRun
from liveness.runs.rundir import MANIFEST_FILE
from tests.fuzzing.kinds.kind import FileKind, coin, made, of_json, of_lines, of_yaml
from tests.passive.drawn import draw, write_config
from tests.passive.judge import write_csv


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
            run.partitions.sightings(number)
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


def _file_of(name: str, folder: Path) -> Sequence[bytes]:
    unfinished(folder)
    return [(folder / "run" / name).read_bytes()]


def _configs(folder: Path) -> Sequence[bytes]:
    return [write_config(folder / "c.yaml", Path("out"), keep_flows=True, inputs=["a.csv"]).read_bytes()]


def _rules() -> Sequence[bytes]:
    data = resources.files("liveness.passive") / "data"
    return [entry.read_bytes() for entry in data.iterdir() if entry.name.endswith(".rules")]


def kinds() -> list[FileKind]:
    """Return the kinds of the passive instrument's files."""
    return [
        FileKind("passive config", "c.yaml", _configs, of_yaml, read_config),
        FileKind("passive rules", "a.rules", made(_rules), of_lines(b" "), read_rules),
        FileKind("passive manifest", f"run/{MANIFEST_FILE}", partial(_file_of, MANIFEST_FILE), of_json, read_run,
                 surroundings=unfinished),
        FileKind("passive journal", f"run/{WORK_FOLDER}/{JOURNAL}", partial(_file_of, f"{WORK_FOLDER}/{JOURNAL}"),
                 of_json, read_journal, surroundings=unfinished),
    ]  # fmt: skip
