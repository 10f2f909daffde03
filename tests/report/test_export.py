"""Exported tables: CSV has the numbers of the JSON document, LaTeX is well-formed, whatever names say."""

import csv
import re
from pathlib import Path

import msgspec
import pytest

from liveness.analysis.counting.partition import by_prefixes
from liveness.analysis.counting.scope import Scope
from liveness.analysis.document import document
from liveness.analysis.results import Results, analyze_sets
from liveness.report.export.latex import escaped, latex_tables
from liveness.report.files import write_csv, write_latex
from tests.populations import BASE, Population, town
from tests.report.runs import HOSTILE, full, results, weekly

Row = dict[str, str]
RESULTS = Results([full()])


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    for row in rows:
        assert None not in row
        assert None not in row.values()
    return rows


def value(rows: list[Row], quantity: str, **keys: str) -> float | None:
    [found] = [
        row for row in rows if row["quantity"] == quantity and all(row[key] == text for key, text in keys.items())
    ]
    return float(found["value"]) if found["value"] else None


def test_numbers_are_those_of_the_document(tmp_path: Path) -> None:
    write_csv(RESULTS, tmp_path)
    run = document(RESULTS)["runs"][0]
    for family, part in run["coverage"]["addresses"].items():
        if family != "all":
            rows = read(tmp_path / "coverage.csv")
            assert value(rows, "total", family=family) == part["total"]
            assert value(rows, "unique share", family=family) == part["unique"] / run["coverage"]["addresses"]["all"]
    for probe, rate in run["response_rates"].items():
        assert value(read(tmp_path / "response_rates.csv"), "rate", probe=probe) == rate["rate"]
    matrix = run["conditional"]["replies"]
    rows = read(tmp_path / "conditional_replies.csv")
    assert len(rows) == 64
    for row in rows:
        assert float(row["value"]) == matrix[row["given"]][row["probe"]]
    patterns = {row["pattern"]: int(row["value"]) for row in read(tmp_path / "patterns.csv") if row["unit"] != "share"}
    assert patterns == run["patterns"]["replies"], "all of them, not those that a terminal shows"
    assert value(read(tmp_path / "tarpits.csv"), "addresses", of="confirmed") == run["tarpits"]["confirmed"]


def test_every_share_names_its_denominator_and_every_number_its_unit(tmp_path: Path) -> None:
    for path in write_csv(RESULTS, tmp_path):
        for row in read(path):
            assert row["unit"]
            assert row["quantity"]
            assert row["run"] == "census/2026-11-21T000000Z"
            if row["unit"] == "share" and path.name != "comparison.csv":
                assert row["denominator"], (path, row)
            if row["denominator_value"] and row["value"]:
                part = float(row["value"]) * int(row["denominator_value"])
                assert part == pytest.approx(round(part), abs=1e-6), "the share of a count"


def test_a_number_has_one_line(tmp_path: Path) -> None:
    for path in write_csv(results(*weekly(3)), tmp_path):
        seen = set()
        for row in read(path):
            keys = tuple(text for name, text in row.items() if name not in ("value", "low_95", "high_95"))
            assert keys not in seen, (path, keys)
            seen.add(keys)


def test_several_runs_are_in_one_file_and_what_changed_too(tmp_path: Path) -> None:
    several = results(*weekly(3))
    write_csv(several, tmp_path)
    expected = document(several)
    assert {row["run"] for row in read(tmp_path / "taxonomy.csv")} == {run["run"] for run in expected["runs"]}
    rows = read(tmp_path / "changes.csv")
    for change in expected["changes"]:
        keys = {"from": change["from"], "to": change["to"], "family": "all"}
        assert [value(rows, name, **keys) for name in ("born", "died", "stayed")] == [
            change[name] for name in ("born", "died", "stayed")
        ]
    rows = read(tmp_path / "retention.csv")
    first = expected["retention"][0]
    for later, alive in zip(first["later"], first["alive"], strict=True):
        assert value(rows, "alive", run=first["run"], later=later) == alive


def sliced() -> Results:
    population = town()
    partition = by_prefixes("asn", [(BASE, 24, "64500"), (BASE + 256, 24, "64_501"), (BASE + (30 << 8), 24, "64502")])
    config = {"name": "census", "targets": {"allow": ["10.0.0.0/20"]}}
    manifest = msgspec.structs.replace(population.manifest(), config=config)
    return analyze_sets([(manifest, population.open_set)], Scope(partition=partition))


