"""`deckwatch silence`: nobody is told of what is expected."""

from __future__ import annotations

import time
from typing import Unpack

import click
import msgspec

from deckwatch.alerts import show
from deckwatch.alerts.client import AlertClient, Silence, read_matcher
from deckwatch.cli_alerts import print_rows
from deckwatch.cli_client import Where, asked, asks_a_collector, this_user
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.times import duration_ns, rfc3339, time_ns


@click.group(short_help="Silence alerts for a while: add, list, expire.")
def silence() -> None:
    """Silences: nobody is told of alerts that match, from a time to a time."""


@silence.command()
@click.argument("matchers", metavar="MATCHER...", nargs=-1, required=True)
@click.option("--for", "for_", metavar="DURATION", default="", help="How long: 2h.  [default: 1h]")
@click.option("--start", metavar="TIME", default="", help="From when on: 2026-01-31T22:00:00Z, now+2h.  [default: now]")
@click.option("--end", metavar="TIME", default="", help="Until when, instead of --for.")
@click.option("--comment", metavar="TEXT", required=True, help="Why.")
@click.option("--as", "name", metavar="NAME", default="", help="Who you are.  [default: your user name]")
@asks_a_collector
def add(
    matchers: tuple[str, ...],
    for_: str,
    start: str,
    end: str,
    comment: str,
    name: str,
    **where: Unpack[Where],
) -> None:
    """Silence alerts that match all of the matchers; prints its id.

    \b
      deckwatch silence add alertname=HighMem 'host=~web.*' --for 2h --comment 'more memory is coming'

    A word alone is the alertname.
    """
    if for_ and end:
        raise Unusable("give either --for or --end")
    now_ns = time.time_ns()
    start_ns = time_ns(start, now_ns) if start else now_ns
    end_ns = time_ns(end, now_ns) if end else start_ns + duration_ns(for_ or "1h")
    read = [read_matcher(text) for text in matchers]
    click.echo(
        asked(
            AlertClient,
            lambda client: client.silence(read, rfc3339(start_ns), rfc3339(end_ns), name or this_user(), comment),
            where,
        )
    )


@silence.command("list")
@click.argument("matchers", metavar="[MATCHER]...", nargs=-1)
@click.option("--expired", is_flag=True, help="Those that are over, too.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines with all fields.")
@asks_a_collector
def list_(matchers: tuple[str, ...], expired: bool, as_json: bool, **where: Unpack[Where]) -> None:
    """List silences that are active or to come."""
    filters = [str(read_matcher(text)) for text in matchers]
    every = asked(AlertClient, lambda client: client.silences(filters), where)
    found: list[Silence] = [one for one in every if expired or one.status.state != "expired"]
    if as_json:
        for one in found:
            click.echo(msgspec.json.encode(one).decode())
        return
    print_rows(show.SILENCE_HEADINGS, [show.silence_row(one) for one in found], "no silences")


@silence.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@asks_a_collector
def expire(ids: tuple[str, ...], **where: Unpack[Where]) -> None:
    """End silences now."""

    async def each(client: AlertClient) -> None:
        for id_ in ids:
            await client.expire(id_)
            click.echo(f"{id_} expired")

    asked(AlertClient, each, where)
