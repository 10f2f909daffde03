"""Prometheus' text format (exposition format 0.0.4): metrics with their labels as text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """Metric with its samples. Samples without a value are left out."""

    name: str
    kind: str
    help: str
    samples: list[tuple[Labels, float | None]] = field(default_factory=list)


def exposition(common: Labels, wanted: Iterable[Family]) -> str:
    """Return metrics in the text format, each sample with the `common` labels. A metric without samples is left out."""
    lines = []
    for family in wanted:
        known = [(labels, value) for labels, value in family.samples if value is not None]
        if known:
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        for labels, value in known:
            named = ",".join(f'{name}="{escaped(text)}"' for name, text in {**common, **labels}.items())
            lines.append(f"{family.name}{{{named}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return the value of a label as it is written between quotes."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))
