"""The fuzzer of files: mutants of each kind that the tool reads, and what was found: one line a kind."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import click

ROOT: Final = Path(__file__).parents[1]
SHOWN: Final = 10
sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--mutants", default=100_000, show_default=True, type=click.IntRange(min=1), help="Of each kind.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same mutants.")
@click.option("--seconds", default=float("inf"), help="Of each kind at most; all of them if not given.")
@click.option("--kind", "chosen", multiple=True, help="Only this kind; may be repeated.")
@click.option("--command", "commands", default=0, show_default=True, help="Mutants of each kind for its command.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for one mutant of each finding.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a kind and line.")
def main(
    *, mutants: int, seed: int, seconds: float, chosen: tuple[str, ...], commands: int, keep: Path | None, as_json: bool
) -> None:
    """Fuzz what reads files; leave with exit code 1 if anything was found."""
    from tests.fuzzing.file_campaign import campaign, sample  # noqa: PLC0415 - after the path is set
    from tests.fuzzing.files import kinds  # noqa: PLC0415

    found = 0
    with tempfile.TemporaryDirectory(prefix="liveness-fuzz-") as folder:
        every = kinds(Path(folder) / "seeds")
        names = [kind.name for kind in every]
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise click.UsageError(f"no kind {unknown[0]!r}: expected one of {', '.join(names)}")
        for number, kind in enumerate(every):
            if chosen and kind.name not in chosen:
                continue
            done = [campaign(kind.name, mutants, seed, seconds, Path(folder) / str(number))]
            if commands and kind.command:
                done.append(sample(kind, commands, seed, Path(folder) / str(number)))
            for one in done:
                found += len(one.findings)
                tell(one, as_json=as_json)
                if keep is not None:
                    write(keep, one)
    sys.exit(1 if found else 0)


def tell(done: Any, *, as_json: bool) -> None:  # noqa: ANN401 - a Campaign, whose module is loaded late
    """Print what came of a kind."""
    if as_json:
        document = {"kind": done.kind, "mutants": done.mutants, "took_s": round(done.took_s, 1)}
        click.echo(json.dumps({**document, "findings": dict(done.findings)}))
        return
    click.echo(f"{done.kind}: {done.mutants:,} mutants in {done.took_s:,.0f} s, {len(done.findings)} findings")
    for what, count in done.findings.most_common(SHOWN):
        click.echo(f"  {count:,} times: {what}")
    sys.stdout.flush()


def write(folder: Path, done: Any) -> None:  # noqa: ANN401 - as above
    """Keep one mutant of each finding."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (what, content) in enumerate(done.kept.items()):
        name = f"{done.kind.replace(' ', '-')}.{number}"
        (folder / name).write_bytes(content)
        (folder / f"{name}.txt").write_text(what + os.linesep, encoding="utf-8")


if __name__ == "__main__":
    main()
