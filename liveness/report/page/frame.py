"""The frame of every page: headlines, warnings, contents and chapters; each kind of report says what it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined

from liveness.report.headline import Headline
from liveness.report.page.blocks import Block
from liveness.version import __version__

FRAME: Final = "frame.html.j2"
STYLE: Final = "style.css"
PACKAGE: Final = "liveness.report.page"


@dataclass(frozen=True, slots=True)
class Chapter:
    """The part of a page about one run, or about several runs together."""

    anchor: str
    title: str
    warnings: Sequence[str]
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Page:
    """The content of a page; `title` is that of the browser's window, `heading` that on the page."""

    title: str
    heading: str
    headlines: Sequence[Headline]
    chapters: Sequence[Chapter]


def rendered(page: Page, template: str, package: str = PACKAGE, **values: object) -> str:
    """Return a page as HTML that needs no other file.

    `template` is a file of `package` that extends the frame, and `values` are what it uses itself.
    """
    loader = DictLoader({FRAME: _text(FRAME), template: _text(template, package)})
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(
        page=page,
        warnings=[line for chapter in page.chapters for line in chapter.warnings],
        style=_text(STYLE),
        version=__version__,
        **values,
    )


def _text(name: str, package: str = PACKAGE) -> str:
    return (resources.files(package) / name).read_text(encoding="utf-8")
