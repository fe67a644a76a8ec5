"""What is scraped. A job is written as in prometheus.yml, with the same names and defaults unless its help says so."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from deckwatch.runtime.durations import SIZE, Duration, duration_s
from deckwatch.runtime.http_settings import HttpClientSettings
from deckwatch.runtime.relabel_settings import Relabelling

Scheme = Literal["http", "https"]


class StaticConfig(msgspec.Struct, frozen=True):
    targets: Annotated[tuple[str, ...], Meta(description="HOST:PORT of each.")]
    labels: Annotated[dict[str, str], Meta(description="Labels of all their series.")] = {}


class FileSd(msgspec.Struct, frozen=True):
    files: Annotated[tuple[str, ...], Meta(description="Globs of .json, .yml or .yaml files of target groups.")]
    refresh_interval: Annotated[
        Duration, Meta(description="Between two looks for changed files; Prometheus' default is 5m.")
    ] = "5s"


class DnsSd(msgspec.Struct, frozen=True):
    names: Annotated[tuple[str, ...], Meta(description="Names to be asked for.")]
    type: Annotated[Literal["SRV", "A", "AAAA"], Meta(description="Kind of record.")] = "SRV"
    port: Annotated[int, Meta(description="Port of A and AAAA records.", ge=0, le=65535)] = 0
    refresh_interval: Annotated[Duration, Meta(description="Between two questions.")] = "30s"

    def __post_init__(self) -> None:
        if self.type != "SRV" and not self.port:
            raise ValueError(f"type {self.type} needs a port")


class DockerSd(msgspec.Struct, frozen=True):
    """Containers that the agent knows anyway: changes are seen at once, and no other engine can be named."""

    port: Annotated[int, Meta(description="Port of containers that expose none.", ge=1, le=65535)] = 80
    host_networking_host: Annotated[str, Meta(description="Address of containers in the host's network.")] = "localhost"


class KubernetesSd(HttpClientSettings, frozen=True, kw_only=True):
    role: Annotated[Literal["pod"], Meta(description="What is looked for.")] = "pod"
    url: Annotated[
        str,
        Meta(
            description="API server (only pods of node_name are asked for) or, with the path /pods, a kubelet, like "
            "https://127.0.0.1:10250/pods. Empty: the API server as a pod's environment tells it."
        ),
    ] = ""
    node_name: Annotated[str, Meta(description="Empty: NODE_NAME of the environment, else pods of all nodes.")] = ""
    namespaces: Annotated[tuple[str, ...], Meta(description="Only these; empty: all.")] = ()
    refresh_interval: Annotated[Duration, Meta(description="Between two questions.")] = "15s"


class ConsulSd(HttpClientSettings, frozen=True, kw_only=True):
    server: Annotated[str, Meta(description="HOST:PORT of the HTTP API.")] = "localhost:8500"
    scheme: Annotated[Scheme, Meta(description="How it is spoken to.")] = "http"
    datacenter: Annotated[str, Meta(description="Empty: the server's own.")] = ""
    services: Annotated[tuple[str, ...], Meta(description="Only these; empty: all.")] = ()
    tags: Annotated[tuple[str, ...], Meta(description="Only services that have all of these.")] = ()
    tag_separator: Annotated[str, Meta(description="Between, before and behind tags in __meta_consul_tags.")] = ","
    refresh_interval: Annotated[Duration, Meta(description="Between two questions.")] = "30s"


class JobSettings(HttpClientSettings, frozen=True, kw_only=True):
    job_name: Annotated[str, Meta(description="Label `job` of the series.", min_length=1)]
    scrape_interval: Annotated[Duration | None, Meta(description="Unset: agent.scrape.scrape_interval.")] = None
    scrape_timeout: Annotated[Duration | None, Meta(description="Unset: agent.scrape.scrape_timeout.")] = None
    metrics_path: Annotated[str, Meta(description="Path of the URL.", pattern="^/")] = "/metrics"
    scheme: Annotated[Scheme, Meta(description="How targets are spoken to.")] = "http"
    params: Annotated[dict[str, tuple[str, ...]], Meta(description="Parameters of the URL.")] = {}  # noqa: RUF012 - copied
    honor_labels: Annotated[
        bool, Meta(description="A series' own label beats the target's; else it becomes exported_<label>.")
    ] = False
    honor_timestamps: Annotated[
        bool,
        Meta(description="Must be false (Prometheus: true): a sample has the time of its scrape, whatever it says."),
    ] = False
    body_size_limit: Annotated[
        str, Meta(description="Most bytes of an answer, unpacked; 0: no limit (Prometheus' default).", pattern=SIZE)
    ] = "64MB"
    sample_limit: Annotated[int, Meta(description="Most samples after relabelling; 0: no limit.", ge=0)] = 0
    label_limit: Annotated[int, Meta(description="Most labels of a series; 0: no limit.", ge=0)] = 0
    label_name_length_limit: Annotated[int, Meta(description="0: no limit.", ge=0)] = 0
    label_value_length_limit: Annotated[int, Meta(description="0: no limit.", ge=0)] = 0
    target_limit: Annotated[
        int, Meta(description="Most targets: those beyond it are left out, and counted. 0: no limit.", ge=0)
    ] = 0
    static_configs: Annotated[tuple[StaticConfig, ...], Meta(description="Targets by address.")] = ()
    file_sd_configs: Annotated[tuple[FileSd, ...], Meta(description="Targets from files.")] = ()
    dns_sd_configs: Annotated[tuple[DnsSd, ...], Meta(description="Targets from DNS.")] = ()
    docker_sd_configs: Annotated[tuple[DockerSd, ...], Meta(description="This host's containers.")] = ()
    kubernetes_sd_configs: Annotated[tuple[KubernetesSd, ...], Meta(description="Pods.")] = ()
    consul_sd_configs: Annotated[tuple[ConsulSd, ...], Meta(description="Targets from Consul.")] = ()
    relabel_configs: Annotated[Relabelling, Meta(description="What becomes of targets' labels.")] = ()
    metric_relabel_configs: Annotated[Relabelling, Meta(description="What becomes of series' labels.")] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.honor_timestamps:
            raise ValueError("honor_timestamps: true is not supported; samples get the time of their scrape")
        interval, timeout = self.scrape_interval, self.scrape_timeout
        if interval is not None and not duration_s(interval):
            raise ValueError("scrape_interval is 0")
        if interval and timeout and duration_s(timeout) > duration_s(interval):
            raise ValueError(f"scrape_timeout {timeout} is greater than scrape_interval {interval}")


class ContainerScrapes(msgspec.Struct, frozen=True):
    """Containers that ask for it by a label: prometheus.io/scrape, prometheus.scrape."""

    enabled: Annotated[bool, Meta(description="Scrape containers labelled prometheus.io/scrape=true.")] = True
    host_address: Annotated[str, Meta(description="Address of containers in the host's network.")] = "127.0.0.1"
    sample_limit: Annotated[int, Meta(description="Most samples of one container; 0: no limit.", ge=0)] = 10_000


class ScrapeSettings(msgspec.Struct, frozen=True):
    scrape_interval: Annotated[Duration, Meta(description="Between two scrapes of a target.")] = "15s"
    scrape_timeout: Annotated[
        Duration, Meta(description="Most time of one scrape; a job's shorter interval lowers it.")
    ] = "10s"
    jobs: Annotated[tuple[JobSettings, ...], Meta(description="Jobs, as under scrape_configs in prometheus.yml.")] = ()
    containers: Annotated[ContainerScrapes, Meta(description="Containers that ask for it.")] = ContainerScrapes()
    max_targets: Annotated[int, Meta(description="Targets of all jobs; those beyond it are left out.", ge=1)] = 1000
    max_series: Annotated[
        int, Meta(description="Series of all targets; a scrape that would go beyond it fails.", ge=1)
    ] = 100_000
    tenant: Annotated[str, Meta(description="Tenant that the samples belong to.", min_length=1)] = "default"

    def __post_init__(self) -> None:
        names = [job.job_name for job in self.jobs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"job_name {twice[0]!r} is there twice")
        if not duration_s(self.scrape_interval):
            raise ValueError("scrape_interval is 0")
