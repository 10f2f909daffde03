"""Small things that people trip over on the command line, each told in one line before anything happens."""

from pathlib import Path

import pytest

from tests.cli.support import assert_one_line, liveness


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "census.yaml").write_text("name: t\ntargets: {allow: [192.88.98.0/24]}\ncontact: x\n")
    return tmp_path


def test_a_lab_that_is_not_there_lists_all_that_are(folder: Path) -> None:
    for word in ("default", "paper"):
        assert word in liveness("lab", "exec", "--internet", "nope", "--", "true", cwd=folder).err


def test_installing_is_refused_before_it_asks(folder: Path) -> None:
    install = ("census", "install", "-C", "census.yaml")
    assert_one_line(liveness(*install, "--dir", "missing", cwd=folder), 2, "--dir missing: no such directory")
    assert_one_line(liveness(*install, "--user", "nosuchuser", cwd=folder), 2, "--user nosuchuser: no such user")
