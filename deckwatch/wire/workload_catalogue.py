"""Metrics beyond cAdvisor's: (name, type, unit, help) for the catalogue. All of them are Deckwatch's own."""

from __future__ import annotations

Row = tuple[str, str, str, str]

CONTAINER_STATE: tuple[Row, ...] = (
    ("container_health_status", "gauge", "", "1 for what the health check says, 0 for the others; only with a check."),
    ("container_finish_time_seconds", "gauge", "seconds", "Unix time at which a container that has ended did so."),
    ("container_last_run_seconds", "gauge", "seconds", "How long a container that has ended ran, from start to end."),
    (
        "container_oom_kills_total",
        "counter",
        "kills",
        "Processes of the container killed for want of memory, in all its runs: its cgroup's count ends with the run.",
    ),
    (
        "container_namespaces_info",
        "gauge",
        "",
        "1, with the modes of its namespaces, its network namespace, and the id of the container whose series count "
        "the traffic where it shares that.",
    ),
)

WORKLOAD: tuple[Row, ...] = (
    ("workload_cpu_usage_seconds_total", "counter", "seconds", "CPU time of all containers there ever were of it."),
    ("workload_network_receive_bytes_total", "counter", "bytes", "Bytes received, each shared network once."),
    ("workload_network_transmit_bytes_total", "counter", "bytes", "Bytes sent, each shared network once."),
    ("workload_fs_reads_bytes_total", "counter", "bytes", "Bytes read from devices."),
    ("workload_fs_writes_bytes_total", "counter", "bytes", "Bytes written to devices."),
    ("workload_oom_kills_total", "counter", "kills", "Processes killed for want of memory."),
    ("workload_starts_total", "counter", "starts", "Starts of containers, restarts and replacements included."),
    (
        "workload_restarts_total",
        "counter",
        "restarts",
        "Starts of a container that had ended, by its policy or by hand; in Kubernetes of another in its place.",
    ),
    ("workload_exits_total", "counter", "exits", "Ends of containers, by reason."),
    ("workload_run_seconds_total", "counter", "seconds", "How long the containers that have ended ran."),
    ("workload_memory_working_set_bytes", "gauge", "bytes", "Working sets of the containers that run."),
    ("workload_containers", "gauge", "containers", "Containers by state."),
)

ENGINE: tuple[Row, ...] = (
    ("container_images", "gauge", "images", "Images, by whether a name leads to them (tagged) or none (dangling)."),
    (
        "container_images_size_bytes",
        "gauge",
        "bytes",
        "Sizes of images summed up; a layer that several share counts several times.",
    ),
    ("container_image_layers_size_bytes", "gauge", "bytes", "Space that all images take, each layer once."),
    ("container_image_size_bytes", "gauge", "bytes", "Size of an image, shared layers included."),
    ("container_image_created_time_seconds", "gauge", "seconds", "Unix time at which the image was built."),
    ("container_image_containers", "gauge", "containers", "Containers made of the image, ended ones included."),
    ("container_volumes", "gauge", "volumes", "Volumes, by whether containers use them (used) or none (dangling)."),
    ("container_volume_size_bytes", "gauge", "bytes", "Space that the volume takes; only where its driver tells."),
    ("container_volume_created_time_seconds", "gauge", "seconds", "Unix time at which the volume was made."),
    ("container_volume_containers", "gauge", "containers", "Containers that mount the volume, ended ones included."),
    ("container_build_cache_size_bytes", "gauge", "bytes", "Space that the engine's build cache takes."),
)

ROWS: tuple[Row, ...] = (*CONTAINER_STATE, *WORKLOAD, *ENGINE)
