"""Options of remote write, in and out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from deckwatch.runtime.durations import Duration, duration_s
from deckwatch.runtime.http_settings import HttpClientSettings
from deckwatch.runtime.relabel_settings import Relabelling
from deckwatch.wire.model import DEFAULT_TENANT

OWN_HEADERS = frozenset(
    {
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-prometheus-remote-write-version",
    }
)
"""Nobody may set these: they are made from the other options and the body."""


class RemoteWriteInSettings(Struct, frozen=True):
    max_body_bytes: Annotated[int, Meta(ge=1 << 16, description="Largest compressed request that is taken.")] = 16 << 20
    max_inflight_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Requests being taken at once; more are told to wait (bytes).")
    ] = 64 << 20


class QueueConfig(Struct, frozen=True):
    """Names as in prometheus.yml. The queue itself is the history's log on disk, whatever `capacity` says."""

    capacity: Annotated[int, Meta(ge=1, description="Samples that are read ahead, and in flight together.")] = 10_000
    max_shards: Annotated[int, Meta(ge=1, le=200, description="Requests at a time, of different series each.")] = 10
    max_samples_per_send: Annotated[int, Meta(ge=1, description="Most samples of a request.")] = 2_000
    batch_send_deadline: Annotated[
        Duration, Meta(description="Longest wait for a request to become full; what is new is sent this often.")
    ] = "5s"
    min_backoff: Annotated[Duration, Meta(description="First wait before a request is repeated.")] = "30ms"
    max_backoff: Annotated[Duration, Meta(description="Longest wait, unless the receiver asks for more.")] = "5s"
    sample_age_limit: Annotated[Duration, Meta(description="Older samples are left out, and counted; 0: none.")] = "0s"

    def __post_init__(self) -> None:
        if not duration_s(self.batch_send_deadline):
            raise ValueError("batch_send_deadline is 0")
        if not 0 < duration_s(self.min_backoff) <= duration_s(self.max_backoff):
            raise ValueError(f"min_backoff {self.min_backoff} is not between 0 and max_backoff {self.max_backoff}")


class MetadataConfig(Struct, frozen=True):
    send: Annotated[bool, Meta(description="Tell types, helps and units of metrics.")] = True
    send_interval: Annotated[Duration, Meta(description="How often.")] = "1m"
    max_samples_per_send: Annotated[int, Meta(ge=1, description="Most metrics told in a request.")] = 2_000

    def __post_init__(self) -> None:
        if not duration_s(self.send_interval):
            raise ValueError("send_interval is 0")


class RemoteWriteSettings(HttpClientSettings, frozen=True, kw_only=True):
    """One receiver, as under remote_write in prometheus.yml."""

    url: Annotated[str, Meta(description="Where samples are sent, such as http://prometheus:9090/api/v1/write.")]
    name: Annotated[
        str, Meta(description="In metrics and logs; with a name the URL may change and sending goes on.")
    ] = ""
    tenant: Annotated[str, Meta(description="Whose samples are sent.", min_length=1)] = DEFAULT_TENANT
    headers: Annotated[dict[str, str], Meta(description="Further headers, such as X-Scope-OrgID.")] = {}  # noqa: RUF012 - copied
    external_labels: Annotated[
        dict[str, str], Meta(description="Labels of every series that lacks them (Prometheus: global.external_labels).")
    ] = {}  # noqa: RUF012 - copied
    remote_timeout: Annotated[Duration, Meta(description="Of one request.")] = "30s"
    write_relabel_configs: Annotated[Relabelling, Meta(description="What becomes of series' labels.")] = ()
    queue_config: QueueConfig = QueueConfig()
    metadata_config: MetadataConfig = MetadataConfig()
    max_queue_bytes: Annotated[
        int,
        Meta(
            ge=1 << 20, description="Of the log on disk that may wait for this receiver; beyond it the oldest is lost."
        ),
    ] = 8 << 30

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url {self.url!r} is no http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("url has a password in it; give basic_auth with a password_file")
        if not duration_s(self.remote_timeout):
            raise ValueError("remote_timeout is 0")
        if own := sorted(name for name in self.headers if name.lower() in OWN_HEADERS):
            raise ValueError(f"headers: {own[0]} can't be set here")

    @property
    def key(self) -> str:
        """What it is called; its position is kept under it. A receiver of another URL or tenant is another one."""
        digest = hashlib.blake2b(f"{self.url}\0{self.tenant}".encode(), digest_size=3).hexdigest()
        return self.name or f"{urlsplit(self.url).hostname}-{digest}"


def position_file(folder: Path, settings: RemoteWriteSettings) -> Path:
    """Of a receiver: the name may be any text."""
    digest = hashlib.blake2b(settings.key.encode(), digest_size=8).hexdigest()
    return folder / f"{digest}.json"
