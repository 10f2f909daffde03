"""What starts a census: units that systemd itself verifies, lines that a shell runs as they are meant."""

import configparser
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liveness.census.timers.calendar import calendar_of
from liveness.census.timers.cron import SCHEDULES, cron_file, schedule_of
from liveness.census.timers.installing import hidden_from_others, prepare_output
from liveness.census.timers.job import Job
from liveness.census.timers.systemd import units
from liveness.cli.census import command
from liveness.errors import LivenessError, UsageError
from tests.census.support import write_yaml

ODD = "/srv/a %d $HOME \"quoted\" 'it' \\ back"


def job(user: str | None = "census", config: str = "/etc/liveness/weekly.yaml") -> Job:
    program = (sys.executable, "-m", "liveness")
    return Job("weekly", program, Path(config), user, user, Path("/srv/census"), Path("/srv/census/sets/weekly"))


def stray_lines(text: str) -> list[str]:
    """Return the lines of a unit that are neither section, assignment, comment nor empty."""
    return [line for line in text.splitlines() if not re.fullmatch(r"(\[[A-Z][a-z]+\]|[A-Z][A-Za-z]*=.+|#.*|)", line)]


def verified(folder: Path) -> str:
    """Return what systemd-analyze complains of in the units of a folder, nothing if they are sound."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return "\n".join(line for path in folder.iterdir() for line in stray_lines(path.read_text()))
    files = sorted(str(path) for path in folder.iterdir())
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
    done = subprocess.run(
        [program, "verify", "--man=no", *files], capture_output=True, text=True, check=False, env=environment
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "liveness" in line or "weekly" in line]
    assert ours or done.returncode == 0, done
    return "\n".join(ours)


@pytest.mark.parametrize("user", ["census", None])
@pytest.mark.parametrize("schedule", ["weekly", "Mon,Thu *-*-* 03:17:00"])
def test_systemd_finds_the_units_sound(tmp_path: Path, user: str | None, schedule: str) -> None:
    for file in units(job(user), schedule):
        (tmp_path / file.name).write_text(file.text)
    assert verified(tmp_path) == ""


def test_a_run_that_ended_early_is_resumed_unless_it_was_stopped() -> None:
    """Exit code 5: the way was broken for too long, or too much was lost."""
    for file in units(job(), "weekly"):
        found = re.search("^RestartPreventExitStatus=(.*)$", file.text, re.MULTILINE)
        assert (found is not None) == ("Restart=on-failure\n" in file.text) == file.name.endswith(".service")
        assert found is None or "5" not in found[1].split()
    for file in units(replace(job(), goes_on=False), "weekly"):
        assert "Restart" not in file.text


def test_a_survey_that_ended_early_is_no_reason_for_another_census(tmp_path: Path) -> None:
    """The service of the schedule takes the next census: after a failure only the other one is started again."""
    followed = replace(job(), followed=True)
    service, _, boot = units(followed, "weekly")
    first, resumed = (sections(unit.text) for unit in (service, boot))
    assert "Restart" not in service.text
    assert first["Unit"]["OnFailure"] == "liveness-weekly-boot.service"
    assert first["Service"]["SuccessExitStatus"] == "130 143", "a stopped run is no failure"
    assert (first["Service"]["Type"], resumed["Service"]["Type"]) == ("oneshot", "exec"), "the boot ends before it"
    assert resumed["Service"]["Restart"] == "on-failure"
    for unit in (service, boot):
        (tmp_path / unit.name).write_text(unit.text)
    assert verified(tmp_path) == ""
    for unit in units(replace(followed, goes_on=False), "weekly"):
        assert "Restart" not in unit.text
        assert "OnFailure" not in unit.text


def test_units_have_no_stray_lines() -> None:
    assert stray_lines("".join(file.text for file in units(job(), "weekly"))) == []
    assert stray_lines("[Unit]\nDescription\n= x\n") == ["Description", "= x"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="without systemd units are judged by their lines")
def test_systemd_finds_faults_where_there_are_some(tmp_path: Path) -> None:
    """The judge of the test above can say no."""
    for file in units(job(), "weekly"):
        (tmp_path / file.name).write_text(file.text.replace("ProtectSystem=strict", "ProtectSystem=sometimes"))
    assert "sometimes" in verified(tmp_path)


def sections(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of units have capitals
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize("user", ["census", None])
def test_the_service_has_two_capabilities_and_no_root(user: str | None) -> None:
    service, timer, boot = units(job(user), "monthly")
    for unit in (service, boot):
        settings = sections(unit.text)["Service"]
        assert settings["AmbientCapabilities"] == settings["CapabilityBoundingSet"] == "CAP_NET_RAW CAP_NET_ADMIN"
        assert settings["NoNewPrivileges"] == "yes"
        assert settings["ProtectSystem"] == "strict"
        assert settings["UMask"] == "0077"
        assert settings["User"] == (user or "liveness-weekly"), "the same for both, or files would change hands"
        assert settings.get("StateDirectory") == (None if user else "liveness-weekly")
        assert settings.get("DynamicUser") == ("yes" if user is None else None)
        assert settings.get("ReadWritePaths") == ("/srv/census/sets/weekly" if user else None)
    assert sections(timer.text)["Timer"]["OnCalendar"] == "monthly"
    assert sections(timer.text)["Timer"]["Persistent"] == "yes"
    assert sections(service.text)["Service"]["ExecStart"].endswith(
        "-m liveness census run --quiet --config /etc/liveness/weekly.yaml"
    )
    assert sections(boot.text)["Service"]["ExecStart"].endswith(" --unfinished")
    assert sections(boot.text)["Service"]["SuccessExitStatus"] == "4"
    assert sections(boot.text)["Install"]["WantedBy"] == "multi-user.target"
    assert (service.name, timer.name) == ("liveness-weekly.service", "liveness-weekly.timer")


def test_names_with_signs_reach_the_program_by_systemd(tmp_path: Path) -> None:
    """Undone by the rules of systemd.service(5), the words are those that were given; and systemd takes them."""
    service = units(job(config=ODD), "weekly")[0]
    (tmp_path / service.name).write_text(service.text)
    assert verified(tmp_path) == ""
    line = sections(service.text)["Service"]["ExecStart"]
    quoted = re.search(r'"((?:[^"\\]|\\.)*)"', line)
    assert quoted is not None
    undone = re.sub(r"\\(.)", r"\1", quoted[1]).replace("%%", "%").replace("$$", "$")
    assert undone == ODD


def lines_of(text: str) -> list[tuple[str, str, str]]:
    """Return schedule, user and command of each job of a file of cron.d, as cron splits them."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#") and not re.match(r"[A-Z]+=", line):
            fields = 1 if line.startswith("@") else 5
            parts = line.split(None, fields + 1)
            command_text = re.split(r"(?<!\\)%", parts[fields + 1])[0].replace(r"\%", "%")
            found.append((" ".join(parts[:fields]), parts[fields], command_text))
    return found


