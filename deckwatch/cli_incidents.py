"""`deckwatch incidents`: what is wrong, who has it, what was done about it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import TypeVar, Unpack

import click
import msgspec
from rich.console import Console

from deckwatch.cli_client import Where, asked, asks_a_collector, this_user
from deckwatch.incidents.client import IncidentClient, Statistics
from deckwatch.incidents.show import columns, detail, statistics_rows, statistics_table, table
from deckwatch.runtime.faults import Unusable

T = TypeVar("T")

_HELP = """Incidents: alerts that belong together, from the first one to the last, and what people did about them.

\b
  deckwatch incidents                                  those that are open
  deckwatch incidents --all --since 7d                 ended ones, too
  deckwatch incidents --filter '{severity="critical"}'
  deckwatch incidents 0jk3m2q7x9k2fa                   one of them, with its timeline
  deckwatch incidents 0jk3m2q7x9k2fa --report          its post-mortem in Markdown
  deckwatch incidents 0jk3m2q7x9k2fa --comment 'disk was full' --assign bob
  deckwatch incidents --statistics team --since 30d    MTTA, MTTR, noise

TIME is RFC 3339, Unix time, or relative: 15m, 2h30m, 7d.
"""
Wish = tuple[str, dict[str, str]]
"""(verb, body of the request)"""

_STATES = ("open", "ended", "firing", "notified", "acknowledged", "responding", "verified", "resolved", "reviewed")


@click.command(help=_HELP, short_help="What is wrong, who has it, what was done about it.")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--state", type=click.Choice(_STATES), multiple=True, help="Only those. Repeatable.  [default: open]")
@click.option("--all", "every", is_flag=True, help="In whatever state.")
@click.option("--rule", metavar="NAME", default="", help="Of this rule.")
@click.option("--team", metavar="NAME", default="", help="Of this team.")
@click.option("--owner", metavar="NAME", default="", help="Acknowledged by, or assigned to.")
@click.option("--filter", "matchers", metavar="MATCHERS", default="", help="Of which an alert matches.")
@click.option("--since", metavar="TIME", default="", help="That were open then or later.")
@click.option("--statistics", type=click.Choice(["rule", "team"]), help="MTTA, MTTR and noise instead, for each.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines with all fields.")
@click.option("--report", is_flag=True, help="The post-mortem of ID, in Markdown.")
@click.option("--comment", metavar="TEXT", default="", help="Write this on its timeline.")
@click.option("--assign", metavar="NAME", default=None, help='Assign it; "" to nobody.')
@click.option("--snooze", metavar="TIME", default="", help="Hold repeats and escalation so long: 2h.")
@click.option("--unsnooze", is_flag=True, help="End that.")
@click.option("--review", metavar="TEXT", default="", help="What was learnt from it; - reads it from stdin.")
@click.option("--as", "name", metavar="NAME", default="", help="Who you are.  [default: your user name]")
@asks_a_collector
def incidents(
    id_: str | None,
    state: tuple[str, ...],
    every: bool,
    rule: str,
    team: str,
    owner: str,
    matchers: str,
    since: str,
    statistics: str | None,
    as_json: bool,
    report: bool,
    comment: str,
    assign: str | None,
    snooze: str,
    unsnooze: bool,
    review: str,
    name: str,
    **where: Unpack[Where],
) -> None:
    wishes = _wishes(comment, assign, snooze, unsnooze, review, name)
    if id_ is None and (wishes or report):
        raise Unusable("which one? Give its id, which `deckwatch incidents` shows")
    if id_ is None and statistics is not None:
        by = statistics
        rows = asked(IncidentClient, lambda client: client.statistics(by, since), where)
        _print_statistics(rows, as_json)
    elif id_ is None:
        states = ",".join(state) if state or every else "open"
        choice = {"state": states, "rule": rule, "team": team, "owner": owner, "filter": matchers, "start": since}
        _list(choice, as_json, where)
    else:
        _do(id_, wishes, where)
        _show(id_, as_json, report, where)


def _wishes(comment: str, assign: str | None, snooze: str, unsnooze: bool, review: str, name: str) -> list[Wish]:
    """What is to be done, in the order of the options."""
    who = {"by": name or this_user()}
    if review == "-":
        review = sys.stdin.read()
    wishes = [("comment", {"text": comment}, bool(comment)), ("assign", {"to": assign or ""}, assign is not None)]
    wishes += [("snooze", {"for": snooze}, bool(snooze)), ("unsnooze", {}, unsnooze)]
    wishes += [("review", {"text": review}, bool(review))]
    return [(verb, {**body, **who}) for verb, body, wished in wishes if wished]


def _do(id_: str, wishes: list[Wish], where: Where) -> None:
    async def each(client: IncidentClient) -> None:
        for verb, body in wishes:
            await client.do(id_, verb, body)

    asked(IncidentClient, each, where)


async def _all(found: AsyncIterator[T]) -> list[T]:
    return [each async for each in found]


def _list(choice: dict[str, str], as_json: bool, where: Where) -> None:
    if as_json:
        for line in asked(IncidentClient, lambda client: _all(client.raw_incidents(choice)), where):
            click.echo(line)
        return
    found = asked(IncidentClient, lambda client: _all(client.incidents(choice)), where)
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        for incident in found:
            click.echo("\t".join(columns(incident)))
    elif found:
        console.print(table(found))
    else:
        click.echo("no incident is open" if choice["state"] == "open" else "no such incident")


def _show(id_: str, as_json: bool, report: bool, where: Where) -> None:
    if report or as_json:
        raw = asked(IncidentClient, lambda client: client.report(id_) if report else client.raw(id_), where)
        sys.stdout.buffer.write(raw if raw.endswith(b"\n") else raw + b"\n")
        return
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in detail(asked(IncidentClient, lambda client: client.whole(id_), where)):
        console.print(line)


def _print_statistics(rows: tuple[Statistics, ...], as_json: bool) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row))
    elif not console.is_terminal:
        for cells in statistics_rows(rows)[1:]:
            click.echo("\t".join(cells))
    elif rows:
        console.print(statistics_table(rows))
    else:
        click.echo("no incident opened in that time; --since looks further back")
