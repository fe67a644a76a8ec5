"""What the commands that ask a collector have in common: whose records, where to ask, how to be let in."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

from deckwatch.json_client import JsonClient
from deckwatch.logs.target import find_target
from deckwatch.runtime.tls import ClientTls

T = TypeVar("T")
C = TypeVar("C", bound=JsonClient)
F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--tenant", metavar="NAME", default="", help="Whose.  [default: default]"),
    click.option("--collector", metavar="URL", help="Where to ask; DECKWATCH_COLLECTOR, or the one of `deckwatch up`."),
    click.option(
        "--token-file",
        metavar="FILE",
        type=_FILE,
        help="File with the bearer token (or DECKWATCH_TOKEN in the environment).",
    ),
    click.option("--ca-file", metavar="FILE", type=_FILE, help="Authorities (PEM) to trust."),
    click.option("--cert-file", metavar="FILE", type=_FILE, help="Client certificate (PEM)."),
    click.option("--key-file", metavar="FILE", type=_FILE, help="Its private key (PEM)."),
)


def asks_a_collector(function: F) -> F:
    """The options, in the order of the help, behind those of the command itself."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class Where(TypedDict):
    """What these options give."""

    tenant: str
    collector: str | None
    token_file: Path | None
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None


def asked(client: type[C], ask: Callable[[C], Awaitable[T]], where: Where) -> T:
    """The answer of the collector that the options name. Raises Unusable, Reject, Retry."""
    tls = ClientTls(where["ca_file"], where["cert_file"], where["key_file"])
    target = find_target(where["collector"], where["token_file"], os.environ, tls)

    async def run() -> T:
        async with client(target, where["tenant"]) as opened:
            return await ask(opened)

    return asyncio.run(run())


def this_user() -> str:
    """Who calls the command, for what remembers it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
