"""Settings of the agent: the section `agent` of a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.checks.settings import CheckSettings
from agent.discover.settings import DiscoverSettings
from agent.engine.settings import EngineSettings
from agent.own_metrics import OwnMetricsSettings
from agent.sample.settings import SampleSettings
from agent.scrape.settings import ScrapeSettings
from agent.ship.settings import ShipSettings
from agent.statsd.settings import StatsdSettings
from agent.tail.settings import TailSettings
from deckwatch.runtime.logging import LogSettings
from deckwatch.runtime.tls import ClientTls


class AgentSettings(msgspec.Struct, frozen=True):
    collector: Annotated[str, Meta(description="Address of the collector's intake.")] = "http://127.0.0.1:9428"
    state_dir: Annotated[
        Path | None, Meta(description="Where positions and the spool are kept. Unset: below the XDG state folder.")
    ] = None
    listen: Annotated[str, Meta(description="HOST:PORT of /metrics, /healthz and /status; port 0: any free one.")] = (
        "127.0.0.1:0"
    )
    insecure: Annotated[bool, Meta(description="Allow to listen beyond loopback without a token.")] = False
    token_file: Annotated[
        Path | None,
        Meta(description="File with the bearer token for the collector; else DECKWATCH_TOKEN of the environment."),
    ] = None
    host: Annotated[str, Meta(description="Name of this host in records and series. Empty: the system's name.")] = ""
    timezone: Annotated[
        str,
        Meta(
            description="Zone of times in this host's log lines that name none: Europe/Berlin, UTC, +02:00. Empty: the "
            "collector's parse.times.timezone.",
            pattern=r"^([A-Za-z][A-Za-z0-9_+/-]*|[+-]\d\d:?[0-5]\d|)$",
        ),
    ] = ""
    logs: Annotated[tuple[str, ...], Meta(description="Globs of log files to follow; plain or docker-json.")] = ()
    tls: Annotated[ClientTls, Meta(description="TLS towards the collector.")] = ClientTls()
    discover: Annotated[DiscoverSettings, Meta(description="Which containers and files are looked for.")] = (
        DiscoverSettings()
    )
    tail: Annotated[TailSettings, Meta(description="How log files are followed.")] = TailSettings()
    sample: Annotated[SampleSettings, Meta(description="What is measured.")] = SampleSettings()
    engine: Annotated[EngineSettings, Meta(description="Images and volumes of the engine.")] = EngineSettings()
    scrape: Annotated[ScrapeSettings, Meta(description="Prometheus targets that are scraped.")] = ScrapeSettings()
    statsd: Annotated[StatsdSettings, Meta(description="Metrics that programs send by StatsD.")] = StatsdSettings()
    checks: Annotated[CheckSettings, Meta(description="Nagios plugins and probes.")] = CheckSettings()
    own_metrics: Annotated[OwnMetricsSettings, Meta(description="The agent's own metrics as samples.")] = (
        OwnMetricsSettings()
    )
    ship: Annotated[ShipSettings, Meta(description="How what was read is sent.")] = ShipSettings()
    log: Annotated[LogSettings, Meta(description="The agent's own log lines.")] = LogSettings()
