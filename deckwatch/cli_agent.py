"""`deckwatch agent`: the daemon on each host."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from deckwatch import cli_daemon
from deckwatch.runtime.limits import use_one_heap
from deckwatch.runtime.settings import load


@click.command()
@cli_daemon.with_options(
    click.option("--collector", metavar="URL", help="Where to ship to, for instance http://127.0.0.1:9428"),
    click.option("--state-dir", metavar="DIR", type=click.Path(path_type=Path), help="Positions, identity, spool."),
    cli_daemon.LISTEN,
    cli_daemon.LOGS,
    cli_daemon.NO_DOCKER,
    cli_daemon.CONFIG,
    cli_daemon.TOKEN_FILE,
    cli_daemon.INSECURE,
    cli_daemon.LOG_LEVEL,
    cli_daemon.LOG_FORMAT,
)
def agent(
    collector: str | None,
    state_dir: Path | None,
    listen: str | None,
    logs: tuple[str, ...],
    no_docker: bool,
    config: Path | None,
    token_file: Path | None,
    insecure: bool,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Ship this host's container logs, files, container and host metrics to a collector."""
    from agent.settings import AgentSettings

    overrides = {
        "agent.collector": collector,
        "agent.state_dir": state_dir,
        "agent.listen": listen,
        "agent.logs": logs,
        "agent.token_file": token_file,
        "agent.insecure": insecure,
        "agent.log.level": log_level,
        "agent.log.format": log_format,
    }
    switches: dict[str, object] = {"agent.discover.docker.enabled": False} if no_docker else {}
    settings = load(
        AgentSettings,
        section="agent",
        file=config,
        env=os.environ,
        overrides=cli_daemon.given(overrides) | switches,
    )
    cli_daemon.prepare(settings.log)
    use_one_heap()
    from agent.app import run  # not before the settings are known to be good

    async def until_stopped(stop: asyncio.Event) -> None:
        await run(settings, stop=stop, ready=cli_daemon.tell_address)

    cli_daemon.run_daemon(until_stopped)
