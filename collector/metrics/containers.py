"""One row for each container that is measured now: what `deckwatch top` shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

from collector.metrics.block import Block

LogRate = Callable[[str], float | None]
"""Container id -> lines a second."""

_ID = re.compile(r"[0-9a-f]{64}")
NO_LIMIT_BYTES = 2**60
"""cgroup v1 writes "no limit" as 2^63 less a page; no machine has that much."""


class ContainerRow(msgspec.Struct, frozen=True):
    """null = not known, never a guess. Rates are per second, between the last two looks."""

    host: str
    name: str
    id: str  # of the container where its cgroup path tells it, else that path
    image: str
    state: str | None
    sampled_at_ns: int
    cpu_cores: float | None
    cpu_limit_cores: float | None
    memory_usage_bytes: float | None
    memory_working_set_bytes: float | None
    memory_limit_bytes: float | None
    network_receive_bytes_per_s: float | None
    network_transmit_bytes_per_s: float | None
    block_read_bytes_per_s: float | None
    block_write_bytes_per_s: float | None
    pids: float | None
    log_lines_per_s: float | None
    namespace: str = ""
    pod: str = ""
    container: str = ""


def container_rows(blocks: Iterable[Block], log_rate: LogRate) -> list[ContainerRow]:
    """Blocks that measure one container (same host and cgroup path) make one row."""
    by_container: dict[tuple[str, str], list[Block]] = {}
    for block in blocks:
        path = dict(block.target).get("id", "")
        if path and any(name.startswith("container_") for name in block.schema.positions):
            by_container.setdefault((block.host, path), []).append(block)
    rows = [_row(group, log_rate) for group in by_container.values()]
    return sorted((row for row in rows if row is not None), key=lambda row: (row.host, row.name, row.id))


def _row(blocks: list[Block], log_rate: LogRate) -> ContainerRow | None:
    labels = {name: value for block in blocks for name, value in block.target}
    ids = _ID.findall(labels["id"])
    if not ids and not labels.get("name"):
        return None  # a slice or a service, not a container
    container_id = ids[-1] if ids else labels["id"]

    def value(name: str) -> float | None:
        return _first(block.value(name) for block in blocks)

    def rate(*names: str) -> float | None:
        return _first(block.rate(name) for name in names for block in blocks)

    return ContainerRow(
        host=blocks[0].host,
        name=labels.get("name", ""),
        id=container_id,
        image=labels.get("image", ""),
        state=_state(blocks),
        sampled_at_ns=max(block.ts_ns for block in blocks),
        cpu_cores=rate("container_cpu_usage_seconds_total"),
        cpu_limit_cores=_cpu_limit(value("container_spec_cpu_quota"), value("container_spec_cpu_period")),
        memory_usage_bytes=value("container_memory_usage_bytes"),
        memory_working_set_bytes=value("container_memory_working_set_bytes"),
        memory_limit_bytes=_memory_limit(value("container_spec_memory_limit_bytes")),
        network_receive_bytes_per_s=rate("container_network_receive_bytes_total"),
        network_transmit_bytes_per_s=rate("container_network_transmit_bytes_total"),
        block_read_bytes_per_s=rate("container_fs_reads_bytes_total"),
        block_write_bytes_per_s=rate("container_fs_writes_bytes_total"),
        pids=_first([value("container_threads"), value("container_processes")]),
        log_lines_per_s=log_rate(container_id),
        namespace=labels.get("namespace", ""),
        pod=labels.get("pod", ""),
        container=labels.get("container", ""),
    )


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _cpu_limit(quota_us: float | None, period_us: float | None) -> float | None:
    return quota_us / period_us if quota_us is not None and quota_us > 0 and period_us else None


def _memory_limit(limit_bytes: float | None) -> float | None:
    return limit_bytes if limit_bytes is not None and 0 < limit_bytes < NO_LIMIT_BYTES else None


def _state(blocks: list[Block]) -> str | None:
    """`container_state{state="running"} 1`; a container whose engine tells none has no such series."""
    for block in blocks:
        for position in block.schema.positions.get("container_state", ()):
            if block.values[position] == 1:
                return dict(block.labels(position)).get("state")
    return None
