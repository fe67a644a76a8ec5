"""`deckwatch verify`: is every line there?"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import click
import msgspec
from rich.console import Console

from deckwatch.cli_client import asks_a_collector
from deckwatch.logs.choice import container_query
from deckwatch.logs.client import LogClient
from deckwatch.logs.target import Target, find_target
from deckwatch.runtime.faults import Retry, Unusable
from deckwatch.runtime.tls import ClientTls
from deckwatch.verify.agents import AgentUnreachable, ask_agent, local_agent, named_agents
from deckwatch.verify.compare import Result, compare
from deckwatch.verify.model import AgentAnswer, Looked, Stream, Verified, read_step
from deckwatch.verify.show import plain_problem, problem_table, summary

_HELP = """Prove that every line is there, or name each gap.

The collector reads all of its segments anew and compares them with its account of every stream; the agents say what is
in their files and what was acknowledged. Exit status: 0 complete, 1 something is missing or there twice, 2 it could not
be verified.

\b
  deckwatch verify
  deckwatch verify --container 'web*' --since 1d
  deckwatch verify --agent http://127.0.0.1:9429

What retention has dropped is an explained end, no gap. TIME is RFC 3339, Unix time, or relative: 15m, 2h30m, now-1d.
"""


class Wish(msgspec.Struct, frozen=True):
    containers: tuple[str, ...]
    since: str
    agents: tuple[str, ...]
    tenant: str
    json: bool

    def parameters(self) -> dict[str, str]:
        query = container_query(self.containers) if self.containers else ""
        given = {"query": query, "start": self.since, "tenant": self.tenant}
        return {name: value for name, value in given.items() if value}


@click.command(help=_HELP, short_help="Prove that every line is there, or name each gap.")
@click.option("--container", metavar="NAME", multiple=True, help="Of this container: name, wildcard or id. Repeatable.")
@click.option("--since", metavar="TIME", default="", help="Only what was noticed since then.")
@click.option(
    "--agent",
    metavar="URL",
    multiple=True,
    help="An agent whose files are compared, too. Repeatable.  [default: the one of `deckwatch up`]",
)
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@asks_a_collector
def verify(
    container: tuple[str, ...],
    since: str,
    agent: tuple[str, ...],
    as_json: bool,
    tenant: str,
    collector: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
) -> int:
    target = find_target(collector, token_file, os.environ, ClientTls(ca_file, cert_file, key_file))
    wish = Wish(container, since, agent, tenant, as_json)
    try:
        result = asyncio.run(_verified(wish, target))
    except Retry as fault:
        raise Unusable(f"it can't be verified: {fault}") from None
    _tell(result, wish.json)
    return 0 if result.complete else 1


async def _verified(wish: Wish, target: Target) -> Result:
    agents, notes = await _sources(wish, target)  # first: what they call acknowledged must be there afterwards
    streams: list[Stream] = []
    end: Verified | None = None
    async with (
        LogClient(target) as client,
        aclosing(client.documents("/api/v1/verify", wish.parameters())) as lines,
    ):
        progress = _Progress()
        async for line in lines:
            match read_step(line):
                case Looked() as looked:
                    progress.update(looked)
                case Verified() as verified:
                    end = verified
                case Stream() as stream:
                    streams.append(stream)
        progress.clear()
    if end is None:
        raise Retry("the collector's answer was cut short")
    result = compare(streams, end, agents, wish.containers, wish.tenant)
    return msgspec.structs.replace(result, notes=(*notes, *result.notes))


async def _sources(wish: Wish, target: Target) -> tuple[list[AgentAnswer], list[str]]:
    """What the agents say, and why one isn't there. Raises Unusable where one that was named can't be asked."""
    headers = target.headers()
    if wish.agents:
        return [await ask_agent(url, headers, target.tls) for url in named_agents(wish.agents)], []
    url = local_agent(os.environ)
    if url is None:
        return [], ["no agent is known here: what is in the files was not compared; name one with --agent URL"]
    try:
        return [await ask_agent(url, headers, target.tls)], []
    except AgentUnreachable as fault:
        return [], [f"{fault}; what is in its files was not compared"]


class _Progress:
    """On stderr, if that is a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def update(self, looked: Looked) -> None:
        if self._live:
            sys.stderr.write(f"\r\x1b[Kread {looked.segments:,} of {looked.of:,} segments")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _tell(result: Result, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(result))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if result.problems and console.is_terminal:
        console.print(problem_table(result))
    elif result.problems:
        _echo([plain_problem(one) for one in result.problems])
    _echo(list(summary(result)))


def _echo(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
