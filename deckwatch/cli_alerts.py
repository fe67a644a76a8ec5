"""`deckwatch alerts`, `deckwatch why`: what fires, and who is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import click
import msgspec
from rich.console import Console

from deckwatch.alerts import show
from deckwatch.alerts.client import AlertClient, read_matcher
from deckwatch.cli_client import Where, asked, asks_a_collector

_ALERTS = """Alerts that fire.

\b
  deckwatch alerts
  deckwatch alerts severity=critical 'host=~web.*'
  deckwatch alerts --silenced --json

A word alone is the alertname. Without a choice all are listed; silenced and inhibited ones say so.
"""
_WHY = """Why somebody is told of an alert, or isn't: routes, group, what mutes it, what each receiver knows, and when
it hears of it next.

\b
  deckwatch why 8c3f9a977ab47e1c                  by the fingerprint that `deckwatch alerts` shows
  deckwatch why alertname=HighMem host=node1      every alert with these labels
  deckwatch why severity=page                     none has them: what would become of one
"""


@click.command(help=_ALERTS, short_help="Alerts that fire.")
@click.argument("matchers", metavar="[MATCHER]...", nargs=-1)
@click.option("--receiver", metavar="REGEX", default="", help="That go to a receiver of this name.")
@click.option("--active", "kinds", flag_value="active", multiple=True, help="Those that are told of.")
@click.option("--silenced", "kinds", flag_value="silenced", multiple=True, help="Those that are silenced.")
@click.option("--inhibited", "kinds", flag_value="inhibited", multiple=True, help="Those that are inhibited.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines with all fields.")
@asks_a_collector
def alerts(
    matchers: tuple[str, ...], receiver: str, kinds: tuple[str, ...], as_json: bool, **where: Unpack[Where]
) -> None:
    filters = [str(read_matcher(text)) for text in matchers]
    flags = {kind: kind in kinds for kind in ("active", "silenced", "inhibited")} if kinds else {}
    found = asked(AlertClient, lambda client: client.alerts(filters, receiver, flags), where)
    if as_json:
        for alert in found:
            click.echo(msgspec.json.encode(alert).decode())
        return
    print_rows(show.ALERT_HEADINGS, [show.alert_row(alert) for alert in found], "no alerts")


@click.command(help=_WHY, short_help="Why somebody is told of an alert, or isn't.")
@click.argument("which", metavar="FINGERPRINT|LABEL=VALUE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@asks_a_collector
def why(which: tuple[str, ...], as_json: bool, **where: Unpack[Where]) -> None:
    by_fingerprint = len(which) == 1 and len(which[0]) == 16 and set(which[0]) <= set("0123456789abcdef")
    labels = "" if by_fingerprint else ",".join(str(read_matcher(text)) for text in which)
    told = asked(AlertClient, lambda client: client.why(which[0] if by_fingerprint else "", labels), where)
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
        return
    for line in show.reasons(told):
        click.echo(line)


def print_rows(headings: Sequence[str], rows: Sequence[tuple[str, ...]], nothing: str) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not rows:
        click.echo(nothing)
    elif console.is_terminal:
        console.print(show.table(headings, rows))
    else:
        for row in rows:
            click.echo("\t".join(row))
