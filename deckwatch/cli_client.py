"""What the commands that ask a collector have in common: whose records, where to ask, how to be let in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

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
