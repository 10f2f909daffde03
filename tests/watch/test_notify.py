"""Notifications: which events are sent, and failures that harm no census. Webhooks are servers on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from liveness.census.message import Message
from liveness.config.load import load_config
from liveness.config.model import Notify
from liveness.errors import UsageError
from liveness.watch.notify import Notifier

MESSAGE = Message(
    census="weekly",
    run="2026-03-01T030000Z",
    events=["complete", "drops"],
    summary="census weekly: complete",
    alarms=["losses: 5 packets"],
    directory="/srv/sets/weekly",
)


@dataclass
class Hook:
    """A webhook that answers with these codes in turn, the last for ever."""

    codes: list[int]
    silent: bool = False
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def hook(*codes: int, silent: bool = False) -> Iterator[Hook]:
    """Serve a webhook on loopback."""
    state = Hook(list(codes), silent)
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append((self.path, dict(self.headers), body))
            if state.silent:
                released.wait(30)
                return
            code = state.codes[min(len(state.received), len(state.codes)) - 1]
            self.send_response(code)
            if code == 302:
                self.send_header("Location", state.url + "elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/secret/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach loopback itself, whatever proxy this machine has."""
    monkeypatch.setenv("no_proxy", "*")


def send(notify: Notify, message: Message = MESSAGE) -> list[str]:
    """Send a message without pauses between attempts, and return the warnings."""
    warnings: list[str] = []
    Notifier(notify, notify.on, warnings.append, (0, 0), webhook_timeout_s=0.5, command_timeout_s=0.5).send(message)
    return warnings


def test_a_webhook_gets_the_message() -> None:
    with hook(200) as state:
        assert send(Notify(webhook=state.url)) == []
    [(path, headers, body)] = state.received
    assert path == "/secret/"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("liveness/")
    assert json.loads(body) == {
        "schema": 1,
        "census": "weekly",
        "run": "2026-03-01T030000Z",
        "events": ["complete", "drops"],
        "summary": "census weekly: complete",
        "alarms": ["losses: 5 packets"],
        "exit_code": 0,
        "directory": "/srv/sets/weekly",
        "record": None,
    }


@pytest.mark.parametrize(
    ("codes", "tries", "warning"),
    [
        ([503, 204], 2, None),
        ([500, 429, 200], 3, None),
        ([503], 3, "answered 503 Service Unavailable"),
        ([404], 1, "answered 404 Not Found"),
        ([302], 1, "answered 302 Found"),
    ],
)
def test_it_is_tried_again_where_that_may_help(codes: list[int], tries: int, warning: str | None) -> None:
    with hook(*codes) as state:
        warnings = send(Notify(webhook=state.url))
        place = state.url.removesuffix("secret/")
    assert len(state.received) == tries
    assert warnings == ([] if warning is None else [f"notify.webhook: {place}…: {warning}"])
    assert len({body for *_, body in state.received}) == 1


def test_a_webhook_that_does_not_answer_is_given_up() -> None:
    with hook(silent=True) as state:
        [warning] = send(Notify(webhook=state.url))
    assert len(state.received) == 3
    assert warning.endswith("no answer: timed out")
    assert "secret" not in warning


def test_a_webhook_that_is_not_there_is_reported() -> None:
    with hook(200) as state:
        pass
    [warning] = send(Notify(webhook=state.url))
    assert warning.endswith("no answer: [Errno 111] Connection refused")
    assert "secret" not in warning


def test_a_command_gets_message_and_environment(tmp_path: Path) -> None:
    script = tmp_path / "a script"
    script.write_text(
        f'#!/bin/sh\ncat > {tmp_path}/stdin; env | grep ^CENSUS_ | sort > {tmp_path}/env; echo "$1" > {tmp_path}/word\n'
    )
    script.chmod(0o755)
    assert send(Notify(command=(str(script), "a word; $HOME"))) == []
    assert (tmp_path / "stdin").read_bytes() == MESSAGE.encoded()
    assert (tmp_path / "word").read_text() == "a word; $HOME\n", "no shell reads it"
    assert (tmp_path / "env").read_text().splitlines() == [
        "CENSUS_DIRECTORY=/srv/sets/weekly",
        "CENSUS_EVENTS=complete drops",
        "CENSUS_EXIT_CODE=0",
        "CENSUS_NAME=weekly",
        "CENSUS_RUN=2026-03-01T030000Z",
        "CENSUS_SUMMARY=census weekly: complete",
    ]
    assert send(Notify(command=f"'{script}' 'one word'")) == []
    assert (tmp_path / "word").read_text() == "one word\n"


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("/nowhere/at/all", "/nowhere/at/all: cannot be run: No such file or directory"),
        (("sh", "-c", "echo a >&2; echo no mail here >&2; exit 3"), "sh: exit code 3: no mail here"),
        ("false", "false: exit code 1"),
        ("sleep 30", "sleep: still running after 0.5 s: ended"),
        (("true",), None),  # it does not read its input
    ],
)
def test_a_command_that_fails_is_one_line(command: str | tuple[str, ...], warning: str | None) -> None:
    assert send(Notify(command=command)) == ([] if warning is None else [f"notify.command: {warning}"])


def test_only_events_that_are_asked_for_are_reported(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    notify = Notify(command=("touch", str(marker)), on=("failure", "hit_rate"))
    assert send(notify) == []
    assert not marker.exists()
    assert send(notify, Message.of_failure(tmp_path, "no such interface", 1)) == []
    assert marker.exists()


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ({"webhook": "example.org/hook"}, "$.notify.webhook: 'example.org/hook': expected a URL"),
        ({"webhook": "ftp://example.org"}, "$.notify.webhook: 'ftp://example.org': expected a URL"),
        ({"webhook": "https:///x"}, "$.notify.webhook: 'https:///x': expected a URL"),
        ({"webhook": "http://h:99999/"}, "$.notify.webhook: 'http://h:99999/': expected a URL"),
        ({"webhook": "http://me:word@h/"}, "$.notify.webhook: 'http://me:word@h/': expected a URL"),
        ({"command": "echo 'open"}, '$.notify.command: "echo \'open": expected a command as in a shell: no closing'),
        ({"command": [""]}, "$.notify.command"),
        ({"on": ["sometimes"]}, "$.notify.on[0]: 'sometimes': expected one of complete, failure, drops, hit_rate"),
        ({"fall": 1.0}, "$.notify.fall"),
        ({"at": "x"}, "$.notify.at: 'x': no such field"),
    ],
)
def test_what_is_wrong_in_the_config_is_reported(tmp_path: Path, notify: dict[str, object], message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps({"name": "x", "targets": {"allow": ["10.0.0.0/24"]}, "notify": notify}))
    with pytest.raises(UsageError) as caught:
        load_config(path, environment={})
    assert message in str(caught.value)
