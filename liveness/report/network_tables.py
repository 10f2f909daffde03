"""Tables of network-layer liveness: the taxonomy, coverage by family, and reply types."""

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.coverage import Coverage, FamilyCoverage
from liveness.analysis.measures.error_only import ErrorOnly
from liveness.analysis.measures.reply_types import ReplyTypes
from liveness.analysis.measures.taxonomy import Taxonomy
from liveness.report import published
from liveness.report.layout import Section, count, named_formulas, percent, spoken


def taxonomy_table(taxonomy: Taxonomy, targets: int | None, everyone: int) -> Section:
    """Return the funnel from network-alive to application-alive; `targets` is None where they are not known."""
    rows = []
    of_targets = (
        "targets, of which the run does not tell how many" if targets is None else f"the {count(targets)} targets"
    )
    for name in formulas(Taxonomy):
        number: int = getattr(taxonomy, name)
        beside = published.TAXONOMY.get(name, "")
        rows.append(
            (
                spoken(name),
                count(number),
                percent(share(number, targets or 0)),
                percent(share(number, everyone)),
                beside,
            )
        )
    return Section(
        "Liveness by layer (figure 1)",
        ("layer", "addresses", "/ targets", "/ IPall", published.LABEL),
        rows,
        [
            f"Shares of {of_targets} and of IPall, {count(everyone)} addresses.",
            *named_formulas(formulas(Taxonomy)),
        ],
    )


def coverage_table(coverage: Coverage, unit: str) -> Section:
    """Return coverage by family; `unit` is ``addresses`` (figure 2a) or ``/24s`` (figure 2b)."""
    by_address = unit == "addresses"
    beside = published.COVERAGE if by_address else published.COVERAGE_24
    rows = [("all", count(coverage.all), percent(share(coverage.all, coverage.all)), "", "", beside["all"])]
    for family in FAMILIES:
        found = coverage.families[family]
        rows.append(
            (
                family,
                count(found.total),
                percent(share(found.total, coverage.all)),
                count(found.unique),
                percent(share(found.unique, coverage.all)),
                beside[family],
            )
        )
    whole = "IPall" if by_address else "/24all"
    notes = [f"Shares of all ({whole}): the union of the three families.", *named_formulas(formulas(FamilyCoverage))]
    if not by_address:
        notes.append("Each family's set is masked to /24 first, differences are taken after.")
        notes.append(f"{published.LABEL}: total; unique, 4 September 2017.")
    return Section(
        f"Coverage by family, {unit} (figure {'2a' if by_address else '2b'})",
        ("family", "total", "/ all", "unique", "/ all", published.LABEL),
        rows,
        notes,
    )


def reply_types_table(types: dict[str, ReplyTypes], coverage: Coverage) -> Section:
    """Return what the addresses of each family sent (figure 3a)."""
    rows = []
    for family in FAMILIES:
        of_family, total = types[family], coverage.families[family].total
        cells = [family]
        for number in (of_family.reply_only, of_family.error_only, of_family.both):
            cells += [count(number), percent(share(number, total))]
        rows.append((*cells, published.REPLY_TYPES[family]))
    return Section(
        "Reply types by family (figure 3a)",
        ("family", "reply only", "share", "error only", "share", "both", "share", published.LABEL),
        rows,
        ["Shares of the family's total coverage.", *named_formulas(formulas(ReplyTypes))],
    )


def error_only_table(population: ErrorOnly, everyone: int) -> Section:
    """Return the addresses that only errors reveal, and by which family's probes."""
    rows = [("all", count(population.all), f"{percent(share(population.all, everyone))} of IPall")]
    rows += [
        (family, count(population.families[family]), percent(share(population.families[family], population.all)))
        for family in FAMILIES
    ]
    return Section(
        "Seen through ICMP errors only (section 4.1)",
        ("family", "addresses", "share", published.LABEL),
        [(*row, published.ERROR_ONLY[row[0]]) for row in rows],
        ["Families: shares of all; they overlap.", *named_formulas(formulas(ErrorOnly))],
    )
