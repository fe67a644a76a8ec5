"""Parsers of the kernel's small text files. Pure: bytes in, integers out; ValueError where the text is not of the form.

`Keyed` learns where its fields stand, since a kernel always writes a file's keys in the same order: the next file is
split and picked from by position, and the keys are only compared.
"""

from __future__ import annotations

from collections.abc import Iterator

_UNLIMITED_V1 = 1 << 62
"""v1 writes `no limit` as the largest multiple of the page size below 2^63."""


class Keyed:
    """Files of `key value` lines (cpu.stat, memory.stat, memory.events ...)."""

    def __init__(self, *wanted: str) -> None:
        self._wanted = [key.encode() for key in wanted]
        self._nothing: list[int | None] = [None] * len(wanted)
        self._keys: list[bytes] = []
        self._at: list[int] = []

    def pick(self, text: bytes | None) -> list[int | None]:
        """The wanted fields' values in their order; None for those that the file lacks."""
        if text is None:
            return self._nothing
        tokens = text.split()
        keys = tokens[::2]
        if keys != self._keys:
            self._learn(keys)
        return [int(tokens[at]) if at else None for at in self._at]

    def _learn(self, keys: list[bytes]) -> None:
        places = {key: 2 * index + 1 for index, key in enumerate(keys)}
        self._at = [places.get(key, 0) for key in self._wanted]
        self._keys = keys


def number(text: bytes | None) -> int | None:
    """A file of one number."""
    return None if text is None else int(text)


def limit(text: bytes | None) -> int | None:
    """A file of one number, or `max`, or -1, or v1's huge number: None for no limit."""
    if text is None or text.startswith((b"max", b"-1")):
        return None
    value = int(text)
    return None if value >= _UNLIMITED_V1 else value


def cpu_max(text: bytes | None) -> tuple[int | None, int | None]:
    """`<quota|max> <period>` in microseconds: (quota, period)."""
    if text is None:
        return None, None
    quota, period = text.split()
    return limit(quota), int(period)


def shares_of_weight(weight: int | None) -> int | None:
    """cpu.weight [1, 10000] as v1 shares [2, 262144], the inverse of what runc makes of shares."""
    return None if weight is None else 2 + (weight - 1) * 262142 // 9999


def pressure(text: bytes | None) -> tuple[int | None, int | None]:
    """Totals of a PSI file in microseconds: (some, full). `some avg10=0.00 avg60=0.00 avg300=0.00 total=16409`."""
    if not text:
        return None, None
    tokens = text.split()
    some = full = None
    for at in range(0, len(tokens) - 4, 5):
        total = int(tokens[at + 4][6:])
        if tokens[at] == b"some":
            some = total
        elif tokens[at] == b"full":
            full = total
    return some, full


def io_stat(text: bytes | None) -> Iterator[tuple[str, dict[bytes, int]]]:
    """cgroup v2's io.stat: `254:0 rbytes=0 wbytes=4096 ...` a device; a device without figures is left out."""
    for line in (text or b"").splitlines():
        device, *fields = line.split()
        # two devices may share a line where a kernel forgot the newline (5.x, bare `8:0 ` entries)
        pairs = [field.split(b"=", 1) for field in fields if b"=" in field]
        if pairs:
            yield (
                _device_before_figures(device, fields),
                {key: int(value) for key, value in pairs if value.lstrip(b"-").isdigit()},
            )


def _device_before_figures(device: bytes, fields: list[bytes]) -> str:
    for field in fields:
        if b"=" in field:
            break
        device = field
    return device.decode()


def blkio(text: bytes | None) -> dict[str, dict[bytes, int]]:
    """cgroup v1's blkio files: `254:16 Read 6815744` lines by device and operation, and a last line `Total 0`.

    That total alone says nothing: the kernel prints it whether it counts or not.
    """
    devices: dict[str, dict[bytes, int]] = {}
    if text is None or len(text) < 12:
        return devices
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3:
            devices.setdefault(fields[0].decode(), {})[fields[1]] = int(fields[2])
    return devices


def first_pids(text: bytes, most: int = 4) -> tuple[int, ...]:
    """The first of the processes in a cgroup.procs; 0 stands for one of another pid namespace and is left out."""
    return tuple(pid for pid in map(int, text.split(None, most)[:most]) if pid)
