"""Notifications: a command that gets a message on standard input, and a webhook to which the message is posted."""

import os
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Final, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from liveness.config.model import Delivery
from liveness.version import __version__

COMMAND_TIMEOUT_S: Final = 60.0
WEBHOOK_TIMEOUT_S: Final = 10.0
PAUSES_S: Final = (1.0, 5.0)
"""Pauses before the second and the third attempt."""
WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
SHOWN_CHARS: Final = 200


class Message(Protocol):
    """A message, the same for all recipients."""

    @property
    def events(self) -> Sequence[str]:
        """All events that the message is about."""

    @property
    def variables(self) -> Mapping[str, str]:
        """What the command finds in its environment."""

    def encoded(self) -> bytes:
        """Return the message as one JSON document."""


class NoRedirect(HTTPRedirectHandler):
    """Handler that follows no redirect: a redirected POST would arrive as a GET without its document."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Return None, so that the redirect is reported as an error."""
        del req, fp, code, msg, headers, newurl


@dataclass(frozen=True, slots=True)
class Notifier:
    """Notifier for the events that the config names. It never raises: `warn` is called with each failure."""

    delivery: Delivery
    on: Collection[str]
    """The events of which messages are sent."""
    warn: Callable[[str], None]
    pauses_s: tuple[float, ...] = PAUSES_S
    webhook_timeout_s: float = WEBHOOK_TIMEOUT_S
    command_timeout_s: float = COMMAND_TIMEOUT_S

    def send(self, message: Message) -> None:
        """Send a message if the config names one of its events."""
        if not set(message.events) & set(self.on):
            return
        if self.delivery.command:
            problem = self._run(message)
            if problem is not None:
                self.warn(f"notify.command: {problem}")
        if self.delivery.webhook:
            problem = self._post(message)
            if problem is not None:
                self.warn(f"notify.webhook: {_shown(self.delivery.webhook)}: {problem}")

    def _run(self, message: Message) -> str | None:
        """Run the command without a shell; return what went wrong, or None."""
        words = self.delivery.words
        try:
            done = subprocess.run(
                words,
                input=message.encoded(),
                env=os.environ | dict(message.variables),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self.command_timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{words[0]}: still running after {self.command_timeout_s:g} s: ended"
        except (OSError, ValueError) as error:
            return f"{words[0]}: cannot be run: {getattr(error, 'strerror', None) or error}"
        if done.returncode == 0:
            return None
        last_line = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"{words[0]}: exit code {done.returncode}" + "".join(f": {line[:SHOWN_CHARS]}" for line in last_line)

    def _post(self, message: Message) -> str | None:
        """Post the message, with repeated attempts if the failure may be temporary; return the last problem or None."""
        headers = {"Content-Type": "application/json", "User-Agent": f"liveness/{__version__}"}
        request = Request(self.delivery.webhook, message.encoded(), headers, method="POST")  # noqa: S310 - http or https: checked with the config
        opener = build_opener(NoRedirect)
        problem = self._try(opener, request)
        for pause_s in self.pauses_s:
            if problem is None or not problem.passing:
                break
            time.sleep(pause_s)
            problem = self._try(opener, request)
        return None if problem is None else problem.text

    def _try(self, opener: OpenerDirector, request: Request) -> "Refusal | None":
        try:
            with opener.open(request, timeout=self.webhook_timeout_s):
                return None
        except HTTPError as error:
            with error:
                return Refusal(f"answered {error.code} {error.reason}", passing=error.code in WORTH_ANOTHER_TRY)
        except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are subclasses of OSError
            reason = getattr(error, "reason", None) or error
            return Refusal(f"no answer: {reason}", passing=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why a webhook did not accept a message; `passing` says whether it may accept it later."""

    text: str
    passing: bool


def _shown(url: str) -> str:
    """Return a URL without its path, which may hold a secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…"
