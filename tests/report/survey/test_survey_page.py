"""The page of a survey: everything on it, nothing from elsewhere, in a real browser too; names in it are text."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liveness.analysis.survey.results import SurveyResults
from liveness.planes.manifest import Origin, SurveyGap
from liveness.report.figures.drawing import Drawing
from liveness.report.survey.page import headline_of, survey_page
from liveness.report.views.survey import survey_tables
from tests.report.browser import seen
from tests.report.reading import LOADING, Page
from tests.report.runs import HOSTILE
from tests.report.survey.surveys import analysed, drawings, truth, write_survey
from tests.report.test_browser import QUESTIONS

TOP = 20


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> tuple[SurveyResults, list[Drawing]]:
    results, gathered = analysed(write_survey(tmp_path_factory.mktemp("survey") / "run", truth()))
    return results, list(drawings(results, gathered).values())


@pytest.fixture(scope="module")
def html(survey: tuple[SurveyResults, list[Drawing]]) -> str:
    return survey_page(*survey, TOP)


def test_every_table_and_figure_is_on_the_page(html: str, survey: tuple[SurveyResults, list[Drawing]]) -> None:
    page = Page(html)
    results, drawn = survey
    titles = [text for level, text in page.headings if level == "h3"]
    tables = [table.title for table in survey_tables(results, TOP)]
    alts = {drawing.title: drawing.alt for drawing in drawn}
    assert sorted(titles) == sorted([*tables, *alts, "Provenance"])
    assert titles.index("Density of availability and up time, icmp") == titles.index("Availability") + 1
    rows = {row[1]: row for row in page.table("Availability").rows}
    reading = results.probes[0].readings[0]
    assert rows["plain"][2:5] == [f"{reading.ever:,}", f"{reading.availability:.4g}", f"{reading.mean_up:.4g}"]
    assert [image["alt"] for image in page.all("img")] == [alts[title] for title in titles if title in alts]
    assert "Read this first" not in html


def test_tables_of_outages_have_as_many_rows_as_asked(survey: tuple[SurveyResults, list[Drawing]]) -> None:
    results, _ = survey
    found = sum(len(block.trinocular or ()) for block in results.probes[0].blocks)
    assert found > 2
    page = Page(survey_page(results, [], 2))
    assert len(page.table(f"Outages by Trinocular, the longest 2 of {found}").rows) == 2


def test_the_page_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert not LOADING & {tag for tag, _ in page.tags}
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert (link["href"] or "").removeprefix("#") in ids
    for image in page.all("img"):
        assert (image["src"] or "").startswith("data:image/svg+xml;base64,")
    assert [level for level, _ in page.headings].count("h1") == 1


def test_a_survey_with_two_probes_has_an_anchor_for_each_table(tmp_path: Path) -> None:
    results, _ = analysed(write_survey(tmp_path / "run", truth(), ("icmp", "tcp/80")))
    page = Page(survey_page(results, [], TOP))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert {"survey-churn", "survey-churn-2"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_what_a_reader_must_know_comes_first(tmp_path: Path) -> None:
    run = write_survey(
        tmp_path / "run",
        truth(),
        status="partial",
        reason="interrupted",
        planned_rounds=1000,
        loss_warnings=["the kernel dropped 7 packets"],
        gaps=[SurveyGap(start="a", end="b", cause="the link was down")],
        origin=Origin(format="ant", files=["x.bz2"], records=9, skipped={"type 6": 2}),
    )
    results, _ = analysed(run)
    page = Page(survey_page(results, [], TOP))
    first = page.text[: page.text.index("Contents")]
    for warning in ("Status partial: 524 of 1,000 rounds.", "the kernel dropped 7 packets", "2 records"):
        assert warning in first
    assert not headline_of(results).sound
    table = {row[0]: row[1] for row in page.table("Provenance").rows}
    assert table["gap"] == "a to b: the link was down"
    assert table["imported from"] == "1 file (ant): x.bz2"


@pytest.mark.lab
@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 380)])
def test_the_page_opens_offline(html: str, tmp_path: Path, scheme: str, width: int) -> None:
    path = tmp_path / "survey.html"
    path.write_text(html, encoding="utf-8")
    found = seen(path, tmp_path / "profile", QUESTIONS, scheme=scheme, width=width)
    assert [url for url in found["requests"] if not url.startswith("data:")] == [path.as_uri()]
    assert [found[kind] for kind in ("failed", "console", "exceptions", "log")] == [[], [], [], []]
    answers = found["answers"]
    assert answers["figures"] == len(answers["images"]) == 12
    for complete, across, down, alt in answers["images"]:
        assert complete
        assert min(across, down) > 100
        assert alt > 60
    assert (answers["scripts"], answers["dead"], answers["wide"]) == (0, 0, 0)
    assert answers["paper"] == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 28)")
    picture = np.asarray(Image.open(io.BytesIO(found["screenshot"])).convert("RGB"))
    assert picture.shape[1] == width
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200  # rasters, maps and shades are there


@pytest.mark.lab
def test_hostile_names_run_nothing(tmp_path: Path) -> None:
    name = HOSTILE + "<script>console.log(1)</script><img src=http://192.0.2.1/x onerror=console.log(2)>"
    run = write_survey(tmp_path / "run", truth(), name=name, loss_warnings=[name])
    path = tmp_path / "survey.html"
    path.write_text(survey_page(analysed(run)[0], [], TOP), encoding="utf-8")
    found = seen(path, tmp_path / "profile", QUESTIONS)
    assert [url for url in found["requests"] if not url.startswith("data:")] == [path.as_uri()]
    assert [found[kind] for kind in ("failed", "console", "exceptions", "log")] == [[], [], [], []]
    assert found["answers"]["scripts"] == 0
    assert found["answers"]["alerts"] == [name]