def test_names_with_signs_reach_the_program_by_cron(tmp_path: Path) -> None:
    """Run by sh as cron would, with a setpriv that prints its words."""
    folder = tmp_path / "a %d 'folder'"
    folder.mkdir()
    recorder = tmp_path / "setpriv"
    recorder.write_text('#!/bin/sh\npwd; umask; printf "%s\\n" "$@"\n')
    recorder.chmod(0o755)
    given = Job("weekly", ("/opt/liveness",), Path(ODD), "census", "staff", folder, folder / "sets")
    for (schedule, user, text), more in zip(
        lines_of(cron_file(given, "weekly").text), ([], ["--unfinished"]), strict=True
    ):
        assert schedule == ("@reboot" if more else SCHEDULES["weekly"])
        assert user == "root"
        done = subprocess.run(
            ["/bin/sh", "-c", text],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        )
        where, mask, *words = done.stdout.splitlines()
        assert (where, int(mask, 8)) == (str(folder), 0o077)
        assert words[:2] == ["--reuid=census", "--regid=staff"]
        assert words[-(5 + len(more)) - 1 :] == ["/opt/liveness", "census", "run", "--quiet", "--config", ODD, *more]


@pytest.mark.skipif(os.geteuid() != 0, reason="setpriv gives up root only where there is some")
def test_cron_gives_up_root_for_two_capabilities(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    given = Job(
        "weekly", ("/bin/cat", "/proc/self/status"), Path("/dev/null"), "nobody", "nogroup", Path("/"), Path("/")
    )
    text = lines_of(cron_file(given, "weekly").text)[0][2].partition(" census run ")[0]
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False)
    if "setpriv" in done.stderr:  # a container that holds neither capability cannot give them on
        pytest.fail(done.stderr)
    status = dict(line.split(":", 1) for line in done.stdout.splitlines())
    net_raw_and_admin = f"{1 << 13 | 1 << 12:016x}"
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
        assert status[kind].strip() == net_raw_and_admin, kind
    assert set(status["Uid"].split()) == {"65534"}
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 2 3 4", "4 fields"),
        ("a b c d ;", "'a' is no minute"),
        ("", "0 fields"),
        ("17 3 * * 1; rm", "6 fields"),
        ("1 2 3 4 5 6", "6 fields"),
        ("61 3 * * 1", "minute 61: expected 0 to 59"),
        ("0 24 * * *", "hour 24: expected 0 to 23"),
        ("0 3 0 * *", "day of the month 0: expected 1 to 31"),
        ("0 3 * 13 *", "month 13"),
        ("0 3 * * 8", "day of the week 8: expected 0 to 7"),
        ("0 3 * * 5-2", "ends before it begins"),
        ("*/0 3 * * *", "a step"),
        ("5/2 3 * * *", "a step follows"),
        ("0 3 31 2,4 *", "it would never begin"),
        ("0 3 * * Monday", "'Monday' is no day of the week"),
        ("every monday", "2 fields"),
        ("Mon 03:17", "times of systemd go with --timer weekly"),
    ],
)
def test_what_is_no_schedule_of_cron_is_reported(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match="expected hourly, daily, weekly, monthly, or five fields") as refused:
        schedule_of(text)
    assert problem in str(refused.value)
    assert "17 3 * * 1" in str(refused.value)


