"""`deckwatch collector`: the daemon that takes, keeps and answers, with the alerts plugged in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from deckwatch import cli_daemon
from deckwatch.runtime.settings import Sections, load_all


@click.command()
@cli_daemon.with_options(
    click.option("--data-dir", metavar="DIR", type=click.Path(path_type=Path), help="Journal, store, alert state."),
    cli_daemon.LISTEN,
    cli_daemon.RULES,
    cli_daemon.WEBHOOK,
    cli_daemon.ALERTMANAGER_CONFIG,
    cli_daemon.CONFIG,
    cli_daemon.TOKEN_FILE,
    cli_daemon.INSECURE,
    cli_daemon.LOG_LEVEL,
    cli_daemon.LOG_FORMAT,
)
def collector(
    data_dir: Path | None,
    listen: str | None,
    rules: tuple[str, ...],
    webhook: tuple[str, ...],
    alertmanager_config: Path | None,
    config: Path | None,
    token_file: Path | None,
    insecure: bool,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Take, keep and answer for what agents ship; evaluate rules and send alerts.

    SIGHUP: read rule files and Alertmanager's configuration again.
    """
    from alerting.settings import AlertingSettings
    from collector.settings import CollectorSettings

    overrides = {
        "collector.data_dir": data_dir,
        "collector.listen": listen,
        "collector.token_file": token_file,
        "collector.insecure": insecure,
        "collector.log.level": log_level,
        "collector.log.format": log_format,
        "alerting.rules": rules,
        "alerting.webhooks": tuple({"url": url} for url in webhook),
        "alerting.alertmanager_config": alertmanager_config,
    }
    sections: Sections = {"collector": CollectorSettings, "alerting": AlertingSettings}
    loaded = load_all(sections, file=config, env=os.environ, overrides=cli_daemon.given(overrides))
    settings = loaded.of(CollectorSettings)
    cli_daemon.prepare(settings.log)
    from collector.memory import be_thrifty

    be_thrifty()
    # polars, numba and pyarrow: not before the settings are known to be good
    from alerting.app import Alerting, attach
    from collector.app import Collector, run

    attached: list[Alerting] = []

    def attach_alerting(collector: Collector) -> None:
        attached.append(attach(collector, loaded.of(AlertingSettings)))

    def reload() -> None:
        for alerting in attached:
            alerting.reload()

    async def until_stopped(stop: asyncio.Event) -> None:
        await run(settings, stop=stop, ready=cli_daemon.tell_address, attach=attach_alerting)

    cli_daemon.run_daemon(until_stopped, reload=reload)
