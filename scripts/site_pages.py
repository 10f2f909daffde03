"""Pages of the documentation site that are made when it is built: overview, commands, Python interface, changes.

A hook of mkdocs (`mkdocs.yml`). README.md, CONTRIBUTING.md and CHANGELOG.md become pages, the reference of commands
comes from the commands themselves, and that of the Python interface from its docstrings.
"""

import inspect
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final

import click
from mkdocs.structure.files import File, Files

import liveness
from liveness.cli.main import PROGRAM, group

ROOT: Final = Path(__file__).parents[1]
COPIED: Final = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Documents at the top of the repository, and the page that each becomes."""
LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
IMAGE: Final = re.compile(r"(!\[[^\]]*\]\()docs/")


def on_files(files: Files, config: Any) -> Files:  # noqa: ANN401 - mkdocs' own config, a mapping with attributes
    """Add the pages that are made to those in docs/."""
    pages = {page: (ROOT / name).read_text(encoding="utf-8") for name, page in COPIED.items()}
    pages |= {"commands.md": commands_page(), "api.md": interface_page()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:  # noqa: ANN401 - a page of mkdocs
    """Turn links to files of the repository into links to pages, and into plain names where there is no page."""
    source = page.file.src_uri
    folder = Path() if source in COPIED.values() else Path("docs", source).parent
    up = "../" * source.count("/")

    def replaced(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return link[0]
        path = (ROOT / folder / target).resolve()
        if path.name in COPIED and path.parent == ROOT:
            return f"[{text}]({up}{COPIED[path.name]}{anchor})"
        if path.is_relative_to(ROOT / "docs"):
            return f"[{text}]({up}{path.relative_to(ROOT / 'docs')}{anchor})"
        return text if text.startswith("`") else f"`{text}`" if path.exists() else link[0]

    return LINK.sub(replaced, IMAGE.sub(r"\1", markdown))


def commands_page() -> str:
    """Return the reference of all commands, made from their own help."""
    lines = ["# Commands", "", "Made from the commands' own help; `liveness COMMAND --help` prints the same.", ""]
    for context in contexts(click.Context(group, info_name=PROGRAM)):
        lines += command_section(context)
    return "\n".join(lines)


def contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command and of every command below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            below = context.command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from contexts(click.Context(below, info_name=name, parent=context))


def command_section(context: click.Context) -> list[str]:
    """Return the part of one command: usage, description, options."""
    command = context.command
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    level = "##" if context.parent is None or context.parent.parent is None else "###"
    lines = [f"{level} {context.command_path}", "", "```text", usage, "```", "", prose(command.help or ""), ""]
    records = filter(None, (parameter.get_help_record(context) for parameter in command.get_params(context)))
    rows = [f"| {code(name)} | {escape(text).replace('|', '&#124;')} |" for name, text in records if text]
    return [*lines, "| option | meaning |", "|---|---|", *rows, ""] if rows else lines


def prose(text: str) -> str:
    """Return a command's help as paragraphs; those that click keeps line by line (after a backspace) as they are."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    shown = []
    for part in paragraphs:
        as_it_is = part.startswith("\b")
        shown.append(f"```text\n{part[1:].strip(chr(10))}\n```" if as_it_is else escape(part, quote=False))
    return "\n\n".join(shown)


def code(text: str) -> str:
    """Return a text as code in a cell of a table."""
    return f"<code>{escape(text).replace('|', '&#124;')}</code>"


def interface_page() -> str:
    """Return the reference of `import liveness`: every public name, from its docstring."""
    errors = [name for name in liveness.__all__ if name.endswith(("Error", "Warning"))]
    functions = [name for name in liveness.__all__ if name.islower() and not name.startswith("_")]
    classes = [name for name in liveness.__all__ if name[0].isupper() and name not in errors]
    classes.sort(key=lambda name: getattr(liveness, name).__module__)  # those of api/ before config and manifest
    parts = ["# Python interface", inspect.getdoc(liveness) or ""]
    parts += [f"::: liveness.{name}" for name in functions + classes + errors]
    return "\n\n".join(parts)