@pytest.mark.parametrize("by_systemd", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "weekly\nExecStart=/bin/sh",
        "%i",
        "x" * 101,
        "every monday",
        "monday at 3",
        "Mon 25:00",
        "Mon 03:61",
        "*-13-01 03:00",
        "*-01-32",
        "Mon 3",
        "-o",
        "Mon 03:17 03:18",
    ],
)
def test_what_is_no_calendar_is_reported(monkeypatch: pytest.MonkeyPatch, text: str, *, by_systemd: bool) -> None:
    if not by_systemd:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match="expected hourly, daily, weekly, monthly, or a time"):
        calendar_of(text)


SOUND = [
    "weekly", "Mon 03:17", "Mon,Thu *-*-* 03:17:00", "*-*-01 03:17", "Mon..Fri 03:17", "2099-01-01 03:00 UTC",
    "*-*~01 03:17", "*:0/15", "hourly", "Sat *-1,4,7,10-01..07 18:00", "quarterly", "12-24 18:00 Europe/Berlin",
]  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
def test_systemd_and_our_grammar_take_the_same_times(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert calendar_of(text) == text
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert calendar_of(text) == text


def test_a_time_that_never_comes_is_reported() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is needed: see .ci/run")
    with pytest.raises(UsageError, match="it would never begin"):
        calendar_of("2020-01-01 03:00")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("17 3 * * 1", "Mon *-*-* 03:17:00"),
        ("*/20 * * * *", "*-*-* *:00,20,40:00"),
        ("0 6 1,15 * *", "*-*-01,15 06:00:00"),
        ("30 4 * 1-3 0,6-7", "Sun,Sat *-01,02,03-* 04:30:00"),
    ],
)
def test_five_fields_of_cron_become_a_time_of_systemd(fields: str, expected: str) -> None:
    assert calendar_of(fields) == expected


