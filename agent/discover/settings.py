"""What discovery looks for, and how much of what it finds it keeps."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

DEFAULT_LABELS = (
    "com.docker.compose.*",
    "com.docker.swarm.*",
    "com.docker.stack.*",
    "io.kubernetes.*",
    "org.opencontainers.image.*",
    "app",
    "app.*",
    "version",
    "env",
    "team",
    "service",
)


class LabelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow: Annotated[
        tuple[str, ...],
        Meta(description="Names of container labels that are kept; * and ? are wildcards, a single * keeps all."),
    ] = DEFAULT_LABELS
    max_count: Annotated[int, Meta(description="Labels kept for one container, in the order of names.", ge=0)] = 64
    max_value_bytes: Annotated[
        int, Meta(description="Longer label values are cut to this many bytes of UTF-8.", ge=1)
    ] = 512


class DockerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: Annotated[bool, Meta(description="Look for containers of Docker, or of Podman by the same API.")] = True
    socket: Annotated[str, Meta(description="Unix socket of the Docker Engine API.")] = "/var/run/docker.sock"
    containers_dir: Annotated[
        str, Meta(description="The engine's folder of containers: read where the API does not answer.")
    ] = "/var/lib/docker/containers"
    connect_timeout_s: Annotated[
        float, Meta(description="Time for the socket to accept, and for the engine's first answer.", gt=0)
    ] = 3.0
    request_timeout_s: Annotated[
        float, Meta(description="Time for one answer; after it the disk is asked instead.", gt=0)
    ] = 10.0
    ping_interval_s: Annotated[float, Meta(description="Between two checks that the engine still answers.", gt=0)] = (
        20.0
    )
    retry_most_s: Annotated[
        float, Meta(description="Longest wait before an engine that is gone is tried again.", gt=0)
    ] = 15.0
    inspect_concurrency: Annotated[int, Meta(description="Containers asked for at the same time.", ge=1)] = 4
    disk_interval_s: Annotated[
        float, Meta(description="Between two looks at the folder while the API does not answer.", gt=0)
    ] = 2.0
    disk_slow_interval_s: Annotated[
        float, Meta(description="Between two looks at the folder while the API answers.", gt=0)
    ] = 15.0
    linger_s: Annotated[
        float, Meta(description="How long the log of a removed container stays listed, as ended.", ge=0)
    ] = 5.0


class CriSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: Annotated[bool, Meta(description="Look for Kubernetes' pod logs (containerd, CRI-O).")] = True
    pods_dir: Annotated[str, Meta(description="<namespace>_<pod>_<uid>/<container>/<restarts>.log")] = "/var/log/pods"
    links_dir: Annotated[str, Meta(description="Kubelet's links, whose names tell the containers' ids.")] = (
        "/var/log/containers"
    )
    interval_s: Annotated[float, Meta(description="Between two looks; new pods are seen at once.", gt=0)] = 2.0


class FilesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    interval_s: Annotated[
        float, Meta(description="Between two looks for files of the globs; new files are mostly seen at once.", gt=0)
    ] = 5.0
    max_files: Annotated[int, Meta(description="Files followed at most, in the order of names.", ge=1)] = 20_000


class DiscoverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host_root: Annotated[
        str, Meta(description="Where the host's root is mounted, /host in a container; every path is below it.")
    ] = ""
    tenant: Annotated[str, Meta(description="Tenant of every log found here.", min_length=1)] = "default"
    tenant_from_label: Annotated[
        bool, Meta(description="Let a container's label deckwatch.tenant name its tenant.")
    ] = False
    labels: Annotated[LabelSettings, Meta(description="Container labels.")] = LabelSettings()
    docker: Annotated[DockerSettings, Meta(description="Docker and Podman.")] = DockerSettings()
    cri: Annotated[CriSettings, Meta(description="Kubernetes nodes.")] = CriSettings()
    files: Annotated[FilesSettings, Meta(description="Files given as globs.")] = FilesSettings()
