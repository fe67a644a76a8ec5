"""`deckwatch config show|check` and `deckwatch version`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from deckwatch import __version__
from deckwatch.cli_daemon import settings_structs
from deckwatch.runtime.settings import SECTIONS, load_all
from deckwatch.runtime.settings_show import show

_HEAD = """\
# Deckwatch's options with their {what}. In [] stands what an option takes, behind it the environment variable that
# overrides it. Command line beats environment beats file. Times and sizes may be written like 10s and 64MiB.
"""


@click.group()
def config() -> None:
    """Show every option; check a configuration file."""


@config.command("show")
@click.argument("section", type=click.Choice(SECTIONS), required=False)
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="Show the values in force.")
def show_options(section: str | None, file: Path | None) -> None:
    """Every option with its value, help, limits and environment variable, as a YAML file. Secrets are not shown.

    Without --config these are the defaults; with it, the values of FILE and the environment.
    """
    structs = settings_structs((section,) if section else SECTIONS)
    values = load_all(structs, file=file, env=os.environ) if file else {}
    click.echo(_HEAD.format(what="values" if file else "defaults"), nl=False)
    for name, cls in structs.items():
        click.echo("\n" + show(cls, values.get(name), section=name), nl=False)


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Read FILE as the daemons would, with the environment's overrides, and tell every fault."""
    load_all(settings_structs(), file=file, env=os.environ)
    click.echo(f"{file}: no faults")


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"deckwatch {__version__}")
