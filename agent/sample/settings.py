"""What is sampled, and how often."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from agent.sample.workload.settings import WorkloadSettings
from deckwatch.runtime.faults import Unusable

SourceName = Literal["cgroup", "state", "host", "hardware", "filesystem", "workload", "unit", "process", "layer"]

# As node_exporter has them by default; and what the kubelet mounts from memory into each pod.
FILESYSTEM_TYPES_EXCLUDE = (
    r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay"
    r"|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
)
MOUNT_POINTS_EXCLUDE = (
    r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+|run/containerd/.+"
    r"|var/lib/kubelet/pods/[^/]+/volumes/kubernetes\.io~(projected|secret|configmap|downward-api|empty-dir)/.+)($|/)"
)
DISKS_EXCLUDE = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"
# The host's ends of the containers' links: each container's own end is measured already.
INTERFACES_EXCLUDE = r"^(veth|cali|lxc|lxd|cni\d*-|tap|nodelocaldns)"


class SampleSettings(msgspec.Struct, frozen=True, kw_only=True):
    interval_s: Annotated[
        float, msgspec.Meta(description="Seconds between two looks at containers and host.", ge=1, le=3600)
    ] = 10.0
    sources: Annotated[
        tuple[SourceName, ...],
        msgspec.Meta(
            description="What is measured: cgroup (containers), state (of containers, as their engine tells it), "
            "host, hardware (interfaces, sensors, what the machine is), filesystem, workload (counters that go on when "
            "containers are replaced; needs cgroup), unit (systemd's slices and services), process (the busiest, by "
            "name), layer (what containers wrote to disk; needs cgroup)."
        ),
    ] = ("cgroup", "state", "host", "hardware", "filesystem", "workload", "unit", "process", "layer")
    budget_s: Annotated[
        float,
        msgspec.Meta(
            description="Seconds that one source may take; a slower one is left to itself and counted, so that it "
            "does not hold up the others.",
            gt=0,
        ),
    ] = 5.0
    mount_timeout_s: Annotated[
        float,
        msgspec.Meta(
            description="Seconds that one file system may take to answer (a dead NFS server never does); then it is "
            "reported by node_filesystem_device_error and left alone until it answers.",
            gt=0,
        ),
    ] = 2.0
    slow_every: Annotated[
        int,
        msgspec.Meta(
            description="Limits, device names and the whole cgroup tree are read again every so many looks.",
            ge=1,
        ),
    ] = 6
    per_cpu: Annotated[
        bool,
        msgspec.Meta(
            description="On cgroup v1, container_cpu_usage_seconds_total by CPU (cpu00, cpu01 ...) as cAdvisor gives "
            'it, in place of one series with cpu="total".'
        ),
    ] = False
    systemd_units: Annotated[
        bool,
        msgspec.Meta(
            description="Give systemd services and virtual machines as cAdvisor does: every figure of a container, "
            "under container_* with their id. The source unit gives the main ones under names of their own."
        ),
    ] = False
    unit_interval_s: Annotated[
        float, msgspec.Meta(description="Seconds between two looks at systemd's slices and services.", ge=1, le=120)
    ] = 30.0
    max_units: Annotated[
        int, msgspec.Meta(description="Most slices and services; those nearest to the tree's top come first.", ge=0)
    ] = 100
    process_interval_s: Annotated[
        float, msgspec.Meta(description="Seconds between two looks at all processes.", ge=1, le=120)
    ] = 30.0
    top_processes: Annotated[
        int,
        msgspec.Meta(
            description="How many names of processes are shown, the first by CPU time and the first by memory; 0: "
            "none, processes are only counted.",
            ge=0,
            le=100,
        ),
    ] = 10
    process_names: Annotated[
        Literal["name", "command"],
        msgspec.Meta(
            description="Processes go by the name of their executable, or by their command line, cut to 120 "
            "characters: it may hold passwords."
        ),
    ] = "name"
    layer_interval_s: Annotated[
        float,
        msgspec.Meta(description="Least seconds between two walks through all containers' writable layers.", ge=10),
    ] = 60.0
    max_open_files: Annotated[
        int,
        msgspec.Meta(
            description="Most cgroup files that are kept open (a container has about 16); 0: half of the process's "
            "limit. Beyond it files are opened for each look, which costs more CPU time.",
            ge=0,
        ),
    ] = 0
    filesystem_types_exclude: Annotated[
        str, msgspec.Meta(description="Regular expression of file system types that are left out.")
    ] = FILESYSTEM_TYPES_EXCLUDE
    mount_points_exclude: Annotated[
        str, msgspec.Meta(description="Regular expression of mount points that are left out.")
    ] = MOUNT_POINTS_EXCLUDE
    disks_exclude: Annotated[
        str, msgspec.Meta(description="Regular expression of block devices that are left out (host metrics).")
    ] = DISKS_EXCLUDE
    interfaces_exclude: Annotated[
        str, msgspec.Meta(description="Regular expression of network interfaces that are left out (host metrics).")
    ] = INTERFACES_EXCLUDE
    workload: Annotated[WorkloadSettings, msgspec.Meta(description="Counters of workloads.")] = WorkloadSettings()
    tenant: Annotated[str, msgspec.Meta(description="Tenant that the samples belong to.", min_length=1)] = "default"

    def every(self, interval_s: float) -> int:
        """In looks: of a source that is to look once in `interval_s`."""
        return max(1, round(interval_s / self.interval_s))


def pattern(settings: SampleSettings, option: str) -> re.Pattern[str]:
    """The option's regular expression. Raises Unusable, naming the option, where it is none."""
    text = getattr(settings, option)
    try:
        return re.compile(text)
    except re.error as error:
        raise Unusable(
            f"agent.sample.{option}: {text!r} is no regular expression: {error}; correct it, or leave the option out "
            "for its default"
        ) from None
