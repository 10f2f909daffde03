"""The registry: one file and one line add a measure to every form of output; ids join tables and figures."""

import csv
import importlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from liveness.analysis.across import registry as across
from liveness.analysis.across.measure import AcrossMeasure, AnyAcrossMeasure
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.walk import Compared
from liveness.analysis.document import document
from liveness.analysis.measure import AnyMeasure, Measure, evaluate
from liveness.analysis.measures import registry
from liveness.analysis.results import analyze_sets
from liveness.analysis.tables import Column, Table, printed
from liveness.cli.analyze import command
from liveness.reference.bano_2018 import VALUES
from liveness.replies import Kind
from liveness.report.files import write_csv
from liveness.report.page.page import report_page
from liveness.report.text import tables_text
from tests.populations import Population, Reply, town
from tests.report.runs import full, weekly
from tests.report.runs import results as results_of

MEASURE = '''
"""Addresses that answer echo requests and nothing else."""

from collections.abc import Iterator

from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Bars, Figure, Part
from liveness.analysis.formula import share
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.tables import Column, Table
from liveness.reference.published import Published

PUBLISHED = Published("echo_only", 0.25, 0.25, "share", "IPall", "nowhere", "25%")


def echo_only(run: RunStates) -> int:
    """Count them."""
    others = [probe for probe in run.probes if probe != "icmp"]
    return run.count(run.activity("icmp", with_errors=True) & ~run.having(
        [(probe, kind) for probe in others for kind in ("syn-ack", "rst", "answer", "payload", "error")]
    ))


def tables(value: int, run: RunResults) -> Iterator[Table]:
    """Yield the count and its share."""
    columns = (Column("population"), Column("addresses", "addresses"), Column("share", "share", "IPall"))
    row = ("echo only", value, run.sampled(value, run.ipall))
    yield Table("echo_only", "Addresses of echo alone", columns, [row], ["share: echo only / IPall"])


def figures(value: int, run: RunResults) -> Iterator[Figure]:
    """Yield a bar."""
    bars = Bars(["all"], [Part("echo only", "blue", [share(value, run.ipall)])], "", "share of IPall")
    yield Figure("echo-only", "Addresses of echo alone", "A bar of echo alone.", [], bars, "echo_only")


def comparisons(value: int, run: RunResults) -> Iterator[Comparison]:
    """Yield the share."""
    yield Comparison("echo only", "echo only / IPall", share(value, run.ipall), PUBLISHED)


ECHO_ONLY = Measure("echo_only", echo_only, tables, figures, comparisons)
'''


@pytest.fixture
def echo_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyMeasure:
    """Return a measure from one file of a package made for it."""
    package = tmp_path / "extra_measures"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "echo_only.py").write_text(MEASURE)
    monkeypatch.syspath_prepend(tmp_path)
    from extra_measures.echo_only import ECHO_ONLY  # type: ignore[import-not-found] # noqa: PLC0415 - made above

    monkeypatch.delitem(sys.modules, "extra_measures.echo_only")
    monkeypatch.delitem(sys.modules, "extra_measures")
    measure: AnyMeasure = ECHO_ONLY
    return measure


