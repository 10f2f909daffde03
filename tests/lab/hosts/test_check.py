"""`lab check` and `lab describe`: a run that found everything, runs that did not, runs nobody can judge."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from pyroaring import BitMap

from liveness.cli.lab import command
from liveness.config.model import Config, TargetLists, to_document
from liveness.errors import LivenessError, UsageError
from liveness.lab.hosts.check import check_run
from liveness.lab.hosts.truth import PROBES, expected_sets
from liveness.lab.load import load_internet
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals

ALLOW = ("10.10.0.0/22", "10.31.0.0/29")
TARGETS = 1024 + 8
CONTROL_PORT = 50123
ECHO = SetKey(ReplyKey("icmp", Kind.ECHO_REPLY), Role.TARGET)

Sets = dict[SetKey, BitMap]


@pytest.fixture
def truth() -> Sets:
    first = [0x0A0A0000, 0x0A1F0000]
    targets = Intervals.from_bounds(first, [first[0] + 1023, first[1] + 7])
    return expected_sets(load_internet(), targets, PROBES, CONTROL_PORT, 64)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a run of these sets; keywords replace fields of its manifest."""

    def write_run(sets: Sets, **changes: Any) -> Path:  # noqa: ANN401 - any field of a manifest
        run = RunDirectory.create(tmp_path, "lab", "run")
        manifest = Manifest(
            name="lab",
            run_id="run",
            status="complete",
            seed=1,
            config=to_document(Config(name="lab", targets=TargetLists(allow=ALLOW))),
            started="2026-11-21T00:00:00Z",
            targets=TARGETS,
            probes={probe: ProbeCounts(sent=[TARGETS, TARGETS]) for probe in PROBES},
            sets=[run.write_set(key, members) for key, members in sets.items()],
            control_port=CONTROL_PORT,
        )
        run.write_manifest(msgspec.structs.replace(manifest, **changes))
        return run.path

    return write_run


def lab(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_run_that_found_everything_is_equal(truth: Sets, write: Callable[..., Path]) -> None:
    path = write(truth)
    comparison = check_run(path, load_internet())
    assert comparison.equal
    assert (comparison.sets, comparison.targets) == (len(truth), TARGETS)
    result = lab("check", path)
    assert result.exit_code == 0
    assert "equal to the ground truth" in result.output


def test_missing_and_extra_addresses_are_named(truth: Sets, write: Callable[..., Path]) -> None:
    truth[ECHO] -= BitMap([0x0A0A0007])
    truth[ECHO] |= BitMap([0x0A1F0002])
    unheard = SetKey(ReplyKey("ntp", Kind.ERROR, 12, 0), Role.SOURCE)
    truth[unheard] = BitMap([5])
    never = SetKey(ReplyKey("tcp/80", Kind.SYN_ACK), Role.SOURCE)
    lost = truth.pop(never)
    path = write(truth)
    first, second, third = check_run(path, load_internet()).differences
    assert (first.key, first.expected, first.found, first.missing) == (never, len(lost), 0, lost)
    assert (second.key, second.missing, second.extra) == (ECHO, BitMap([0x0A0A0007]), BitMap([0x0A1F0002]))
    assert (third.key, third.expected, third.extra) == (unheard, 0, BitMap([5]))
    result = lab("check", path, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["equal"] is False
    assert document["differences"][1] == {
        "probe": "icmp", "kind": "echo-reply", "icmp_type": None, "icmp_code": None, "role": "target",
        "expected": 704, "found": 704, "missing": 1, "missing_examples": ["10.10.0.7"],
        "extra": 1, "extra_examples": ["10.31.0.2"],
    }  # fmt: skip
    text = lab("check", path)
    assert text.exit_code == 1
    assert "-10.10.0.7" in "".join(text.output.split())


def test_blocked_addresses_are_not_expected(truth: Sets, write: Callable[..., Path]) -> None:
    config = Config(name="lab", targets=TargetLists(allow=ALLOW, block=("10.10.0.0/24",)))
    path = write(truth, config=to_document(config), targets=TARGETS - 256)
    differences = check_run(path, load_internet()).differences
    blocked = BitMap(range(0x0A0A0000, 0x0A0A0100))
    assert {difference.key: difference.extra for difference in differences}[ECHO] == blocked
    assert not any(difference.missing for difference in differences)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "partial"}, r"manifest\.json: \$\.status: 'partial': only a complete run"),
        ({"targets": 5}, r"\$\.targets: 5: its config names 1,032 targets"),
        ({"config": {"name": "x"}}, r"\$\.config\.targets: missing: every config needs it"),
    ],
)
def test_a_run_that_cannot_be_judged_is_refused(
    changes: dict[str, object], expected: str, truth: Sets, write: Callable[..., Path]
) -> None:
    with pytest.raises(UsageError, match=expected):
        check_run(write(truth, **changes), load_internet())


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LivenessError, match="not a run directory"):
        check_run(tmp_path, load_internet())


def test_describe_shows_every_network_and_set_size() -> None:
    result = lab("describe", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert [network["name"] for network in document["networks"]] == [
        network.name for network in load_internet().networks
    ]
    sizes = {(entry["probe"], entry["label"], entry["role"]): entry["cardinality"] for entry in document["sets"]}
    assert sizes["ntp", "answer", "target"] == 64 + 128
    assert sizes["icmp", "error-11-0", "source"] == 1


def test_describe_prints_tables_and_says_what_is_left_out() -> None:
    result = lab("describe", "--plain")
    assert result.exit_code == 0
    assert "workstations" in result.stdout
    assert "tarpit" not in result.stdout
    assert "left out, and silent: border" in result.stderr
