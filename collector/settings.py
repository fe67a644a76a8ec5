"""Options of the collector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from collector.intake.settings import IntakeSettings
from collector.metrics.backend.settings import BackendSettings
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.remote.settings import RemoteWriteInSettings, RemoteWriteSettings
from collector.metrics.tsdb.settings import HistorySettings
from collector.parse.settings import ParseSettings
from collector.store.embedded.settings import EmbeddedStoreSettings
from deckwatch.runtime.logging import LogSettings
from deckwatch.runtime.tls import ServerTls


class MetricsSettings(msgspec.Struct, frozen=True):
    silent_after_s: Annotated[
        float, Meta(gt=0, description="Silence of an agent after which its series are unknown, in seconds.")
    ] = 300.0
    history: Annotated[HistorySettings, Meta(description="How long samples are kept.")] = HistorySettings()
    remote_write_in: Annotated[RemoteWriteInSettings, Meta(description="What senders of remote write may do.")] = (
        RemoteWriteInSettings()
    )
    remote_write: Annotated[
        tuple[RemoteWriteSettings, ...],
        Meta(description="Receivers of all samples, each as under remote_write in prometheus.yml."),
    ] = ()
    backend: Annotated[
        BackendSettings | None,
        Meta(description="Another storage that answers queries, and that rules read; unset: the embedded history."),
    ] = None
    queries: Annotated[PromqlSettings, Meta(description="Limits of PromQL queries.")] = PromqlSettings()

    def __post_init__(self) -> None:
        keys = [receiver.key for receiver in self.remote_write]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"remote_write: {twice[0]} is there twice; give each receiver a name of its own")


class CollectorSettings(msgspec.Struct, frozen=True):
    listen: Annotated[str, Meta(description="HOST:PORT of intake, queries and /metrics; port 0: any free one.")] = (
        "127.0.0.1:9428"
    )
    data_dir: Annotated[
        Path | None, Meta(description="Journal, store and alert state; unset: the user's state folder.")
    ] = None
    token_file: Annotated[Path | None, Meta(description="File with the bearer token that clients must bring.")] = None
    insecure: Annotated[bool, Meta(description="Listen beyond loopback without a token.")] = False
    max_connections: Annotated[
        int, Meta(ge=8, description="Connections at a time; one more is answered 503. An agent needs one or two.")
    ] = 4096
    drain_s: Annotated[float, Meta(ge=0, description="Time for work under way to end at a stop, in seconds.")] = 15.0
    tls: ServerTls = ServerTls()
    intake: IntakeSettings = IntakeSettings()
    parse: ParseSettings = ParseSettings()
    store: EmbeddedStoreSettings = EmbeddedStoreSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: Annotated[LogSettings, Meta(description="The collector's own log lines.")] = LogSettings()
