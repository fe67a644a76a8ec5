"""`deckwatch query`: PromQL in the terminal."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC
from pathlib import Path

import click
from rich.console import Console

from deckwatch.cli_client import asks_a_collector
from deckwatch.logs.target import Target, find_target
from deckwatch.query import show
from deckwatch.query.answer import Answer
from deckwatch.query.chart import Room
from deckwatch.query.client import QueryClient
from deckwatch.query.question import Question, question
from deckwatch.runtime.tls import ClientTls

_HELP = """Ask for metrics in PromQL: now, or with --since over a range, as a plot and a table.

\b
  deckwatch query 'sum by (name) (rate(container_cpu_usage_seconds_total[5m]))' --since 1h
  deckwatch query 'topk(5, container_memory_working_set_bytes)'
  deckwatch query 'node_load1' --since 1d --step 10m
  deckwatch query 'up' --at 2026-01-31T12:00:00Z --json

TIME is RFC 3339, Unix time, or relative: 15m, 2h30m, now-1d. Where the output is no terminal it has no colours, and
each series stands on a line of its own.
"""
_DEFAULT_LIMIT = 50
_PIPED = (80, 16)
_PIPED_POINTS = 240


@click.command(help=_HELP, short_help="Ask for metrics in PromQL: a table, a plot.")
@click.argument("expr", metavar="PROMQL")
@click.option("--since", metavar="TIME", default="", help="Over the time since then.")
@click.option("--until", metavar="TIME", default="", help="... until then.  [default: now]")
@click.option("--step", metavar="DURATION", default="", help="Between two points.  [default: as the plot needs it]")
@click.option("--at", metavar="TIME", default="", help="At this one time.  [default: now]")
@click.option("--limit", "-n", type=click.IntRange(0), default=_DEFAULT_LIMIT, help="Series in the table; 0: all.")
@click.option("--json", "as_json", is_flag=True, help="The answer as Prometheus' API gives it.")
@asks_a_collector
def query(
    expr: str,
    since: str,
    until: str,
    step: str,
    at: str,
    limit: int,
    as_json: bool,
    tenant: str,
    collector: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
) -> None:
    if at and since:
        raise click.UsageError("--at is one time and --since begins a range: choose one")
    if (until or step) and not since:
        raise click.UsageError("--until and --step belong to a range: say where it begins with --since")
    target = find_target(collector, token_file, os.environ, ClientTls(ca_file, cert_file, key_file))
    console = Console(highlight=False, markup=False, emoji=False)
    points = 2 * console.width if console.is_terminal and not as_json else _PIPED_POINTS
    asked = question(expr, at=at, since=since, until=until, step=step, now_ns=time.time_ns(), points=points)
    body, answer = asyncio.run(_ask(target, tenant, asked))
    if as_json:
        click.echo(body)
    else:
        _show(answer, asked, console, limit)
    for note in show.notes(answer):
        click.echo(note, err=True)


async def _ask(target: Target, tenant: str, asked: Question) -> tuple[bytes, Answer]:
    async with QueryClient(target, tenant) as client:
        body = await client.ask(asked)
        return body, client.read(body)


def _show(answer: Answer, asked: Question, console: Console, limit: int) -> None:
    data = answer.data
    series = data.series() if data.kind in ("vector", "matrix") else ()
    if data.kind in ("vector", "matrix") and not series:
        click.echo(show.NOTHING, err=True)
        return
    if asked.in_range:
        in_order = show.ordered(series)
        if console.is_terminal:
            room = Room(console.width, max(4, min(20, console.height // 2)), console.color_system is not None)
            for part in show.range_view(in_order, asked, room, limit):
                console.print(part)
        else:
            for line in show.plain_range(in_order, asked, Room(*_PIPED, colours=False, zone=UTC), limit):
                click.echo(line)
    elif console.is_terminal:
        console.print(show.instant_table(data, limit))
    else:
        for line in show.plain_lines(data, limit):
            click.echo(line)
    if limit and len(series) > limit:
        click.echo(f"{len(series) - limit} more series; --limit 0 shows all", err=True)
