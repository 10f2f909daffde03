"""The documentation site builds without a warning, and says everything that commands and interface say."""

import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from click import Group

import liveness
from liveness.cli.main import group
from tests.census.support import ROOT
from tests.cli.test_help import ALL

FOLDERS = ("docs", "scripts", "configs")
FILES = ("mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Containerfile")


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a repository, warnings as errors."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", source / "mkdocs.yml", "-d", site]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}  # the theme advertises its successor
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=source, env=quiet, capture_output=True, text=True, check=False)


def text_of(page: Path) -> str:
    """Return what a reader sees of a page, blanks as one."""
    shown = re.sub(r"<(script|style).*?</\1>", " ", page.read_text(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", shown)).split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def test_every_command_and_option_is_on_the_site(site: Path) -> None:
    text = text_of(site / "commands.html")
    for path, command in ALL.items():
        assert " ".join(("liveness", *path)) in text
        assert " ".join((command.help or "").split("\n\n", maxsplit=1)[0].split()) in text, path
        for parameter in [] if isinstance(command, Group) else command.params:
            assert max(parameter.opts, key=len) in text or parameter.param_type_name == "argument"
    assert isinstance(group, Group)


def test_every_public_name_is_on_the_site(site: Path) -> None:
    html = (site / "api.html").read_text()
    for name in liveness.__all__:
        assert name.startswith("_") or f'id="liveness.{name}"' in html, name
    assert 'id="liveness.Run.set"' in html


def test_links_of_the_readme_lead_to_pages(site: Path) -> None:
    index = (site / "index.html").read_text()
    for page in ("glossary.html", "census.html", "model.html"):
        assert f'href="{page}"' in index
    assert 'href="docs/' not in index
    assert 'href="CHANGELOG.md' not in index


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ("docs/sets.md", "[nowhere](nowhere.md)"),
        ("README.md", "[nowhere](docs/sets.md#no-such-heading)"),
        ("docs/orphan.md", "# A page that is in no list of contents"),
    ],
)
def test_a_mistake_stops_the_build(tmp_path: Path, document: str, wrong: str) -> None:
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / document).open("a") as file:
        file.write(f"\n{wrong}\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode == 1
    assert "WARNING" in built.stderr
    assert wrong.partition("(")[2].rstrip(")").partition("#")[2] in built.stderr
