"""`deckwatch top`: containers and what they use, live on a terminal, once elsewhere."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from deckwatch.cli_client import asks_a_collector
from deckwatch.logs.target import Target, find_target
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.tls import ClientTls
from deckwatch.top.client import TopClient
from deckwatch.top.rows import Answer, Container, SortKey, chosen, ordered
from deckwatch.top.table import live_view, plain_lines


@click.command(short_help="Containers and what they use, live.")
@click.option(
    "--sort",
    type=click.Choice([key.value for key in SortKey]),
    default=SortKey.CPU.value,
    show_default=True,
    help="Largest first; name and host from A to Z.",
)
@click.option("--container", metavar="NAME", multiple=True, help="Only this one: name, wildcard or id. Repeatable.")
@click.option("--host", metavar="NAME", help="Only those of this host; may hold wildcards.")
@click.option("--once", is_flag=True, help="One plain table, then end. Always so where the output is no terminal.")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True, help="Seconds between looks.")
@asks_a_collector
def top(
    sort: str,
    container: tuple[str, ...],
    host: str | None,
    once: bool,
    interval: float,
    tenant: str,
    collector: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
) -> None:
    """Containers and what they use.

    CPU: 100 % is one core. Memory: the working set, which is what the kernel can't give back. Rates are those between
    the agent's last two looks. A - stands for what isn't known.
    """
    target = find_target(collector, token_file, os.environ, ClientTls(ca_file, cert_file, key_file))
    view = _View(SortKey(sort), container, host)
    console = Console(highlight=False)
    if once or not console.is_terminal:
        asyncio.run(_once(target, tenant, view))
    else:
        asyncio.run(_live(target, tenant, view, console, interval))


class _View:
    """Which containers, in which order."""

    def __init__(self, key: SortKey, patterns: tuple[str, ...], host: str | None) -> None:
        self.key = key
        self._patterns = patterns
        self._host = host

    def of(self, answer: Answer) -> list[Container]:
        return ordered(chosen(answer.containers, self._patterns, self._host), self.key)


async def _once(target: Target, tenant: str, view: _View) -> None:
    async with TopClient(target, tenant) as client:
        for line in plain_lines(view.of(await client.containers())):
            click.echo(line)


async def _live(target: Target, tenant: str, view: _View, console: Console, interval_s: float) -> None:
    """The first answer must come; later the last table stands, with its age, while the collector is away."""
    async with TopClient(target, tenant) as client:
        answer = await client.containers()
        answered_at, trouble = time.monotonic(), ""
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                status = _status(answer, view, time.monotonic() - answered_at, trouble)
                shown = live_view(
                    view.of(answer), key=view.key, width=console.width, height=console.height, status=status
                )
                live.update(shown, refresh=True)
                await asyncio.sleep(interval_s)
                try:
                    answer = await client.containers()
                    answered_at, trouble = time.monotonic(), ""
                except Retry as fault:
                    trouble = str(fault)


def _status(answer: Answer, view: _View, age_s: float, trouble: str) -> Text:
    hosts = {container.host for container in answer.containers}
    if trouble:
        return Text(f"{age_s:.0f} s old: {trouble}", style="red")
    words = (
        f"{_count(len(view.of(answer)), 'container')}, {_count(len(hosts), 'host')}; by {view.key.value}; Ctrl-C ends"
    )
    return Text(words, style="dim")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
