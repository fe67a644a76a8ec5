"""What the daemons' commands have in common: options, overrides, the start under a supervisor, signals."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from deckwatch.runtime.logging import LogFormat, LogLevel, LogSettings, setup_logging
from deckwatch.runtime.parent import SUPERVISOR_VARIABLE, die_with
from deckwatch.runtime.settings import SECTIONS
from deckwatch.runtime.signals import handle_signals

_STRUCTS = {
    "agent": "agent.settings:AgentSettings",
    "collector": "collector.settings:CollectorSettings",
    "alerting": "alerting.settings:AlertingSettings",
}

F = TypeVar("F", bound=Callable[..., Any])

LISTEN = click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
LOGS = click.option("--logs", metavar="GLOB", multiple=True, help="Log files to follow as well. Repeatable.")
NO_DOCKER = click.option("--no-docker", is_flag=True, help="Don't look for Docker's containers.")
RULES = click.option("--rules", metavar="GLOB", multiple=True, help="Rule files. Repeatable.")
WEBHOOK = click.option(
    "--webhook",
    metavar="URL",
    multiple=True,
    help="Where alerts are sent. Others on this machine see it: an address that is secret goes into alerting.webhooks.",
)
ALERTMANAGER_CONFIG = click.option(
    "--alertmanager-config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Alertmanager's configuration file: routes, receivers, inhibition, time intervals; instead of --webhook.",
)
CONFIG = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="YAML or TOML file; `deckwatch config show` lists what it may hold.",
)
TOKEN_FILE = click.option(
    "--token-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File with the bearer token (or DECKWATCH_TOKEN in the environment).",
)
INSECURE = click.option("--insecure", is_flag=True, help="Listen to other machines without a token.")
_LEVELS = click.Choice([level.value for level in LogLevel])
_FORMATS = click.Choice([form.value for form in LogFormat])
LOG_LEVEL = click.option("--log-level", type=_LEVELS, help="Least level of its own log lines.")
LOG_FORMAT = click.option("--log-format", type=_FORMATS, help="Of its own log lines.")


def with_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several option decorators as one, in the order of the help."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def settings_structs(sections: tuple[str, ...] = SECTIONS) -> dict[str, type[msgspec.Struct]]:
    found = {}
    for section in sections:
        module, _, name = _STRUCTS[section].partition(":")
        found[section] = getattr(importlib.import_module(module), name)
    return found


def given(options: Mapping[str, object]) -> dict[str, object]:
    """Overrides by dotted path without what the command line left out. A switch that isn't given is no wish."""
    return {path: value for path, value in options.items() if value not in (None, (), False)}


def prepare(log: LogSettings) -> None:
    """Before anything is started: tied to the supervisor where there is one, log lines set up."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE)
    if supervisor is not None:
        die_with(int(supervisor))
        log = msgspec.structs.replace(log, format=LogFormat.JSON)
    setup_logging(log)


def tell_address(address: str) -> None:
    """On stdout, for whoever started the daemon with port 0; a supervisor reads the announcement instead."""
    if SUPERVISOR_VARIABLE not in os.environ:
        click.echo(f"listening on {address}")


def run_daemon(
    main: Callable[[asyncio.Event], Coroutine[Any, Any, None]], *, reload: Callable[[], None] | None = None
) -> None:
    """Run until a signal sets the event and `main` has drained. `reload` is called on SIGHUP."""

    async def until_stopped() -> None:
        stop = asyncio.Event()
        handle_signals(stop, reload=reload)
        await main(stop)

    asyncio.run(until_stopped())