def test_slices_have_targets_and_response_rates(tmp_path: Path) -> None:
    found = sliced()
    write_csv(found, tmp_path)
    rows = read(tmp_path / "slices.csv")
    parts = {part["slice"]: part for part in document(found)["runs"][0]["slices"]["slices"]}
    assert parts["64500"]["targets"] == parts["64_501"]["targets"] == 256
    assert parts[None]["targets"] == 4096 - 512, "the third prefix has no target"
    assert "64502" not in parts
    for name, part in parts.items():
        asn = "?" if name is None else name
        assert value(rows, "targets", asn=asn) == part["targets"]
        rate = value(rows, "transport active / targets", asn=asn)
        assert rate == part["response_rates"]["transport_active"]
        assert rate == part["taxonomy"]["transport_active"] / part["targets"]
        assert value(rows, "IPall / targets", asn=asn) == part["coverage"]["addresses"]["all"] / part["targets"]
        assert value(rows, "tcp unique", asn=asn) == part["coverage"]["addresses"]["tcp"]["unique"]


def test_a_slice_without_an_answer_has_a_rate_of_zero(tmp_path: Path) -> None:
    population = Population([], ("icmp",), control=False)
    partition = by_prefixes("asn", [(BASE, 21, "1"), (BASE + 2048, 21, "2")])
    config = {"name": "census", "targets": {"allow": ["10.0.0.0/20"]}}
    manifest = msgspec.structs.replace(population.manifest(), config=config)
    found = analyze_sets([(manifest, population.open_set)], Scope(partition=partition))
    write_csv(found, tmp_path)
    rows = read(tmp_path / "slices.csv")
    assert [value(rows, "targets", asn=asn) for asn in "12"] == [2048, 2048]
    assert [value(rows, "IPall / targets", asn=asn) for asn in "12"] == [0.0, 0.0]


SPECIAL = re.compile(r"(?<!\\)[#$%&_^~]|[^\x20-\x7e]")


def check_latex(text: str) -> None:
    """Read a table as TeX would: groups and environments match, rows have as many cells as the columns say."""
    depth, open_environments = 0, []
    for token in re.findall(r"\\\\|\\[{}]|\\[A-Za-z]+|\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    assert depth == 0
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_environments.append(name)
        else:
            assert open_environments.pop() == name
    assert open_environments == []
    floats = re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, re.DOTALL)
    assert "".join(text.split()) == r"\clearpage".join("".join(one.split()) for one in floats)
    for one in floats:
        check_float(one)


def check_float(text: str) -> None:
    [columns] = re.findall(r"\\begin\{tabular\}\{@\{\}((?:[lr]|p\{0\.\d+\\linewidth\})+)@\{\}\}", text)
    columns = re.sub(r"p\{.*?\}", "p", columns)
    [body] = re.findall(r"\\toprule\n(.*)\\bottomrule", text, re.DOTALL)
    for line in body.splitlines():
        if line == r"\midrule":
            continue
        assert line.endswith(r" \\")
        cells = re.split(r"(?<!\\)&", line.removesuffix(r" \\"))
        assert len(cells) == len(columns), line
        for cell in cells:
            assert not SPECIAL.search(cell), cell
    assert text.count(r"\caption{") == text.count(r"\label{tab:") == 1


def test_latex_tables_are_well_formed(tmp_path: Path) -> None:
    several = results(*weekly(2))
    for name, found in {"one": RESULTS, "several": several, "slices": sliced()}.items():
        written = write_latex(found, tmp_path / name, 20)
        main = written.pop()
        assert main.name == "tables.tex"
        inputs = re.findall(r"\\input\{(.*?)\}", main.read_text())
        assert [tmp_path / name / f"{place}.tex" for place in inputs] == written
        labels = [re.findall(r"\\label\{(.*?)\}", path.read_text())[0] for path in written]
        assert len(set(labels)) == len(labels)
        for path in written:
            check_latex(path.read_text())


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = HOSTILE + '\\input{/etc/passwd}%&_#~^{} "quoted", =1+1'
    population = Population(town().replies, name=name)
    found = analyze_sets([(population.manifest(), population.open_set)])
    for path in write_csv(found, tmp_path / "csv"):
        assert {row["run"] for row in read(path)} == {found.runs[0].manifest.run}
    for path in write_latex(found, tmp_path / "tex", 20)[:-1]:
        text = path.read_text()
        check_latex(text)
        assert r"\input{/etc" not in text


def test_text_is_escaped_for_tex() -> None:
    assert escaped("50% of A_1 & B #2") == r"50\% of A\_1 \& B \#2"
    assert escaped("é名") == "eU+540D"
    assert escaped("--x") == "{-}{-}x"


def test_long_tables_are_as_long_as_people_want_them() -> None:
    [(_, text)] = latex_tables([table for table in sliced().runs[0].tables() if table.id == "slices"], 1, "")
    assert "The 1 largest of 3" in text
    assert text.count(r" \\") == 2