NUMBERS = [st.integers(0, 59), st.integers(0, 23), st.integers(1, 28), st.integers(1, 12), st.integers(0, 7)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_converted_fields_mean_the_same_times_to_systemd(data: st.DataObject) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.fail("systemd-analyze is needed: see .ci/run")
    chosen = [data.draw(st.none() | st.frozensets(numbers, min_size=1, max_size=3)) for numbers in NUMBERS]
    chosen[data.draw(st.sampled_from([2, 4]))] = None  # of both days systemd has no either
    fields = " ".join("*" if entry is None else ",".join(map(str, sorted(entry))) for entry in chosen)
    minutes, hours, days, months, weekdays = chosen
    done = subprocess.run(
        [program, "calendar", "--iterations=3", calendar_of(fields)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
    )
    times = re.findall(r"(?:Next elapse|Iter\. #\d+): (\w+ \d+-\d+-\d+ \d+:\d+:\d+)", done.stdout)
    assert len(times) == 3
    for time in times:
        moment = datetime.strptime(time, "%a %Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - UTC, as the environment says
        assert moment.second == 0
        assert minutes is None or moment.minute in minutes
        assert hours is None or moment.hour in hours
        assert days is None or moment.day in days
        assert months is None or moment.month in months
        assert weekdays is None or moment.isoweekday() % 7 in {day % 7 for day in weekdays}


def test_fields_that_systemd_cannot_have_are_reported() -> None:
    with pytest.raises(UsageError, match="cron takes either day, systemd only days that are both"):
        calendar_of("17 3 1 * 1")
    with pytest.raises(UsageError, match="minute 61: expected 0 to 59"):
        calendar_of("61 3 * * 1")


@given(st.text(min_size=1), st.text(min_size=1))
@example("weekly.v2", "weekly-v2")
@example("weekly_v2", "weekly.v2")
@example("weekly-boot", "weekly")
def test_no_two_censuses_share_a_unit(name: str, other: str) -> None:
    names = [
        {file.name for file in units(replace(job(), name=each), "weekly")} | {replace(job(), name=each).label}
        for each in (name, other)
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", replace(job(), name=each).label) for each in (name, other))
    assert name == other or not names[0] & names[1]


def test_made_up_users_of_long_names_differ() -> None:
    users = set()
    for name in ("a" * 40 + "b", "a" * 40 + "c"):
        [service, *_] = units(replace(job(None), name=name), "weekly")
        users.add(sections(service.text)["Service"]["User"])
    assert len(users) == 2
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{0,30}", user) for user in users)


def install(*arguments: str | Path, answer: str = "") -> Result:
    return CliRunner().invoke(command, ["install", *map(str, arguments)], input=answer, catch_exceptions=False)


def config(folder: Path, **changes: object) -> Path:
    return write_yaml(folder / "c.yaml", {"name": "we.ekly", "targets": {"allow": ["10.0.0.0/24"]}} | changes)


def test_it_prints_asks_and_installs(tmp_path: Path) -> None:
    where = tmp_path / "units"
    where.mkdir()
    arguments = ("-C", config(tmp_path), "--dir", where)
    refused = install(*arguments, answer="n\n")
    assert refused.exit_code == 1
    assert list(where.iterdir()) == []
    done = install(*arguments, answer="y\n")
    assert done.exit_code == 0
    names = ["liveness-we_2eekly-boot.service", "liveness-we_2eekly.service", "liveness-we_2eekly.timer"]
    assert sorted(path.name for path in where.iterdir()) == names
    assert all((where / name).read_text() in done.stdout for name in names)
    assert f"--config {tmp_path}/c.yaml" in done.stdout
    assert "systemctl enable --now liveness-we_2eekly.timer" in done.stderr
    assert verified(where) == ""
    again = install(*arguments, "--yes", "--timer", "cron", "--user", "census", "--schedule", "5 4 1 * *")
    assert again.exit_code == 0
    assert (where / "liveness-we_2eekly").read_text() in again.stdout
    assert "\n5 4 1 * * root cd " in again.stdout
    assert "systemctl" not in again.stderr


def test_what_a_made_up_user_cannot_read_is_reported(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    path = config(tmp_path)
    path.chmod(0o644)
    assert hidden_from_others(path) is None
    path.chmod(0o640)
    assert hidden_from_others(path) == path
    (tmp_path / "units").mkdir()
    done = install("-C", path, "--dir", tmp_path / "units", "--yes")
    assert f"liveness: warning: {path}: a user that systemd makes up cannot read this" in done.stderr
    assert "cannot read" not in install("-C", path, "--dir", tmp_path / "units", "--yes", "--user", "census").stderr
    tmp_path.chmod(0o700)
    path.chmod(0o644)
    assert hidden_from_others(path) == tmp_path
    assert hidden_from_others(tmp_path / "absent") == tmp_path / "absent"


def test_what_watches_is_handed_on(tmp_path: Path) -> None:
    where = tmp_path / "units"
    where.mkdir()
    watching = ("--metrics-file", tmp_path / "prom dir" / "a.prom", "--metrics-address", ":9600")
    install("-C", config(tmp_path), "--dir", where, "--yes", "--user", "census", *watching)
    settings = sections((where / "liveness-we_2eekly-boot.service").read_text())["Service"]
    assert settings["ExecStart"].endswith(
        f'--metrics-file "{tmp_path}/prom dir/a.prom" --metrics-address :9600 --unfinished'
    )
    assert settings["ReadWritePaths"].endswith(f'/sets/we.ekly "{tmp_path}/prom dir"')
    assert verified(where) == ""
    with pytest.raises(UsageError, match="--status-file: a user that systemd makes up cannot write there"):
        install("-C", config(tmp_path), "--dir", where, "--yes", "--status-file", "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timer", "cron"], "--timer cron needs --user: a census does not run as root"),
        (["--user", "root"], "--user 'root': expected the name of a user other than root"),
        (["--user", "a b"], "--user 'a b': expected the name of a user"),
        (["--schedule", "\n"], "--schedule '\\n': expected hourly"),
        (["--dir", "/nowhere/at/all", "--yes"], "--dir /nowhere/at/all: no such directory: make it first"),
    ],
)
def test_mistakes_are_reported(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        install("-C", config(tmp_path), *arguments)


def test_an_output_that_a_made_up_user_cannot_write_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"c\.yaml: \$\.output: '/srv/sets': a user that systemd makes up"):
        install("-C", config(tmp_path, output="/srv/sets"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_directories_are_given_to_the_user_and_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    nobody = pwd.getpwnam("nobody").pw_uid
    mine = tmp_path / "sets" / "mine"
    given = Job("mine", ("liveness",), tmp_path / "c.yaml", "nobody", "nogroup", tmp_path, mine)
    prepare_output(given)
    prepare_output(given)
    assert (mine.stat().st_uid, mine.parent.stat().st_uid) == (nobody, 0)
    etc = tmp_path / "etc"
    etc.mkdir()
    os.chown(mine, nobody, -1)
    (mine / "after").symlink_to(etc)
    os.chown(mine / "after", nobody, -1, follow_symlinks=False)
    with pytest.raises(LivenessError, match=r"after: cannot be made for user nobody: .*symbolic link of user"):
        prepare_output(replace(given, also_written=(mine / "after",)))
    assert etc.stat().st_uid == 0
    os.chown(etc, 1, -1)
    with pytest.raises(LivenessError, match="etc: is of user 1, not nobody: chown it"):
        prepare_output(replace(given, also_written=(etc,)))


def test_systemd_is_reloaded_where_units_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, programs = tmp_path / "units", tmp_path / "programs"
    where.mkdir()
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setattr("liveness.census.timers.installation.SYSTEMD_FOLDER", where)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    output = tmp_path / "sets"
    done = install("-C", config(tmp_path, output=str(output)), "--user", "nobody", "--yes")
    assert done.exit_code == 0
    assert (tmp_path / "told").read_text().splitlines() == [
        "daemon-reload",
        "enable --now liveness-we_2eekly.timer",
        "enable liveness-we_2eekly-boot.service",
    ]
    assert (output / "we.ekly").is_dir()
    (programs / "systemctl").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(LivenessError, match="systemctl daemon-reload: exit code 3"):
        install("-C", config(tmp_path, output=str(output)), "--user", "nobody", "--yes")


def test_every_word_of_the_command_stands_for_itself() -> None:
    words = job().command("--unfinished")
    assert shlex.split(shlex.join(words)) == list(words)
    assert words[-1] == "--unfinished"
