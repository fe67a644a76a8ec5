"""`deckwatch up`: checks everything it can before it starts anything, then hands over to the supervisor."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from pathlib import Path

import click
import msgspec

from deckwatch import cli_daemon
from deckwatch.runtime.listen import check_listen, parse_listen
from deckwatch.runtime.logging import LogFormat, LogLevel, LogSettings, setup_logging
from deckwatch.runtime.places import state_home
from deckwatch.runtime.settings import Loaded, load_all
from deckwatch.runtime.signals import handle_signals
from deckwatch.runtime.tls import client_context
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
    cli_daemon.ALERTMANAGER_CONFIG,
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
    alertmanager_config: Path | None,
    no_docker: bool,
    config: Path | None,
    token_file: Path | None,
    insecure: bool,
    log_level: str | None,
) -> None:
    """Watch this machine: collector, agent and alerts, each in a process of its own, until Ctrl-C.

    SIGHUP has rule files and Alertmanager's configuration read again; on a terminal it stops, as the terminal is gone
    then.
    """
    place = data_dir or state_home(os.environ)
    overrides = {
        "agent.collector": "http://127.0.0.1",  # it is told the real one when the collector has it
        "agent.logs": logs,
        "agent.state_dir": place / "agent",
        "alerting.rules": rules,
        "collector.data_dir": place / "collector",
        "collector.insecure": insecure,
        "collector.listen": listen,
        "collector.token_file": token_file,
    }
    loaded = load_all(cli_daemon.settings_structs(), file=config, env=os.environ, overrides=cli_daemon.given(overrides))
    options = _options(place, loaded)
    options = msgspec.structs.replace(
        options,
        logs=logs,
        rules=rules,
        webhooks=webhook,
        alertmanager_config=alertmanager_config,
        docker=not no_docker,
        config=config,
        log_level=log_level or LogLevel.WARNING.value,
        own_place=data_dir is not None,
        command=typed_command(sys.argv[0], os.environ.get("PATH", "")),
    )
    setup_logging(LogSettings(level=LogLevel.WARNING, format=LogFormat.TEXT))
    asyncio.run(_run(options))


def typed_command(called_as: str, search_path: str) -> str:
    """How this command can be typed again where the user stands: `deckwatch` where the shell finds this very file, its
    path (relative where that is shorter) elsewhere."""
    found = shutil.which("deckwatch", path=search_path)
    script = Path(called_as)
    if script.name != "deckwatch" or not script.is_file():
        return "deckwatch"
    if found is not None and Path(found).resolve() == script.resolve():
        return "deckwatch"
    absolute = script.absolute()
    shown = absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
    return shlex.quote(str(shown))


def _options(place: Path, loaded: Loaded) -> UpOptions:
    """What file, environment and command line say together. Raises Unusable here, before anything is started."""
    from agent.settings import AgentSettings
    from collector.settings import CollectorSettings

    collector, agent = loaded.of(CollectorSettings), loaded.of(AgentSettings)
    listen = parse_listen(collector.listen)
    token = read_token(collector.token_file, os.environ)
    check_listen(listen, token=token, insecure=collector.insecure)
    client_context(agent.tls)
    return UpOptions(
        data_dir=place,
        listen=listen,
        insecure=collector.insecure,
        token_file=collector.token_file,
        token=token,
        tls=agent.tls,
    )


async def _run(options: UpOptions) -> None:
    stop = asyncio.Event()
    up = Up(options, Console(sys.stdout))
    handle_signals(stop, reload=None if sys.stdout.isatty() else up.reload)
    await up.run(stop)
