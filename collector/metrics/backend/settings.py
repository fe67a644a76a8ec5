"""Options of another storage of samples."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from deckwatch.runtime.durations import Duration, duration_s
from deckwatch.runtime.http_settings import HttpClientSettings


class BackendSettings(HttpClientSettings, frozen=True, kw_only=True):
    """Prometheus, Mimir, Thanos, VictoriaMetrics: whatever speaks Prometheus' HTTP API."""

    url: Annotated[
        str,
        Meta(description="What stands before /api/v1, such as http://prometheus:9090 or http://mimir:8080/prometheus."),
    ]
    selectors: Annotated[
        Literal["remote_read", "query"],
        Meta(
            description="How rules read samples: remote_read (Prometheus, Mimir: exact, staleness included) or query, "
            "by range selectors (Thanos, VictoriaMetrics, which have no remote read)."
        ),
    ] = "remote_read"
    tenant_header: Annotated[
        str, Meta(description="Header that names the tenant, such as X-Scope-OrgID. Empty: only `default` is there.")
    ] = ""
    headers: Annotated[dict[str, str], Meta(description="Further headers.")] = {}  # noqa: RUF012 - copied
    query_timeout: Annotated[Duration, Meta(description="Of a question that a client asks.")] = "2m"
    rule_timeout: Annotated[Duration, Meta(description="Of one selector of a rule.")] = "10s"
    max_answer_bytes: Annotated[int, Meta(ge=1 << 16, description="Of a rule's selector, unpacked; more fails.")] = (
        256 << 20
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url {self.url!r} is no http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("url has a password in it; give basic_auth with a password_file")
        if self.url.rstrip("/").endswith("/api/v1"):
            raise ValueError(f"url {self.url!r} ends with /api/v1, which is added to it: leave that away")
        if not duration_s(self.query_timeout) or not duration_s(self.rule_timeout):
            raise ValueError("a timeout is 0")
