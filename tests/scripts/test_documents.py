"""Every command of the README and the documents runs as it is printed, in order, in the lab.

A block that is not run says why, in a comment before it: <!-- not run: REASON -->.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.census.support import EXEC, clean_environment

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK: Final = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
COMMAND: Final = re.compile(
    r"(?:\$ )?((?:[A-Z_]+=\S+ )?(?:sudo |\$\{EDITOR:-vi\} |liveness |scripts/|zmap |tcpdump ).*)"
)
MOST_NOT_RUN: Final = 20
"""Blocks that are left out, of all documents: each is a promise that nobody keeps but the reader."""


@dataclass(frozen=True)
class Command:
    """One command as it is printed: where, and why it is not run, if so."""

    document: Path
    line: int
    text: str
    reason: str | None

    @property
    def place(self) -> str:
        return f"{self.document.name}:{self.line}"


def commands_of(document: Path) -> list[Command]:
    content = document.read_text()
    found = []
    for block in BLOCK.finditer(content):
        if block["kind"] not in ("", "console", "sh"):
            continue
        first = content.count("\n", 0, block.start("text")) + 1
        for number, line in enumerate(block["text"].splitlines()):
            if match := COMMAND.fullmatch(line):
                found.append(Command(document, first + number, match[1], block["reason"]))
    return found


ALL: Final = [command for document in DOCUMENTS for command in commands_of(document)]
RUN: Final = [command for command in ALL if command.reason is None]

EDIT: Final = """#!/bin/sh
sed -i -e 's|^  allow: .*|  allow: [9.9.8.0/24]|' -e 's|^contact: .*|contact: https://example.org/scan|' \\
    -e 's|^rate: .*|rate: 1kpps|' -e 's|^cooldown: .*|cooldown: 1s|' -e 's|^probe_spacing: .*|probe_spacing: 10ms|' "$1"
echo 'replies: both' >> "$1"
"""
SCRIPT: Final = """
set -u
export PATH={tools}:$PATH EDITOR={tools}/edit
place={place}
run() {{ # number, directory, command
    cd "$2" || exit 1
    bash -o pipefail -c "$3" > "$place/$1.out" 2> "$place/$1.err" < /dev/null
    echo $? > "$place/$1.code"
    manifest=$(ls -t sets/*/*/manifest.json 2> /dev/null | head -1)
    if [ ! -e RUN ] && [ -n "$manifest" ]; then ln -s "$(dirname "$manifest")" RUN; fi
}}
"""


def tools(folder: Path) -> None:
    """Put the commands of the documents on a path: ours, and stand-ins for those that are not here."""
    folder.mkdir()
    scripts = {
        "liveness": f'#!/bin/sh\nexec {sys.executable} -m liveness "$@"\n',
        "sudo": '#!/bin/sh\nexec "$@"\n',
        "zmap": "#!/bin/sh\nprintf 'saddr\\n9.9.8.1\\n9.9.8.2\\n'\n",
        "edit": EDIT,
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def workspace(folder: Path) -> None:
    """Make what the documents take for granted: files of the reader's own."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "liveness").symlink_to(folder.parent / "tools" / "liveness")
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "zmap-443.csv").write_text("saddr\n9.9.8.1\n9.9.8.2\n")
    for name in ("zmap.csv", "b.csv"):
        shutil.copy(folder / "zmap-443.csv", folder / name)
    for name in ("zmap.conf", "b.txt"):
        (folder / name).write_text("198.51.100.0/24 # somebody\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run all commands, document by document, each in a copy of what the README left; return where the results are."""
    base = tmp_path_factory.mktemp("documents")
    tools(base / "tools")
    (base / "results").mkdir()
    workspace_of = {document: base / document.stem for document in DOCUMENTS}
    workspace_of[ROOT / "README.md"].mkdir()
    workspace(workspace_of[ROOT / "README.md"])
    script = SCRIPT.format(tools=base / "tools", place=base / "results")
    last = None
    for number, command in enumerate(RUN):
        if command.document != last and last is not None:
            script += f"cp -a {base}/README {workspace_of[command.document]}\n{prepared(command.document.stem)}"
        last = command.document
        text = json.dumps(command.text).replace("$", "\\$").replace("`", "\\`")
        script += f"run {number} {workspace_of[command.document]} {text}\n"
    (base / "script").write_text(script)
    done = subprocess.run(
        [*EXEC, "--internet", "paper", "--", "bash", str(base / "script")],
        cwd=base,
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return base / "results"


def prepared(document: str) -> str:
    """Return what lies ready in a document's directory beside what the README left."""
    lines = {
        "opt-outs": "rm -f census.yaml blocklist.txt",
        "census": "rm -rf sets RUN; sed 's/^name: .*/name: weekly/' census.yaml > weekly.yaml",
        "every-week": "rm -rf sets RUN; sed 's/^name: .*/name: weekly/' census.yaml > weekly.yaml",
        "sets": "for name in a icmp seen all; do cp RUN/sets/icmp.echo-reply.source.roaring $name.roaring; done\n"
        "liveness sets convert b.csv c.set; echo 192.0.2.0/24 >> blocklist.txt",
        "replies": "cp RUN/pcap/*.pcap there.pcap; rm -rf replay",
    }
    return f"cd $place/../{document} && {lines[document]}\n" if document in lines else ""


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(RUN)), ids=[command.place for command in RUN])
def test_the_command_runs_as_it_is_printed(place: Path, number: int) -> None:
    code = (place / f"{number}.code").read_text().strip()
    said = (place / f"{number}.err").read_text()
    assert code == "0", f"{RUN[number].place}: {RUN[number].text}\nexit code {code}\n{said}"
    assert "Traceback" not in said


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    left_out = [command for command in ALL if command.reason is not None]
    assert all(len(command.reason or "") > len("a synops") for command in left_out)
    assert len({(command.document, command.reason) for command in left_out}) <= MOST_NOT_RUN
    assert len(RUN) > len(left_out)


def test_nothing_that_looks_like_a_command_is_passed_over() -> None:
    for document in DOCUMENTS:
        for block in BLOCK.finditer(document.read_text()):
            if block["kind"] in ("", "console", "sh") and block["reason"] is None:
                lines = block["text"].splitlines()
                commands = [line for line in lines if COMMAND.fullmatch(line)]
                assert len(commands) in (0, len(lines)), f"{document.name}: {lines}"
