"""What people read when something is wrong: our own words, one style, the place, and the same exit code everywhere."""

import json
import re
import socket
from pathlib import Path

import pytest

from liveness.config.fields import field_table
from liveness.config.layers import VARIABLES
from tests.cli.support import assert_one_line, liveness
from tests.populations import town

DOCS = Path(__file__).parents[2] / "docs"
CONFIG = "name: t\ncontact: https://example.org/scan\nuser: root\ntargets: {allow: [192.88.98.0/24]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "census.yaml").write_text(CONFIG)
    return tmp_path


def with_line(folder: Path, line: str) -> Path:
    (folder / "census.yaml").write_text(CONFIG + line + "\n")
    return folder


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("sets", "inof"), ("no command 'inof': did you mean 'info'?", "liveness sets --help")),
        (("nosuch",), ("no command 'nosuch': expected one of scan,",)),
        (("scan", "--rte", "5"), ("no option --rte: did you mean", "--rate")),
        (("scan", "-n"), ("-n: a value is missing",)),
        (("sets", "sample", "a", "-n", "-3"), ("--size: -3: expected a number, at least 0",)),
        (("sets", "sample", "a", "-n", "x"), ("--size: 'x': expected a whole number",)),
        (("sets", "convert", "a"), ("OUTPUT is missing",)),
        (("sets", "cat", "a", "--to", "word"), ("--to: 'word': expected one of roaring, text",)),
        (("scan", "-w", "nofile"), ("-w nofile: no such file",)),
        (("scan", "-b", "nofile", "192.88.98.1"), ("-b nofile: no such file",)),
        (("scan", "192.88.98.300"), ("TARGETS: '192.88.98.300' is not a prefix",)),
        (("scan", "-r", "fast", "192.88.98.1"), ("--rate: 'fast': expected a rate",)),
        (("scan", "-p", "udp/53", "192.88.98.1"), ("--probes: 'udp/53': no such probe", "did you mean 'dns'?")),
        (("scan", "10.0.0.1"), ("the only allowed address is special-purpose space",)),
        (("scan", "10.0.0.0/31"), ("all 2 allowed addresses are special-purpose space",)),
        (("scan", "2001:db8::1"), ("TARGETS: '2001:db8::1' is IPv6",)),
    ],
)
def test_mistakes_of_the_command_line_have_one_style(
    tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert_one_line(liveness(*arguments, cwd=tmp_path), 2, *parts)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("retransmit: {queue: many}", "census.yaml:5: $.retransmit.queue: 'many': expected a whole number, not text"),
        ("retransmit: 5", "census.yaml:5: $.retransmit: 5: expected a mapping of names to values, not a whole number"),
        ("retransmit:\n  attempts: 9", "census.yaml:6: $.retransmit.attempts: 9: expected a whole number, at most 4"),
        ("probes: [icmp, 7]", "census.yaml:5: $.probes[1]: 7: expected text, not a whole number"),
        ("probes:\n- icmp\n- tcp/http", "census.yaml:7: $.probes[1]: 'tcp/http': no such probe"),
        ("contact: ${CONTACT}", "census.yaml:5:1: wrong YAML: the key 'contact' stands twice, first in line 2"),
        ("output: ${HOME}/sets", "census.yaml:5: $.output: '${HOME}/sets': variables are not filled in"),
        ("block_prefix: 24\nlimits: {max_targets: 5}", "contact"),
    ],
)
def test_wrong_values_are_reported_in_words_with_their_line(folder: Path, line: str, message: str) -> None:
    run = liveness("config", "check", "census.yaml", cwd=with_line(folder, line))
    if message == "contact":
        assert run.code == 0
    else:
        assert_one_line(run, 2, message)


def test_a_variable_in_the_contact_never_goes_out(folder: Path) -> None:
    (folder / "census.yaml").write_text(CONFIG.replace("https://example.org/scan", "${CONTACT}"))
    refused = liveness("scan", "-C", "census.yaml", "--dryrun", cwd=folder)
    assert_one_line(refused, 2, "census.yaml:2: $.contact: '${CONTACT}'", "LIVENESS_CONTACT")


def test_a_stray_variable_is_a_warning(folder: Path) -> None:
    run = liveness("config", "show", "census.yaml", "--json", cwd=folder, env={"LIVENESS_RAET": "5", "LIVENESS_X": ""})
    assert run.code == 0
    assert json.loads(run.out)["rate"] == "1kpps"
    warnings = run.err.splitlines()
    assert warnings[0] == (
        "liveness: warning: environment LIVENESS_RAET: names no field of a config, did you mean LIVENESS_RATE?"
    )
    assert warnings[1].startswith("liveness: warning: environment LIVENESS_X: names no field")
    assert_one_line(
        liveness("config", "show", "census.yaml", cwd=folder, env={"LIVENESS_RATE": "x"}),
        2,
        "LIVENESS_RATE: $.rate: 'x'",
    )


