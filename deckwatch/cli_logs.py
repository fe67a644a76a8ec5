"""`deckwatch logs`: search, follow and count records from the command line."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console

from deckwatch.cli_client import asks_a_collector
from deckwatch.logs import run
from deckwatch.logs.bars import plain_rows, rows_of, terminal_rows
from deckwatch.logs.choice import Choice
from deckwatch.logs.client import AskedWrongly, LogClient
from deckwatch.logs.nothing import explain
from deckwatch.logs.out import JsonOut, Out, PlainOut, TerminalOut
from deckwatch.logs.show import harmless
from deckwatch.logs.target import Target, find_target
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.tls import ClientTls

LEVELS = ("trace", "debug", "info", "notice", "warn", "error", "fatal")
_DEFAULT_LIMIT = 1000

_HELP = """Search and follow logs.

QUERY is a Lucene/KQL-like query string: words, "phrases", field:value, wildcards, ranges, /regex/, AND OR NOT.

\b
  deckwatch logs timeout --since 1h
  deckwatch logs 'level:>=warn NOT path:*/debug.log' --follow
  deckwatch logs 'status:>=500' --container 'web*' --context 3
  deckwatch logs --histogram --since 6h level:error

TIME is RFC 3339, Unix time, or relative: 15m, 2h30m, now-1d.
"""


class Wish(msgspec.Struct, frozen=True):
    """What the options say, checked."""

    choice: Choice
    limit: int | None
    follow: bool
    context: int
    histogram: bool
    json: bool


@click.command(help=_HELP, short_help="Search and follow logs.")
@click.argument("query", nargs=-1)
@click.option("--since", metavar="TIME", default="", help="Not older than this.")
@click.option("--until", metavar="TIME", default="", help="Older than this.")
@click.option("--container", metavar="NAME", multiple=True, help="Of this container: name, wildcard or id. Repeatable.")
@click.option("--level", type=click.Choice(LEVELS), help="Of this level or a more severe one.")
@click.option("--follow", "-f", is_flag=True, help="Show what arrives, too, until Ctrl-C.")
@click.option("--context", "-C", metavar="N", type=click.IntRange(0), default=0, help="And N lines around each.")
@click.option("--limit", "-n", type=click.IntRange(0), help="So many, the newest ones; 0: all.  [default: 1000]")
@click.option("--json", "as_json", is_flag=True, help="JSON lines with all fields, under their ECS names.")
@click.option("--histogram", is_flag=True, help="How many over time, instead of the lines.")
@asks_a_collector
def logs(
    query: tuple[str, ...],
    since: str,
    until: str,
    container: tuple[str, ...],
    level: str | None,
    follow: bool,
    context: int,
    limit: int | None,
    as_json: bool,
    histogram: bool,
    tenant: str,
    collector: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
) -> None:
    choice = Choice(" ".join(query), since, until, container, level or "", tenant)
    wish = checked(Wish(choice, limit, follow, context, histogram, as_json))
    target = find_target(collector, token_file, os.environ, ClientTls(ca_file, cert_file, key_file))
    try:
        asyncio.run(_serve(wish, target))
    except AskedWrongly as fault:
        raise Unusable(explained(fault, choice)) from None


def checked(wish: Wish) -> Wish:
    """Raises UsageError where options contradict each other."""
    for clash, why in (
        (wish.follow and wish.histogram, "--follow shows lines and --histogram counts them: choose one"),
        (wish.follow and wish.context, "--context needs the lines that come after, which --follow doesn't have yet"),
        (wish.follow and wish.choice.until, "--until ends what --follow would go on with"),
        (wish.follow and wish.limit == 0 and not wish.choice.since, "--follow --limit 0 needs --since: from when on?"),
        (wish.context and wish.histogram, "--context shows lines and --histogram counts them: choose one"),
    ):
        if clash:
            raise click.UsageError(why)
    return wish


def explained(fault: AskedWrongly, choice: Choice) -> str:
    """The collector's words; a fault of a query is shown where it is."""
    body = fault.body
    expected = f"; expected {body['expected']}" if body.get("expected") else ""
    expected += f"; did you mean {body['suggestion']}?" if body.get("suggestion") else ""
    shown = {"query": choice.query, "filter": choice.filter()}.get(str(body.get("parameter")))
    if shown is None or "position" not in body:
        option = {"start": "--since", "end": "--until"}.get(str(body.get("parameter")))
        return f"{option}: {fault}" if option else str(fault)
    position = int(body["position"])
    return f"the query can't be read: {fault}{expected}\n  {shown}\n  {' ' * position}^"


async def _serve(wish: Wish, target: Target) -> None:
    limit = _DEFAULT_LIMIT if wish.limit is None else wish.limit
    async with LogClient(target, notice=_tell) as client:
        if wish.histogram:
            await _histogram(client, wish)
        elif wish.follow:
            await run.follow(client, wish.choice, _out(wish), wish.limit)
        else:
            scan = await _search(client, wish, limit)
            run.tell_gaps(client.gaps)
            if not scan.found and sys.stderr.isatty():
                await explain(client, wish.choice, scan.searched, _tell)


async def _search(client: LogClient, wish: Wish, limit: int) -> run.Scan:
    if wish.context:
        return await run.with_context(client, wish.choice, _out(wish), limit, wish.context)
    return await run.search(client, wish.choice.parameters(), _out(wish), limit)


def _tell(message: str) -> None:
    click.secho(harmless(message), err=True, dim=True)


async def _histogram(client: LogClient, wish: Wish) -> None:
    answer = await client.histogram(wish.choice.parameters())
    if wish.json:
        click.echo(msgspec.json.encode(answer))
        return
    rows = rows_of(answer)
    console = Console(highlight=False)
    if console.is_terminal:
        for line in terminal_rows(rows, console.width):
            console.print(line, soft_wrap=True)
    else:
        for text in plain_rows(rows):
            click.echo(text)
    click.echo(f"{answer['count']:,} records, {answer['interval_ns'] / 1e9:g} s a line", err=True)


def _out(wish: Wish) -> Out:
    if wish.json:
        return JsonOut()
    return TerminalOut(Console(highlight=False, markup=False, emoji=False)) if sys.stdout.isatty() else PlainOut()
