"""The page in a real browser, offline: it asks for nothing, complains of nothing, and everything in it is seen."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liveness.analysis.counting.scope import Scope
from liveness.analysis.results import Results, analyze_sets
from liveness.report.page.page import report_page
from tests.populations import Population, town
from tests.report.browser import seen
from tests.report.runs import HOSTILE, full, full_manifest

pytestmark = pytest.mark.lab

QUESTIONS = {
    "figures": "document.querySelectorAll('figure').length",
    "images": "[...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight, i.alt.length])",
    "headings": "[...document.querySelectorAll('h1, h2, h3')].map(h => h.tagName + ' ' + h.textContent)",
    "tables": "[...document.querySelectorAll('table')].map(t => t.rows.length)",
    "scripts": "document.scripts.length",
    "wide": "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    "paper": "getComputedStyle(document.body).backgroundColor",
    "ink": "getComputedStyle(document.body).color",
    "dead": "[...document.links].filter(a => !document.getElementById(a.hash.slice(1))).length",
    "mode": "document.compatMode",
    "alerts": "[...document.querySelectorAll('[role=alert] li')].map(l => l.textContent)",
}


def written(folder: Path, html: str) -> Path:
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_offline(tmp_path: Path, scheme: str) -> None:
    path = written(tmp_path, report_page(Results([full()]), zooms=[10]))
    found = seen(path, tmp_path / "profile", QUESTIONS, scheme=scheme)
    assert [url for url in found["requests"] if not url.startswith("data:")] == [path.as_uri()]
    assert [found[kind] for kind in ("failed", "console", "exceptions", "log")] == [[], [], [], []]
    answers = found["answers"]
    assert answers["figures"] == len(answers["images"]) == 14
    for complete, width, height, alt in answers["images"]:
        assert complete
        assert min(width, height) > 200
        assert alt > 40
    assert answers["headings"][:3] == [
        "H1 Liveness report",
        "H2 Contents",
        f"H2 Run {full().manifest.run}",
    ]
    assert "H3 Ports answered (figure 4a)" in answers["headings"]
    assert min(answers["tables"]) >= 2
    assert (answers["scripts"], answers["dead"], answers["wide"]) == (0, 0, 0)
    assert answers["mode"] == "CSS1Compat"
    light, dark = ("rgb(255, 255, 255)", "rgb(26, 26, 26)"), ("rgb(21, 24, 28)", "rgb(232, 232, 232)")
    assert (answers["paper"], answers["ink"]) == (light if scheme == "light" else dark)
    picture = np.asarray(Image.open(io.BytesIO(found["screenshot"])).convert("RGB"))
    assert picture.shape[1] == 1100
    assert picture.shape[0] > 8000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200  # bars, maps and shades are there
    paper = (255, 255, 255) if scheme == "light" else (21, 24, 28)
    assert tuple(picture[2, 2]) == paper


def test_on_a_narrow_screen_only_tables_scroll(tmp_path: Path) -> None:
    path = written(tmp_path, report_page(Results([full()])))
    found = seen(path, tmp_path / "profile", QUESTIONS, width=380)
    assert found["answers"]["wide"] == 0


def test_a_hostile_name_runs_nothing(tmp_path: Path) -> None:
    name = HOSTILE + "<script>console.log(1)</script><img src=http://192.0.2.1/x onerror=console.log(2)>"
    hostile = Population(town().replies, name=name, status="partial", loss_warnings=[name])
    results = analyze_sets([(full_manifest(hostile.manifest()), hostile.open_set)], Scope())
    path = written(tmp_path, report_page(results))
    found = seen(path, tmp_path / "profile", QUESTIONS)
    assert [url for url in found["requests"] if not url.startswith("data:")] == [path.as_uri()]
    assert [found[kind] for kind in ("failed", "console", "exceptions", "log")] == [[], [], [], []]
    assert found["answers"]["scripts"] == 0
    assert found["answers"]["alerts"][-1] == f"{name}/2026-11-21T000000Z: {name}"


def test_the_judge_sees_what_a_page_asks_for(tmp_path: Path) -> None:
    """A page that is not like ours: its request, its error and its broken image are all noticed."""
    html = "<!DOCTYPE html><p>x</p><img src='http://192.0.2.1/x.png' alt='x'><script>console.log(1); nothing()</script>"
    found = seen(written(tmp_path, html), tmp_path / "profile", QUESTIONS)
    assert "http://192.0.2.1/x.png" in found["requests"]
    assert found["failed"]
    assert found["console"]
    assert found["exceptions"]
    assert found["answers"]["images"][0][1] == 0