def test_the_document_lists_every_variable() -> None:
    found = re.search(r"<!-- fields: begin -->\n(.*)<!-- fields: end -->", (DOCS / "config.md").read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == field_table()
    listed = liveness("config", "variables").out
    assert [line.split()[1] for line in listed.splitlines()] == list(VARIABLES)


def test_version_and_help_as_commands() -> None:
    assert liveness("version").out == liveness("--version").out == liveness("-V").out != ""
    assert liveness("help", "sets", "cat").out == liveness("sets", "cat", "--help").out != ""
    assert liveness("help").out == liveness("--help").out


@pytest.mark.parametrize("command", [("config", "check", "census.yaml"), ("scan", "-C", "census.yaml", "--dryrun")])
@pytest.mark.parametrize(
    ("line", "code", "parts"),
    [
        ("output: /proc/sets", 2, ("/proc/sets", "cannot make this run directory")),
        ("output: census.yaml", 2, ("census.yaml/t", "a file is in the way")),
        ("network: {interface: nosuch0}", 2, ("nosuch0", "lo")),
        ("network: {source_addresses: [192.88.98.9]}", 2, ("192.88.98.9", "not an address of this host")),
        ("retransmit: {queue: 100}\nprobe_spacing: 1h\nrate: 1Mpps", 2, ("census.yaml: $.probe_spacing: 1h",)),
        ("limits: {max_pps_per_24: 0.001}\nrate: 1Mpps", 4, ("census.yaml: $.limits.max_pps_per_24",)),
    ],
)
def test_what_the_start_refuses_is_refused_before(
    folder: Path, command: tuple[str, ...], line: str, code: int, parts: tuple[str, ...]
) -> None:
    assert_one_line(liveness(*command, cwd=with_line(folder, line)), code, *parts)
    assert [path.name for path in folder.iterdir()] == ["census.yaml"]


def test_a_program_to_notify_by_exists(folder: Path) -> None:
    with_line(folder, "notify: {command: 'nosuchprogram -s x'}")
    assert_one_line(
        liveness("config", "check", "census.yaml", cwd=folder), 2, "census.yaml: $.notify.command: 'nosuchprogram'"
    )
    assert liveness("config", "check", "--elsewhere", "census.yaml", cwd=folder).code == 0


def test_a_dry_run_judges_run_id_and_watching(folder: Path) -> None:
    dry = ("scan", "-C", "census.yaml", "--dryrun")
    assert liveness(*dry, cwd=folder).code == 0
    assert_one_line(liveness(*dry, "--run-id", "../x", cwd=folder), 2, "run id '../x' cannot be the name")
    (folder / "sets" / "t" / "first").mkdir(parents=True)
    assert_one_line(liveness(*dry, "--run-id", "first", cwd=folder), 2, "first: this run exists already")
    assert_one_line(liveness(*dry, "--metrics-address", "9600", cwd=folder), 2, "--metrics-address '9600'")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line(liveness(*dry, "--metrics-address", f":{port}", cwd=folder), 2, "cannot listen there")
    for option in ("--metrics-file", "--status-file"):
        assert_one_line(
            liveness(*dry, option, "/nonexist/x.prom", cwd=folder), 2, "/nonexist/x.prom", "no directory /nonexist"
        )
    assert not list(folder.glob("*.prom"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("sets", "cat", "a.txt", "-o", "/nonexist/b.txt"),
        ("sets", "convert", "a.txt", "/nonexist/b.txt"),
        ("scan", "--metrics-file", "/nonexist/b.prom", "192.88.98.1", "--contact", "x"),
        ("scan", "--status-file", "/nonexist/b", "192.88.98.1", "--contact", "x"),
        ("identity", "-C", "census.yaml", "-S", "192.88.98.1", "--mail", "a@example.org", "-o", "/proc/x"),
        ("analyze", "run", "--html", "/nonexist/b.html"),
        ("analyze", "run", "--map", "/nonexist/b.png"),
        ("analyze", "run", "-o", "/nonexist/b.txt"),
        ("config", "init", "/nonexist/b.yaml"),
        ("flows", "convert", "a.txt", "-o", "/nonexist/b.parquet"),
        ("flows", "meter", "a.txt", "-o", "/nonexist/b.csv"),
        ("survey", "analyze", ".", "-o", "/nonexist/b.txt"),
        ("survey", "analyze", ".", "--addresses", "/nonexist/b.csv"),
        ("survey", "export", ".", "-o", "/nonexist/b.csv"),
        ("survey", "select", ".", "--seed", "1", "--state", "/nonexist/b.json"),
    ],
)
def test_an_output_that_cannot_be_is_the_same_mistake_everywhere(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "a.txt").write_text("10.0.0.1\n")
    if "run" in arguments:
        arguments = tuple(str(town().write(folder).path) if word == "run" else word for word in arguments)
    assert_one_line(liveness(*arguments, cwd=folder), 2, "/nonexist" if "/proc/x" not in arguments else "/proc/x")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("10.0.0.0/24",), 2, 'TARGETS: ["10.0.0.0/24"]: no target is left'),
        (("-w", "/dev/null"), 2, '--allowlist-file: ["/dev/null"]: no target is left'),
        (("192.88.98.1",), 4, "--contact: '': 1 target, public addresses among them"),
    ],
)
def test_without_a_config_options_are_named(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    assert_one_line(liveness("scan", "--dryrun", *arguments, cwd=tmp_path), code, f"error: {words}")
