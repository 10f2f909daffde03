"""The fuzzer of files: mutants of each kind that the tool reads, and the findings: one line a kind."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from tests.fuzzing.file_campaign import Campaign

ROOT: Final = Path(__file__).parents[1]
SHOWN: Final = 10
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private directory below it
sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--mutants", default=100_000, show_default=True, type=click.IntRange(min=1), help="Of each kind.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same mutants.")
@click.option("--first", default=0, show_default=True, type=click.IntRange(min=0), help="Number of the first mutant.")
@click.option("--seconds", default=float("inf"), help="Of each kind at most; without a limit if not given.")
@click.option("--kind", "chosen", multiple=True, help="Only this kind; may be repeated.")
@click.option("--command", "commands", default=0, show_default=True, help="Mutants of each kind for its command.")
@click.option("--state", type=click.Path(path_type=Path), help="Take turns, and continue from what this file has.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for one mutant of each finding.")
@click.option("--list", "list_kinds", is_flag=True, help="Print the names of the kinds and leave.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a kind and line.")
def main(
    *,
    mutants: int,
    seed: int,
    first: int,
    seconds: float,
    chosen: tuple[str, ...],
    commands: int,
    state: Path | None,
    keep: Path | None,
    list_kinds: bool,
    as_json: bool,
) -> None:
    """Fuzz what reads files; leave with exit code 1 if anything was found.

    A finding names the number of its mutant: --kind KIND --seed SEED --first NUMBER --mutants 1 reads it again.

    With --state, kinds take turns, the one with the fewest mutants first. Mutants count from the last change of their
    reader, and --seconds is the time of all kinds together.
    """
    from tests.fuzzing.file_campaign import campaign, sample  # noqa: PLC0415 - after the path is set
    from tests.fuzzing.kinds import all_kinds  # noqa: PLC0415
    from tests.fuzzing.rounds import load, rounds  # noqa: PLC0415

    every = all_kinds()
    if list_kinds:
        click.echo("\n".join(every))
        return
    unknown = [name for name in chosen if name not in every]
    if unknown:
        raise click.UsageError(f"no kind {unknown[0]!r}: expected one of {', '.join(every)}")
    chosen_kinds = {name: every[name] for name in chosen or every}
    found = 0

    def tell(outcome: "Campaign", first: int) -> None:
        nonlocal found
        found += len(outcome.findings)
        report(outcome, seed, first, as_json=as_json)
        if keep is not None:
            write(keep, outcome)

    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="liveness-fuzz-", dir=where) as folder:
        if state is not None:
            rounds(chosen_kinds, mutants, load(state, seed), state, Path(folder), seconds, tell)
            sys.exit(1 if found else 0)
        for number, kind in enumerate(chosen_kinds.values()):
            place = Path(folder) / str(number)
            tell(campaign(kind, mutants, seed, seconds, place, first), first)
            if commands and kind.command:
                tell(sample(kind, commands, seed, place), 0)
    sys.exit(1 if found else 0)


def report(outcome: "Campaign", seed: int, first: int, *, as_json: bool) -> None:
    """Print the outcome of a kind."""
    rate = round(outcome.mutants / outcome.took_s) if outcome.took_s else 0
    if as_json:
        findings: list[dict[str, Any]] = [
            {"what": what, "times": times, "mutant": outcome.numbers[what]}
            for what, times in outcome.findings.most_common()
        ]
        document = {
            "kind": outcome.kind,
            "seed": seed,
            "first": first,
            "mutants": outcome.mutants,
            "took_s": round(outcome.took_s, 1),
            "cpu_s": round(outcome.cpu_s, 1),
            "per_second": rate,
            "slowest_s": round(outcome.slowest_s, 3),
            "memory_mb": outcome.memory_mb,
        }
        click.echo(json.dumps({**document, "findings": findings}))
    else:
        click.echo(
            f"{outcome.kind}: {outcome.mutants:,} mutants in {outcome.took_s:,.0f} s ({rate:,} a second, the slowest"
            f" {outcome.slowest_s:.2f} s, {outcome.memory_mb:,} MB), {len(outcome.findings)} findings"
        )
        for what, times in outcome.findings.most_common(SHOWN):
            click.echo(f"  {times:,} times, first mutant {outcome.numbers[what]:,}: {what}")
    sys.stdout.flush()


def write(folder: Path, outcome: "Campaign") -> None:
    """Keep one mutant of each finding."""
    folder.mkdir(parents=True, exist_ok=True)
    for what, content in outcome.kept.items():
        name = f"{outcome.kind.replace(' ', '-')}.{outcome.numbers[what]}"
        (folder / name).write_bytes(content)
        (folder / f"{name}.txt").write_text(what + os.linesep, encoding="utf-8")


if __name__ == "__main__":
    main()
