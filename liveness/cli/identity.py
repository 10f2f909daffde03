"""``liveness identity``: texts that inform owners of probed networks who probes them, and how to opt out."""

from pathlib import Path

import click

FILES = ("index.html", "reverse-dns.txt", "whois.txt")


@click.command("identity")
@click.option("-C", "--config", "config_file", required=True, type=click.Path(path_type=Path), help="The census.")
@click.option(
    "-S", "--source-ip", multiple=True, help="Address, range or prefix that is sent from, if the config names none."
)
@click.option("--organisation", help="Who scans, as people know them; the config's name if not given.")
@click.option("--mail", help="Where to write to; the config's contact if that is a mail address.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("identity"),
    show_default=True,
    help="Folder for the files.",
)
def command(
    config_file: Path, source_ip: tuple[str, ...], organisation: str | None, mail: str | None, output: Path
) -> None:
    """Write the opt-out web page, suggested reverse DNS names, and remarks for WHOIS, from a config.

    Serve the page under the config's contact and on port 80 of every address that is sent from: that is where people
    look first. Prints the names of the files; files that are already there are replaced.
    """
    from liveness.config.identity import identity_of
    from liveness.config.load import load_config
    from liveness.errors import UsageError
    from liveness.files.atomic import write_atomically

    identity = identity_of(load_config(config_file), str(config_file), source_ip, organisation, mail)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output}: cannot make this folder: {error.strerror}") from error
    for name, text in zip(FILES, (identity.page, identity.reverse_dns, identity.whois), strict=True):
        write_atomically(output / name, text.encode(), mode=0o644)
        click.echo(str(output / name))
