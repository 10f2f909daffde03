"""A real browser without a screen: Chromium in a private network, spoken to over pipes in its own protocol (CDP)."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Debian's name for it, and others'."""
PATIENCE_S = 90.0
QUIET_S = 0.5
"""A page that asks for nothing for so long asks for nothing more."""
FLAGS = (
    "--headless",
    "--no-sandbox",  # it would refuse to start for root, and the network is private
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
)


class Chromium:
    """One browser with one page. `events` are all that the page has told of: requests, console, exceptions."""

    def __init__(self, profile: Path) -> None:
        program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
        assert program is not None, "no Chromium: apt-get install chromium"
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # the protocol wants commands on descriptor 3 and answers on 4
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, program, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever the browser answers
        """Call a method of the protocol and return its result; what else the browser tells is kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while True:
            answer = self._next(until - time.monotonic())
            assert answer is not None, f"Chromium has not answered {method}"
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path, *, scheme: str = "light", width: int = 1100) -> None:
        """Open a file and wait until it has loaded and is quiet."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        until = time.monotonic() + PATIENCE_S
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            event = self._next(until - time.monotonic())
            assert event is not None, "the page has not loaded"
            self.events.append(event)
        while (event := self._next(QUIET_S)) is not None:
            self.events.append(event)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever it evaluates to
        """Return the value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self) -> bytes:
        """Return the whole page as a PNG."""
        content = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        return base64.b64decode(content)

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of all events of a kind."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self) -> None:
        """End the browser."""
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _next(self, patience_s: float) -> dict[str, Any] | None:
        """Return the next message, None if there is none for so long or the browser has gone."""
        until = time.monotonic() + patience_s
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            if not ready or not (content := os.read(self._in, 1 << 20)):
                return None
            self._rest += content
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def seen(page: Path, profile: Path, questions: dict[str, str], *, scheme: str = "light", width: int = 1100) -> Any:  # noqa: ANN401 - see evaluate
    """Open a page in a private network; return its events by kind, a screenshot, and the answers to questions."""

    def inside() -> dict[str, Any]:
        enter_private_network()
        browser = Chromium(profile)
        try:
            browser.open(page, scheme=scheme, width=width)
            return {
                "requests": [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")],
                "failed": browser.told("Network.loadingFailed"),
                "console": browser.told("Runtime.consoleAPICalled"),
                "exceptions": browser.told("Runtime.exceptionThrown"),
                "log": browser.told("Log.entryAdded"),
                "answers": {name: browser.evaluate(question) for name, question in questions.items()},
                "screenshot": browser.screenshot(),
            }
        finally:
            browser.close()

    return run_in_child(inside)