def test_one_file_and_one_line_add_a_measure_to_every_output(
    echo_only: AnyMeasure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MEASURES", (*registry.MEASURES, echo_only))
    population = town()
    run = population.write(tmp_path / "sets")
    silent = {reply.source for reply in population.replies if reply.probe not in {"icmp", "tcp/control"}}
    expected = len({reply.source for reply in population.replies if reply.probe == "icmp"} - silent)
    assert expected > 0
    out = tmp_path / "out"
    out.mkdir()

    def analyze(*options: str) -> str:
        done = CliRunner().invoke(command, [str(run.path), *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert json.loads(analyze("--json"))["runs"][0]["echo_only"] == expected
    assert "Addresses of echo alone" in analyze()
    analyze(*(f"--{form}={out / form}" for form in ("csv", "latex", "figures")), f"--html={out / 'page.html'}")
    with (out / "csv" / "echo_only.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["quantity"], row["unit"], row["denominator"]) for row in rows] == [
        ("addresses", "addresses", ""), ("share", "share", "IPall"),
    ]  # fmt: skip
    assert int(rows[0]["value"]) == expected
    assert f"echo only & {expected} & " in (out / "latex" / "echo_only.tex").read_text()
    assert r"\input{echo_only}" in (out / "latex" / "tables.tex").read_text()
    assert (out / "figures" / "echo-only.svg").is_file()
    page = (out / "page.html").read_text()
    assert page.count('id="run1-echo_only"') == 1
    assert page.count('alt="A bar of echo alone."') == 1
    assert "<td>echo only / IPall</td>" in page
    assert page.count(">25.0%<") >= 1


def test_an_id_is_one_measure_of_one_table() -> None:
    assert len({measure.id for measure in registry.MEASURES}) == len(registry.MEASURES)
    run = full()
    tables, figures = list(run.tables()), list(run.figures())
    assert max(Counter(table.id for table in tables).values()) == 1
    assert max(Counter(figure.id for figure in figures).values()) == 1
    ids = {table.id for table in tables}
    assert all(figure.table in ids for figure in figures if figure.table)
    joined = [figure.table for figure in figures if figure.table]
    assert len(joined) == len(set(joined)) == 10
    several = results_of(*weekly(3))
    assert {figure.table for figure in several.figures()} <= {"", *(table.id for table in several.tables())}


def test_comparisons_name_published_values() -> None:
    found = list(full().comparisons())
    assert len(found) > 40
    assert all(VALUES[entry.published.id] is entry.published for entry in found)


def test_a_measure_of_several_runs_is_in_every_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(runs: Sequence[RunStates], compared: Compared) -> list[int]:
        return [runs[pair.after].targets or 0 for pair in compared.comparisons.pairs]

    def tables(values: Sequence[int]) -> Iterator[Table]:
        yield Table(
            "steps", "Targets of later runs", (Column("step"), Column("targets", "targets")), [("all", sum(values))]
        )

    measure = AcrossMeasure("steps", steps, tables)
    monkeypatch.setattr(across, "ACROSS", (*across.ACROSS, measure))
    several = results_of(*weekly(3))
    expected = several.runs[1].targets, several.runs[2].targets
    assert document(several)["steps"] == list(expected)
    assert [table for table in several.tables() if table.id == "steps"]
    assert {path.name for path in write_csv(several, tmp_path)} >= {"steps.csv", "changes.csv", "retention.csv"}
    assert "Targets of later runs" in report_page(several)
    assert "Targets of later runs" in tables_text(several)


def test_every_file_of_a_measure_of_several_runs_is_registered() -> None:
    found = set[AnyAcrossMeasure]()
    for path in Path(across.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"liveness.analysis.across.{path.stem}")
        measures = [value for value in vars(module).values() if isinstance(value, AcrossMeasure)]
        found |= {measure for measure in measures if path.stem != "registry"}
    assert found == set(across.ACROSS)
    keys = list(document(results_of(*weekly(2))))
    assert keys == ["schema", "runs", *(measure.id for measure in across.ACROSS)]


def test_a_measure_is_computed_once() -> None:
    calls = Counter[str]()
    run = full()

    def counting(measure: AnyMeasure) -> AnyMeasure:
        from dataclasses import replace  # noqa: PLC0415

        def compute(states: object) -> object:
            calls[measure.id] += 1
            return measure.compute(states)  # type: ignore[arg-type]

        return replace(measure, compute=compute)

    from liveness.analysis.results import count_runs  # noqa: PLC0415

    [states], _ = count_runs([(town().manifest(), town().open_set)])
    values = evaluate([counting(measure) for measure in registry.MEASURES], states)
    assert values.keys() == run.values.keys()
    assert set(calls.values()) == {1}


def test_two_measures_of_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MEASURES", (*registry.MEASURES, registry.MEASURES[0]))
    with pytest.raises(ValueError, match="two measures have the id 'record'"):
        analyze_sets([(town().manifest(), town().open_set)])


def test_the_example_of_contributing_is_a_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path("CONTRIBUTING.md").read_text()
    source, *_ = re.findall(r"```python\n(.*?)```", text[text.index("## New number") :], re.DOTALL)
    module: dict[str, AnyMeasure] = {}
    exec(compile(source, "CONTRIBUTING.md", "exec"), module)  # noqa: S102 - ours
    monkeypatch.setattr(registry, "MEASURES", (*registry.MEASURES, module["DNS_ONLY"]))
    population = Population(
        [Reply("dns", Kind.ANSWER, 1, 1), Reply("dns", Kind.ANSWER, 2, 2), Reply("tcp/80", Kind.RST, 2, 2)]
    )
    results = analyze_sets([(population.manifest(), population.open_set)])
    assert document(results)["runs"][0]["dns_only"] == 1
    [table] = [table for table in results.runs[0].tables() if table.id == "dns_only"]
    assert printed(table.rows[0][1]) == "1"
    assert printed(table.rows[0][2]) == "<0.1%"


def test_every_file_of_a_measure_is_registered() -> None:
    folder = Path(registry.__file__).parent
    helpers = {"__init__", "registry", "family_bars"}
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.stem not in helpers:
            module = importlib.import_module(f"liveness.analysis.measures.{path.stem}")
            [measure] = [
                value for value in vars(module).values() if isinstance(value, Measure) and value.id == path.stem
            ]
            found.append(measure)
    assert set(found) == set(registry.MEASURES)
