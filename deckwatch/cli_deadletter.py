"""`deckwatch deadletter`: what the collector accepted and could not take for what it claimed to be."""

from __future__ import annotations

import base64
import sys
from typing import Unpack

import click
import msgspec
from rich.console import Console
from rich.table import Table

from deckwatch.cli_client import Where, asked, asks_a_collector
from deckwatch.deadletters.client import DeadLetterClient, Letter, Shown
from deckwatch.runtime.faults import Unusable

_FORMATS = ("docker-json", "cri", "plain", "frames")


@click.group(short_help="What could not be taken: list, show, try again, delete.")
def deadletter() -> None:
    """What the collector accepted and could not take for what it claimed to be: kept with the reason.

    `retry` makes records of it, each exactly once, when its cause is mended: after an upgrade, or read as plain text.
    """


@deadletter.command("list")
@click.option("--since", metavar="TIME", default="", help="Only those received since then: 1h, 2026-01-31T12:00:00Z.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@asks_a_collector
def list_(since: str, as_json: bool, **where: Unpack[Where]) -> None:
    """List dead letters, oldest first."""

    async def ask(client: DeadLetterClient) -> list[Letter]:
        return [letter async for letter in client.letters(since)]

    letters = asked(DeadLetterClient, ask, where)
    if as_json:
        for letter in letters:
            click.echo(msgspec.json.encode(letter).decode())
        return
    if not letters:
        click.echo("no dead letters")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        for letter in letters:
            click.echo("\t".join(_columns(letter)))
        return
    table = Table("ID", "RECEIVED", "HOST", "FROM", "SPAN", "BYTES", "TRIED", "REASON", box=None, pad_edge=False)
    for letter in letters:
        table.add_row(*_columns(letter))
    console.print(table)


@deadletter.command()
@click.argument("id_", metavar="ID")
@click.option("--raw", is_flag=True, help="Only its bytes, as they came.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, the bytes as text and in base64.")
@asks_a_collector
def show(id_: str, raw: bool, as_json: bool, **where: Unpack[Where]) -> None:
    """Show a dead letter with its bytes."""
    letter = asked(DeadLetterClient, lambda client: client.show(id_), where)
    if raw:
        sys.stdout.buffer.write(base64.b64decode(letter.payload.base64))
    elif as_json:
        click.echo(msgspec.json.encode(letter).decode())
    else:
        _print(letter)


@deadletter.command()
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.option("--as", "as_", type=click.Choice(_FORMATS), help="Read it as this instead of what it claimed to be.")
@asks_a_collector
def retry(ids: tuple[str, ...], every: bool, as_: str | None, **where: Unpack[Where]) -> int:
    """Try again: each becomes records exactly once, or stays. Exit code 1 where one stays."""
    _either(ids, every)
    done = asked(DeadLetterClient, lambda client: client.retry(ids, as_ or ""), where)
    for failure in done.failures:
        click.echo(f"{failure.id} stays: {failure.error}", err=True)
    click.echo(f"{done.stored} became {done.records} records, {done.failed} stay")
    return 1 if done.failed else 0


@deadletter.command()
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@asks_a_collector
def delete(ids: tuple[str, ...], every: bool, **where: Unpack[Where]) -> None:
    """Delete for good. The account of their streams says that they were."""
    _either(ids, every)
    click.echo(f"{asked(DeadLetterClient, lambda client: client.delete(ids), where).deleted} deleted")


def _either(ids: tuple[str, ...], every: bool) -> None:
    if every == bool(ids):
        raise Unusable("which? Give the ids that `deckwatch deadletter list` shows, or --all")


def _columns(letter: Letter) -> tuple[str, ...]:
    origin = letter.container or letter.source
    reason = " ".join(letter.reason.split())
    span = f"{letter.offset}-{letter.end}"  # of its stream: behind its last byte, as the account and gaps have it
    return letter.id, letter.received, letter.host, origin, span, str(letter.bytes), str(letter.attempts), reason


def _print(letter: Shown) -> None:
    for name, value in msgspec.structs.asdict(letter).items():
        if name != "payload" and value not in ("", 0):
            click.echo(f"{name + ':':10}{value}")
    # What is shown on a terminal must not be able to steer it.
    click.echo(
        "\n" + "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in letter.payload.text)
    )
