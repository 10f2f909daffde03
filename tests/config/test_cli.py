"""``liveness config``: what its commands print, and that errors are the loader's own."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from liveness.analysis.numbers import span
from liveness.cli.config import command
from liveness.config.load import load_config
from liveness.config.model import to_document
from liveness.errors import LivenessError
from liveness.files.yaml import parse_yaml

CONFIGS = Path(__file__).parents[2] / "configs"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_check_prints_one_summary() -> None:
    result = run("check", CONFIGS / "sept5.yaml")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{CONFIGS}/sept5.yaml: a sound config named 'sept5'",
        "  targets   3,702,258,432",
        "  left out  0 by the blocklist, 592,708,864 special-purpose (IANA, 2025-10-09), of 4,294,967,296 allowed",
        "  blocks    7 of a /3 each",
        "  probes    icmp, tcp/22, tcp/23, tcp/80, tcp/443, tcp/7547, dns, ntp, tcp/control; 2 attempts",
        "  packets   66,640,651,776",
        "  rate      900,000 packets/s in all, 100,000 for each probe, 686 Mbit/s on the wire",
        "  duration  about 20 h 35 min",
        "  busiest   77 packets at most in the busiest second of any /24 (no limits.max_pps_per_24)",
        "  contact   https://example.org/scan",
    ]


def test_check_counts_what_was_left_out_and_limited(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\ntargets: {allow: [9.255.255.0-10.0.0.255], block: [9.255.255.0/28]}\ncontact: me\n"
        "limits: {max_targets: 100}\ncontrol: false\nprobes: [icmp]\n"
    )
    document = json.loads(run("check", path, "--json").stdout)
    expected = {"targets": 240, "allowed": 512, "blocked": 16, "special_purpose": 256, "public": True, "probed": 100}
    assert {key: document[key] for key in expected} == expected
    assert "  targets   240, 100 of them by limits.max_targets\n" in run("check", path).stdout


def test_check_judges_the_lab_on_request() -> None:
    assert run("check", "--lab", CONFIGS / "lab.yaml").exit_code == 0
    outside = run("check", CONFIGS / "lab.yaml")
    assert isinstance(outside.exception, LivenessError)
    assert outside.exception.exit_code == 2
    assert str(outside.exception).startswith(f"{CONFIGS}/lab.yaml: $.targets.allow: ")


@pytest.mark.parametrize("name", ["sept5", "lab", "small"])
def test_show_prints_what_the_loader_returns(name: str) -> None:
    path = CONFIGS / f"{name}.yaml"
    document = to_document(load_config(path))
    assert parse_yaml(run("show", path).stdout, "show") == document
    assert json.loads(run("show", "--json", path).stdout) == document


def test_init_prints_the_careful_first_config(tmp_path: Path) -> None:
    printed = run("init").stdout
    assert printed == (CONFIGS / "small.yaml").read_text()  # one text, in two places: for readers and in the package
    path = tmp_path / "census.yaml"
    written = run("init", path)
    assert path.read_text() == printed
    assert written.stderr == f"{tmp_path}/blocklist.txt: begun, an empty blocklist\n"
    ours, theirs = (to_document(load_config(file)) for file in (path, CONFIGS / "small.yaml"))
    assert ours["targets"]["block"] == [str(tmp_path / "blocklist.txt")]  # type: ignore[index]
    assert {**ours, "targets": None} == {**theirs, "targets": None}
    again = run("init", path)
    assert "exists already" in str(again.exception)


@pytest.mark.parametrize("name", ["check", "show"])
def test_a_missing_file_is_the_loaders_error(name: str) -> None:
    result = run(name, "none.yaml")
    assert isinstance(result.exception, LivenessError)
    assert str(result.exception) == "none.yaml: cannot read the config: no such file or directory"


def test_every_command_and_option_has_help() -> None:
    for name, entry in command.commands.items():
        assert entry.help, name
        assert all(option.help for option in entry.params if isinstance(option, click.Option)), name


def test_loading_the_commands_loads_nothing_heavy() -> None:
    program = (
        "import sys, liveness.cli.config; "
        "print([name for name in ('numpy', 'numba', 'msgspec', 'yaml', 'pyroute2') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_checking_a_config_does_not_need_numba() -> None:
    program = "import sys, liveness.config.load, liveness.config.estimate; print('numba' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3_660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (74_120.8, "20 h 35 min"),
    ],
)
def test_durations_are_reported_in_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
