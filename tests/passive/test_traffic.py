"""Generated traffic with known purposes: services are exact through every format, classes as the documents say."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from liveness.lab.traffic.conversation import Label
from liveness.lab.traffic.labels import CLASSES_OF, Judgement, judge_passive_run
from liveness.lab.traffic.records import records_of
from liveness.lab.traffic.scene import make_scene
from liveness.lab.traffic.write import FORMATS, write_scene
from liveness.passive.config import load_config
from liveness.passive.manifest import load_results
from liveness.passive.run import PassiveRun
from liveness.space.addresses import format_address
from tests.passive.drawn import judge_of
from tests.passive.judge import Record, Setting
from tests.passive.test_command import liveness
from tests.passive.test_judge import check

SEED = 11
HOURS = 2.0
ALL_FAULTS = ("split", "duplicated", "reordered", "no-template")


def run_of(config: Path) -> Path:
    """Run over one config and return the run directory."""
    text = config.read_text() + f"output: {config.parent / 'out'}\n"
    config.write_text(text)
    PassiveRun.create(load_config(config), "run", forced=False, note=lambda _line: None).go([], follow=False)
    return config.parent / "out" / config.stem / "run"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with traffic in every format, and exports with faults."""
    folder = tmp_path_factory.mktemp("traffic")
    write_scene(make_scene(SEED, HOURS), folder, FORMATS, ())
    write_scene(make_scene(SEED, HOURS), folder / "faults", FORMATS, ALL_FAULTS)
    return folder


@pytest.fixture(scope="module")
def judged(folder: Path) -> Judgement:
    return judge_passive_run(run_of(folder / "parquet.yaml"), folder)


def test_services_and_outages_are_the_true_ones(judged: Judgement) -> None:
    assert (judged.services, judged.outages) == ([], [])
    assert "unknown" not in judged.matrix


def test_classes_fit_their_purposes(judged: Judgement) -> None:
    """All but backscatter over UDP, which looks like a scan to a random walk."""
    for label in CLASSES_OF:
        right = judged.right(label)
        assert right is not None
        assert right > (0.6 if label is Label.BACKSCATTER else 0.95), label
    wrong = judged.matrix["backscatter"]
    assert set(wrong) == {"Backscatter", "MalScan"}


@pytest.mark.parametrize("faults", ["", "faults"])
@pytest.mark.parametrize("name", ["csv", "v5", "v9", "ipfix"])
def test_formats_and_faults_of_exporters_change_nothing(
    folder: Path, judged: Judgement, name: str, faults: str
) -> None:
    found = judge_passive_run(run_of(folder / faults / f"{name}.yaml"), folder)
    assert (found.services, found.outages) == ([], [])
    assert found.matrix == judged.matrix


def test_packets_say_more_than_flows(folder: Path, judged: Judgement) -> None:
    """Errors quote what they answer: attempts at a closed UDP port are answered negatively, and not one-way."""
    found = judge_passive_run(run_of(folder / "pcap.yaml"), folder)
    assert found.equal
    assert found.matrix.pop("unreachable").total() < judged.matrix["unreachable"].total()
    assert found.matrix == {label: row for label, row in judged.matrix.items() if label != "unreachable"}


def test_files_of_nfpcapd_give_the_same_services(folder: Path) -> None:
    nfcapd = folder / "nfcapd"
    nfcapd.mkdir()
    subprocess.run(["nfpcapd", "-r", folder / "packets.pcap", "-w", nfcapd], check=True, capture_output=True)
    config = folder / "nfdump.yaml"
    lines = (folder / "csv.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("name", "inputs", "output"))]
    config.write_text("\n".join([*kept, "name: nfdump", "inputs: [nfcapd]", ""]))
    found = judge_passive_run(run_of(config), folder)
    assert (found.services, found.outages) == ([], [])
    assert all((found.right(label) or 0) > 0.95 for label in CLASSES_OF if label is not Label.BACKSCATTER)


def test_the_brute_force_judge_agrees_on_every_figure(tmp_path: Path) -> None:
    scene = make_scene(SEED + 1, HOURS, 0.3)
    (config,) = write_scene(scene, tmp_path, ["parquet"], ())
    records = []
    for row in records_of(scene.conversations):
        src, dst = (format_address(int(row[name])) for name in ("src", "dst"))
        names = ("sport", "dport", "protocol", "packets", "bytes", "flags")
        sport, dport, protocol, packets, size, flags = (int(row[name]) for name in names)
        start, end = int(row["start_ns"]), int(row["end_ns"])
        records.append(Record(start, end, src, dst, sport, dport, protocol, packets, size, flags))
    setting = Setting(["198.51.100.0/22"], own=["80.0.0.9/32"])
    check(load_results(run_of(config)), judge_of(records, setting).document())


def changed(document: dict[str, Any]) -> None:
    """Let one client more fail, and end the first outage an hour later."""
    document["services"][0]["intervals"][0]["clients_failed"] += 1
    del document["outages"][0]


def test_a_wrong_report_is_seen(folder: Path, judged: Judgement, tmp_path: Path) -> None:
    run = Path(shutil.copytree(folder / "out/parquet/run", tmp_path / "run"))
    document = json.loads((run / "passive.json").read_text())
    changed(document)
    (run / "passive.json").write_text(json.dumps(document))
    found = judge_passive_run(run, folder)
    assert len(found.services) == 1
    assert found.outages
    done = liveness("lab", "check", run, "--traffic", folder, code=1)
    assert found.services[0] in done.stdout
    assert judged.equal


def test_the_commands_of_the_document(tmp_path: Path) -> None:
    """docs/passive.md prints the table of these commands; it is what they print."""
    folder = tmp_path / "border"
    done = liveness("lab", "traffic", folder)
    assert done.stdout.split() == [str(folder / "parquet.yaml")]
    run = run_of(folder / "parquet.yaml")
    done = liveness("lab", "check", run, "--traffic", folder)
    text = (Path(__file__).parents[2] / "docs/passive.md").read_text()
    rows = [line.split() for line in done.stdout.splitlines() if "%" in line]
    assert len(rows) == len(CLASSES_OF)
    printed = {tuple(line.split()) for line in text.splitlines()}
    assert {tuple(row) for row in rows} <= printed
    as_json = json.loads(liveness("lab", "check", run, "--traffic", folder, "--json").stdout)
    assert as_json["equal"] is True
    assert sum(as_json["matrix"]["scan"].values()) > 10_000
