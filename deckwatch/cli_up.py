"""`deckwatch up`: checks everything it can before it starts anything, then hands over to the supervisor."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from deckwatch import cli_daemon
from deckwatch.cli_config import settings_structs
from deckwatch.runtime.listen import Listen, check_listen, parse_listen
from deckwatch.runtime.logging import LogFormat, LogLevel, LogSettings, setup_logging
from deckwatch.runtime.places import DEFAULT_PORT, state_home
from deckwatch.runtime.settings import load_all
from deckwatch.runtime.signals import handle_signals
from deckwatch.runtime.tokens import read_token
from deckwatch.up.app import Up
from deckwatch.up.console import Console
from deckwatch.up.plan import UpOptions


@click.command()
@cli_daemon.with_options(
    click.option(
        "--data-dir",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Where everything is kept  [default: $XDG_STATE_HOME/deckwatch]",
    ),
    cli_daemon.LISTEN,
    cli_daemon.LOGS,
    cli_daemon.RULES,
    cli_daemon.WEBHOOK,
    cli_daemon.NO_DOCKER,
    cli_daemon.CONFIG,
    cli_daemon.TOKEN_FILE,
    cli_daemon.INSECURE,
    cli_daemon.LOG_LEVEL,
)
def up(
    data_dir: Path | None,
    listen: str | None,
    logs: tuple[str, ...],
    rules: tuple[str, ...],
    webhook: tuple[str, ...],
    no_docker: bool,
    config: Path | None,
    token_file: Path | None,
    insecure: bool,
    log_level: LogLevel | None,
) -> None:
    """Watch this machine: collector, agent and alerts, each in a process of its own, until Ctrl-C.

    SIGHUP has the rule files read again; on a terminal it stops, as the terminal is gone then.
    """
    at = parse_listen(listen) if listen else Listen("127.0.0.1", DEFAULT_PORT)
    token = read_token(token_file, os.environ)
    check_listen(at, token=token, insecure=insecure)
    options = UpOptions(
        data_dir=data_dir or state_home(os.environ),
        listen=at,
        logs=logs,
        rules=rules,
        webhooks=webhook,
        docker=not no_docker,
        config=config,
        insecure=insecure,
        token_file=token_file,
        token=token,
        log_level=log_level or LogLevel.WARNING,
        own_place=data_dir is not None,
    )
    load_all(settings_structs(), file=config, env=os.environ, overrides=_by_children(options))
    setup_logging(LogSettings(level=LogLevel.WARNING, format=LogFormat.TEXT))
    asyncio.run(_run(options))


def _by_children(options: UpOptions) -> dict[str, object]:
    """What the children get on their command lines, so that all faults of the file are told here, once."""
    return {
        "agent.collector": "http://127.0.0.1",
        "agent.state_dir": str(options.data_dir / "agent"),
        "collector.data_dir": str(options.data_dir / "collector"),
    }


async def _run(options: UpOptions) -> None:
    stop = asyncio.Event()
    up = Up(options, Console(sys.stdout))
    handle_signals(stop, reload=None if sys.stdout.isatty() else up.reload)
    await up.run(stop)
