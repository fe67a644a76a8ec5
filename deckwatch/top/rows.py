"""A container as `GET /api/v1/containers` tells of it, and as a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from deckwatch.logs.show import one_word

ABSENT = "-"


class Container(msgspec.Struct, frozen=True):
    """null = not known. Rates are per second, between the agent's last two looks."""

    host: str
    name: str
    id: str
    image: str = ""
    state: str | None = None
    sampled_at_ns: int = 0
    cpu_cores: float | None = None
    cpu_limit_cores: float | None = None
    memory_usage_bytes: float | None = None
    memory_working_set_bytes: float | None = None
    memory_limit_bytes: float | None = None
    network_receive_bytes_per_s: float | None = None
    network_transmit_bytes_per_s: float | None = None
    block_read_bytes_per_s: float | None = None
    block_write_bytes_per_s: float | None = None
    pids: float | None = None
    log_lines_per_s: float | None = None
    namespace: str = ""
    pod: str = ""
    container: str = ""


class Answer(msgspec.Struct, frozen=True):
    at_ns: int
    containers: list[Container]


class SortKey(StrEnum):
    CPU = "cpu"
    MEMORY = "memory"
    NETWORK = "net"
    IO = "io"
    PIDS = "pids"
    LOGS = "logs"
    NAME = "name"
    HOST = "host"


def _total(*values: float | None) -> float:
    """Unknown sorts below 0."""
    known = [value for value in values if value is not None]
    return sum(known) if known else -1.0


_SORTED_BY: dict[SortKey, Callable[[Container], float]] = {
    SortKey.CPU: lambda c: _total(c.cpu_cores),
    SortKey.MEMORY: lambda c: _total(c.memory_working_set_bytes),
    SortKey.NETWORK: lambda c: _total(c.network_receive_bytes_per_s, c.network_transmit_bytes_per_s),
    SortKey.IO: lambda c: _total(c.block_read_bytes_per_s, c.block_write_bytes_per_s),
    SortKey.PIDS: lambda c: _total(c.pids),
    SortKey.LOGS: lambda c: _total(c.log_lines_per_s),
}


def shown_name(container: Container) -> str:
    """Under Kubernetes pod and container; else its name, else the beginning of its id."""
    if container.pod:
        return f"{container.pod}/{container.container}" if container.container else container.pod
    return container.name or container.id[:12]


def chosen(containers: Iterable[Container], patterns: tuple[str, ...], host: str | None) -> list[Container]:
    """Whose name matches one of the patterns, or whose id begins with it. No patterns: all."""
    return [
        container
        for container in containers
        if (host is None or fnmatchcase(container.host, host))
        and (not patterns or any(_matches(container, pattern) for pattern in patterns))
    ]


def ordered(containers: Iterable[Container], key: SortKey) -> list[Container]:
    """Largest first; names and hosts from A to Z."""
    by_name = sorted(
        containers, key=lambda c: (c.host, shown_name(c)) if key is SortKey.HOST else (shown_name(c), c.host)
    )
    measure = _SORTED_BY.get(key)
    return by_name if measure is None else sorted(by_name, key=measure, reverse=True)


def cells(container: Container) -> list[str]:
    """In the order of HEADINGS."""
    return [
        one_word(shown_name(container)),
        one_word(container.host),
        one_word(container.image) or ABSENT,
        percent(container.cpu_cores),
        f"{size(container.memory_working_set_bytes)} / {size(container.memory_limit_bytes)}",
        percent(memory_share(container)),
        f"{rate(container.network_receive_bytes_per_s)} / {rate(container.network_transmit_bytes_per_s)}",
        f"{rate(container.block_read_bytes_per_s)} / {rate(container.block_write_bytes_per_s)}",
        ABSENT if container.pids is None else f"{container.pids:.0f}",
        ABSENT if container.log_lines_per_s is None else f"{container.log_lines_per_s:.1f}",
        one_word(container.state or ABSENT),
    ]


HEADINGS = ("NAME", "HOST", "IMAGE", "CPU %", "MEM / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS", "LOG/s", "STATE")
RIGHT = frozenset({"CPU %", "MEM / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS", "LOG/s"})


def memory_share(container: Container) -> float | None:
    """Working set of the limit, 0 to 1."""
    if container.memory_working_set_bytes is None or not container.memory_limit_bytes:
        return None
    return container.memory_working_set_bytes / container.memory_limit_bytes


def percent(share: float | None) -> str:
    """Of CPU: 100 is one core."""
    return ABSENT if share is None else f"{100 * share:.1f}"


def size(value: float | None) -> str:
    if value is None:
        return ABSENT
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1000:
            return f"{value:.0f}{unit}" if unit == "B" or value >= 100 else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}TiB"


def rate(value: float | None) -> str:
    return ABSENT if value is None else f"{size(value)}/s"


def _matches(container: Container, pattern: str) -> bool:
    long_enough = len(pattern) >= 8 and container.id.startswith(pattern)
    return long_enough or fnmatchcase(container.name, pattern) or fnmatchcase(shown_name(container), pattern)
