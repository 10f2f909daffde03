"""A release is one version in one place, with its part of the changelog."""

import re
from importlib.metadata import version

import liveness
from tests.census.support import ROOT


def test_the_changelog_has_the_version_of_the_package_first() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert re.fullmatch(rf"{re.escape(liveness.__version__)} - \d{{4}}-\d\d-\d\d", released[0])
    assert headings.count("Unreleased") <= 1
    assert len(set(headings)) == len(headings)


def test_the_version_is_written_once() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project
    assert not re.search(r"^version = ", project, re.MULTILINE)
    assert version("liveness")
