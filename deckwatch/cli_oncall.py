"""`deckwatch oncall`: who is on call."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import click
import msgspec
from rich.console import Console

from deckwatch.cli_client import Where, asked, asks_a_collector, this_user
from deckwatch.oncall.client import OnCallClient, Shifts
from deckwatch.oncall.show import NOW_HEADINGS, SHIFT_HEADINGS, now_rows, override_line, shift_rows, table
from deckwatch.runtime.faults import Unusable

_HELP = """Who is on call now, or at another time; the shifts of one schedule.

\b
  deckwatch oncall                                     on every schedule
  deckwatch oncall --at now+8h
  deckwatch oncall web --until now+30d                 its shifts
  deckwatch oncall web --override bob --from 2026-12-24T18:00 --to 2026-12-25T09:00
  deckwatch oncall web --feed                          an address to subscribe to in a calendar

Times of overrides are of the schedule's clock where they name no offset.
"""


@click.command(help=_HELP, short_help="Who is on call.")
@click.argument("schedule", required=False)
@click.option("--at", metavar="TIME", default="", help="When; now if absent. Of a schedule: from when on.")
@click.option("--until", metavar="TIME", default="", help="Shifts up to then.  [default: two weeks]")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--ics", is_flag=True, help="The schedule as a calendar (iCalendar).")
@click.option("--feed", is_flag=True, help="The address under which calendars can subscribe to it.")
@click.option("--override", "user", metavar="USER", default="", help="Put USER on call, with --from and --to.")
@click.option("--from", "start", metavar="TIME", default="", help="When the override begins.")
@click.option("--to", "end", metavar="TIME", default="", help="When it ends.")
@click.option("--take-back", metavar="ID", default="", help="End an override that was made here.")
@click.option(
    "--import",
    "calendar",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take overrides from a calendar: the summary of each event is a user.",
)
@click.option("--as", "name", metavar="NAME", default="", help="Who you are.  [default: your user name]")
@asks_a_collector
def oncall(
    schedule: str | None,
    at: str,
    until: str,
    as_json: bool,
    ics: bool,
    feed: bool,
    user: str,
    start: str,
    end: str,
    take_back: str,
    calendar: Path | None,
    name: str,
    **where: Unpack[Where],
) -> None:
    by = name or this_user()
    if schedule is None:
        if ics or feed or user or take_back or calendar:
            raise Unusable("of which schedule? `deckwatch oncall` lists them")
        _print_now(at, as_json, where)
    elif user:
        if not start or not end:
            raise Unusable("an override needs --from and --to")
        made = asked(OnCallClient, lambda client: client.override(schedule, user, start, end, by), where)
        click.echo(override_line(made, made.timezone))
    elif calendar is not None:
        text = calendar.read_bytes()
        taken = asked(OnCallClient, lambda client: client.take_calendar(schedule, text, by), where)
        for one in taken.overrides:
            click.echo(override_line(one, taken.timezone))
    elif take_back:
        click.echo(f"{asked(OnCallClient, lambda client: client.take_back(schedule, take_back), where)} is taken back")
    elif feed:
        click.echo(asked(OnCallClient, lambda client: client.feed(schedule), where))
    elif ics:
        sys.stdout.buffer.write(asked(OnCallClient, lambda client: client.calendar(schedule), where))
    else:
        _print_shifts(asked(OnCallClient, lambda client: client.shifts(schedule, at, until), where), as_json)


def _print_now(at: str, as_json: bool, where: Where) -> None:
    schedules = asked(OnCallClient, lambda client: client.now(at), where)
    if as_json:
        for one in schedules:
            click.echo(msgspec.json.encode(one))
    elif schedules:
        _print(NOW_HEADINGS, now_rows(schedules), who=1)
    else:
        click.echo("there are no schedules: name files with alerting.oncall (docs/oncall.md)")


def _print_shifts(shifts: Shifts, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(shifts))
        return
    _print(SHIFT_HEADINGS, shift_rows(shifts), who=2)
    for override in shifts.overrides:
        click.echo(f"override: {override_line(override, shifts.timezone)}")


def _print(headings: Sequence[str], rows: Sequence[Sequence[str]], *, who: int) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(table(headings, rows, who=who))
        return
    for row in rows:
        click.echo("\t".join(row))
