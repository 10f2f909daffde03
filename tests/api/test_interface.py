"""The public names, and what each does with a run of which every reply is known."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import fields
from pyroaring import BitMap

import liveness
from liveness.replies import Kind, Role
from liveness.replylog.runlog import RunLog
from liveness.runs.manifest import Manifest
from tests.cli.support import liveness as command
from tests.cli.test_help import HEAVY
from tests.populations import Population, town
from tests.replylog.replies import PROBES, replies

NAMES = {
    "Config",
    "ConfigWarning",
    "InterfaceDownError",
    "InterfaceGoneError",
    "Key",
    "LivenessError",
    "Manifest",
    "Passive",
    "RefusedError",
    "Results",
    "Run",
    "StoppedEarlyError",
    "Survey",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "analyze",
    "find_runs",
    "load_config",
    "open_passive",
    "open_run",
    "open_survey",
    "read_set",
    "write_set",
}
"""The whole public interface: a name is added here first, and none is ever removed."""


@pytest.fixture(scope="module")
def population() -> Population:
    return town()


@pytest.fixture(scope="module")
def run(population: Population, tmp_path_factory: pytest.TempPathFactory) -> liveness.Run:
    return liveness.open_run(population.write(tmp_path_factory.mktemp("sets")).path)


def errors() -> Iterator[type[liveness.LivenessError]]:
    waiting = [liveness.LivenessError]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += found.__subclasses__()


def test_the_names_are_these_and_no_others() -> None:
    assert set(liveness.__all__) == NAMES
    assert set(dir(liveness)) == NAMES
    for name in NAMES:
        assert getattr(liveness, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'scan_the_world'"):
        _ = liveness.scan_the_world  # type: ignore[attr-defined]


def test_the_whole_error_tree_is_public() -> None:
    assert {error.__name__ for error in errors() if error.__module__ == "liveness.errors"} <= NAMES


def test_every_name_is_documented() -> None:
    for name in NAMES - {"__version__"}:
        documented = getattr(liveness, name)
        assert documented.__doc__, name
        assert documented.__doc__.splitlines()[0].endswith("."), name
        for member in vars(documented) if isinstance(documented, type) and "api" in documented.__module__ else ():
            if not member.startswith("_"):
                assert getattr(documented, member).__doc__, (name, member)


def test_importing_loads_nothing_heavy() -> None:
    code = (
        f"import sys, liveness; dir(liveness); print([name for name in {(*HEAVY, 'click')!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_set_of_a_run(run: liveness.Run, population: Population) -> None:
    expected = {}
    for key, members in population.sets().items():
        reply = key.reply
        icmp = None if reply.icmp_type is None or reply.icmp_code is None else (reply.icmp_type, reply.icmp_code)
        expected[liveness.Key(reply.probe, reply.kind.label, str(key.role), icmp)] = members
    assert set(run.keys) == set(expected)
    for found in run.keys:
        assert run.set(*found) == expected[found]


def test_errors_without_a_type_are_all_errors(run: liveness.Run, population: Population) -> None:
    for probe in population.probes:
        for role in Role:
            parts = [
                members
                for key, members in population.sets().items()
                if (key.reply.probe, key.reply.kind, key.role) == (probe, Kind.ERROR, role)
            ]
            assert run.set(probe, "error", role) == BitMap().union(*parts)


def test_a_set_that_nobody_is_in_is_empty(tmp_path: Path, population: Population) -> None:
    silent = replace(population, replies=[reply for reply in population.replies if reply.probe != "dns"])
    run = liveness.open_run(silent.write(tmp_path).path)
    assert run.set("dns", "answer") == BitMap()
    assert run.set("icmp", "error", icmp=(5, 1)) == BitMap()


def test_sets_of_a_run_are_copies(run: liveness.Run) -> None:
    before = run.set("icmp", "echo-reply")
    before.clear()
    assert run.set("icmp", "echo-reply")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (("udp/7", "answer"), "this run sent icmp, tcp/22"),
        (("icmp", "echo"), "kind 'echo': expected one of echo-reply, syn-ack"),
        (("tcp/80", "rst", "direct"), "role 'direct' of rst: expected one of source, target"),
        (("tcp/80", "rst", "source", (3, 1)), "only errors have an ICMP type and code, not rst"),
    ],
)
def test_what_no_set_can_be_is_refused(run: liveness.Run, key: tuple[str, str], message: str) -> None:
    with pytest.raises(liveness.UsageError, match=message):
        run.set(*key)


def test_a_damaged_set_is_named(tmp_path: Path, population: Population) -> None:
    run = liveness.open_run(population.write(tmp_path).path)
    (run.path / run.manifest.sets[0].file).write_bytes(b"damaged")
    with pytest.raises(liveness.LivenessError, match=r"\.roaring: damaged: its SHA-256 is"):
        run.set(*run.keys[0])


def test_no_run_is_one_line(tmp_path: Path) -> None:
    for call in (liveness.open_run, liveness.find_runs):
        with pytest.raises(liveness.UsageError, match=str(tmp_path)):
            call(tmp_path)


def test_runs_below_a_folder(tmp_path: Path, population: Population) -> None:
    later = replace(population, run_id="2026-11-28T000000Z", started="2026-11-28T00:00:00Z")
    paths = [population.write(tmp_path / "a").path, later.write(tmp_path / "b").path]
    found = liveness.find_runs(str(tmp_path))
    assert [run.path for run in found] == paths
    assert [run.manifest.run_id for run in found] == [population.run_id, later.run_id]
    document = liveness.analyze(reversed(found)).document()
    assert [part["run"] for part in document["runs"]] == [f"census/{run.run_id}" for run in (population, later)]
    assert len(document["changes"]) == 1


def test_results_are_the_document_of_the_command(run: liveness.Run) -> None:
    import json  # noqa: PLC0415 - for this test alone

    printed = command("analyze", run.path, "--json")
    assert liveness.analyze(run).document() == json.loads(printed.out)
    with pytest.raises(liveness.UsageError, match="no run to analyse"):
        liveness.analyze([])


def test_the_log_of_replies_is_a_relation(tmp_path: Path, population: Population) -> None:
    path = population.write(tmp_path).path
    with pytest.raises(liveness.UsageError, match="keeps no log of replies"):
        liveness.open_run(path).replies()
    log = RunLog(path, "parquet", PROBES)
    log.replies(replies(1500))
    log.close()
    log.wait()
    relation = liveness.open_run(path).replies()  # the run itself is gone after this line
    assert relation.count("*").fetchall() == [(1500,)]
    assert {"time", "probe", "kind", "target", "source", "rtt_ms"} <= set(relation.columns)
    counted = relation.aggregate("kind, count(*)").fetchall()
    assert sum(count for _, count in counted) == 1500
    assert relation.filter("kind = 'error'").aggregate("count(*)").fetchall() == [(dict(counted)["error"],)]
    assert len(relation.limit(3).fetchall()) == 3


@pytest.mark.parametrize("name", ["a.roaring", "a.txt", "a.set", "a.nft", "a.csv"])
def test_a_set_and_back(tmp_path: Path, name: str) -> None:
    addresses = BitMap([1, 2, 3, 0x0A000000, 0xFFFFFFFF])
    liveness.write_set(addresses, tmp_path / name)
    assert liveness.read_set(tmp_path / name) == addresses


def test_formats_by_name(tmp_path: Path) -> None:
    liveness.write_set(BitMap([0x0A000001]), tmp_path / "a", format="silk")
    assert liveness.read_set(tmp_path / "a", format="silk") == BitMap([0x0A000001])
    for wrong in (
        lambda: liveness.write_set(BitMap(), tmp_path / "a", format="word"),
        lambda: liveness.read_set(tmp_path / "a", format="word"),
        lambda: liveness.write_set(BitMap(), tmp_path / "a"),
        lambda: liveness.read_set(tmp_path / "missing.txt"),
    ):
        with pytest.raises(liveness.UsageError):
            wrong()


def test_a_dash_is_a_file_and_no_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    liveness.write_set(BitMap([7]), "-", format="text")
    assert (tmp_path / "-").read_text() == "0.0.0.7\n"
    assert liveness.read_set("-") == BitMap([7])


def test_a_config_and_its_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "block.txt").touch()
    file = tmp_path / "census.yaml"
    file.write_text("name: week\nseed: 7\ntargets: {allow: [10.0.0.0/24], block: [block.txt]}\n")
    config = liveness.load_config(file, {"retransmit.queue": 5})
    assert (config.name, config.seed, config.retransmit.queue) == ("week", 7, 5)
    assert config.targets.block == (str(tmp_path / "block.txt"),)
    monkeypatch.setenv("LIVENESS_SEED", "8")
    assert liveness.load_config(str(file)).seed == 8
    with pytest.raises(liveness.UsageError, match=r"retransmit\.queue: \$\.retransmit\.queue"):
        liveness.load_config(file, {"retransmit.queue": -1})


def test_attributes_of_a_manifest_are_the_members_of_its_file() -> None:
    """Users write `run.manifest.<member>`: no attribute has another name in the file."""
    assert [field.name for field in fields(Manifest)] == [field.encode_name for field in fields(Manifest)]
