"""`deckwatch gaps`: which lines were lost, and why."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import click
from rich.console import Console

from deckwatch.cli_client import asks_a_collector
from deckwatch.logs.choice import Choice
from deckwatch.logs.client import LogClient
from deckwatch.logs.target import Target, find_target
from deckwatch.runtime.tls import ClientTls
from deckwatch.verify.model import read_gap
from deckwatch.verify.show import NO_GAPS, gap_table

_HELP = """Declared gaps: stretches of logs whose bytes were gone before anybody could read them.

\b
  deckwatch gaps
  deckwatch gaps --container web --since 1d
  deckwatch gaps --json

TIME is RFC 3339, Unix time, or relative: 15m, 2h30m, now-1d. A gap is listed if lines of that time may be missing.
"""


@click.command(help=_HELP, short_help="Which lines were lost, and why.")
@click.option("--container", metavar="NAME", multiple=True, help="Of this container: name, wildcard or id. Repeatable.")
@click.option("--since", metavar="TIME", default="", help="In which lines of this time or later may be missing.")
@click.option("--until", metavar="TIME", default="", help="In which older lines may be missing.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines with all fields.")
@asks_a_collector
def gaps(
    container: tuple[str, ...],
    since: str,
    until: str,
    as_json: bool,
    tenant: str,
    collector: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
) -> None:
    target = find_target(collector, token_file, os.environ, ClientTls(ca_file, cert_file, key_file))
    choice = Choice("", since, until, container, "", tenant)
    lines = asyncio.run(_ask(target, choice))
    if as_json:
        for line in lines:
            click.echo(line)
    elif not lines:
        click.echo(NO_GAPS)
    else:
        console = Console(highlight=False, markup=False, emoji=False)
        console.print(gap_table([read_gap(line) for line in lines]))


async def _ask(target: Target, choice: Choice) -> list[bytes]:
    async with (
        LogClient(target) as client,
        aclosing(client.documents("/api/v1/gaps", choice.parameters())) as found,
    ):
        return [line async for line in found]
