"""The command line as a child with bounds: what it printed, its exit code, its largest memory, and how long it took."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ADDRESS_SPACE: Final = 6 << 30
"""So that what goes wrong ends here and not with the machine; libraries and threads map a good part of it unused."""
TIMEOUT_S: Final = 120.0
MOST_MEMORY_MB: Final = 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `code` is negative for a signal; `took_s` is processor time."""

    code: int
    out: str
    err: str
    memory_mb: int
    took_s: float

    def problem(self) -> str | None:
        """Return what is wrong with how it ended, None for nothing: see `tests.fuzzing.files`."""
        lines = self.err.splitlines()
        if not 0 <= self.code <= 5:
            return f"exit code {self.code}: {self.err[-300:]!r}"
        if "Traceback" in self.err:
            return f"a traceback: {self.err[-300:]!r}"
        errors = [line for line in lines if line.startswith("liveness: error: ")]
        if self.code in (1, 2, 3, 4) and len(errors) != 1:
            return f"exit code {self.code} with {len(errors)} lines of error: {self.err[-300:]!r}"
        if any(not line.isprintable() for line in lines):
            return f"control characters on standard error: {self.err[-300:]!r}"
        if self.memory_mb > MOST_MEMORY_MB:
            return f"{self.memory_mb} MB of memory"
        return None


_WATCHER: Final = f"""
import json, os, resource, signal, subprocess, sys, time

def limit():
    resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE}, {ADDRESS_SPACE}))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

process = subprocess.Popen(sys.argv[1:], preexec_fn=limit)
deadline = time.monotonic() + {TIMEOUT_S}
while True:
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if pid:
        break
    if time.monotonic() > deadline:
        process.send_signal(signal.SIGKILL)
    time.sleep(0.02)
with open("{{}}", "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime], file)
"""
"""A small process that starts the command and measures it: a child's largest memory begins with that of the process
from which it is forked, and that of the tests has a gigabyte."""


def bounded(arguments: Sequence[str | Path], cwd: Path) -> Ended:
    """Run `liveness` with arguments in a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVENESS_")}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.NamedTemporaryFile() as measured:
        subprocess.run(
            [sys.executable, "-S", "-c", _WATCHER.format(measured.name), sys.executable, "-m", "liveness",
             *map(str, arguments)],
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=True,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        code, memory_kb, took_s = json.load(measured)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(1 << 20).decode("utf-8", "backslashreplace"))
        return Ended(code, texts[0], texts[1], memory_kb >> 10, took_s)
