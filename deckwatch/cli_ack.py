"""`deckwatch ack`: I have it."""

from __future__ import annotations

from typing import Unpack

import click

from deckwatch.cli_client import Where, asked, asks_a_collector, this_user
from deckwatch.incidents.client import Incident, IncidentClient
from deckwatch.incidents.show import plain


@click.command(short_help="Acknowledge an incident: I have it.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--for", "for_", metavar="TIME", default="", help="How long it holds: 2h.  [default: as configured, 4h]")
@click.option("--comment", metavar="TEXT", default="", help="Why, or what you are doing; stands on the timeline.")
@click.option("--owner", metavar="NAME", default="", help="Somebody else has it.")
@click.option("--undo", is_flag=True, help="Give it back: repeats and escalation go on.")
@click.option("--as", "name", metavar="NAME", default="", help="Who you are.  [default: your user name]")
@asks_a_collector
def ack(
    ids: tuple[str, ...], for_: str, comment: str, owner: str, undo: bool, name: str, **where: Unpack[Where]
) -> None:
    """Acknowledge incidents: until it expires, nobody is told again and nobody else is called.

    What is new is told all the same: alerts that join, and the end.
    """
    who = {"by": name or this_user(), "why": comment}
    body = who if undo else {**who, "owner": owner, "for": for_}
    verb = "unacknowledge" if undo else "acknowledge"

    async def each(client: IncidentClient) -> list[Incident]:
        return [await client.do(id_, verb, body) for id_ in ids]

    for incident in asked(IncidentClient, each, where):
        click.echo(f"{incident.id}  {plain(incident.title)}: {plain(incident.held) or incident.state}")
