"""The source `layer`: what each container has written to disk, in its writable layer and in its log files.

Names and meaning are cAdvisor's (`container_fs_usage_bytes`, `_limit_bytes`, `_inodes_total`), which walks the layers
of all containers every minute. Here a look walks for some milliseconds and goes on with the next one, and after a
round there is a pause that is long against it.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Generator

import msgspec

from agent.sample.disk_use import DiskUse, measure
from agent.sample.inventory_view import InventoryView, Running
from agent.sample.kept import GONE, read_once
from agent.sample.metrics import Faults
from agent.sample.settings import SampleSettings
from deckwatch.wire.model import Column, Labels, Samples, Target

_SLICE_S = 0.02
"""Of each look: with one every 10 s that is 0.2 % of a core, and only while there is something to walk."""
_PAUSE = 500
"""A round is followed by a pause of so many times its length: in the long run walking takes 0.2 % of a core."""
_REPEAT_S = 60
"""What has not changed is told again after so long, for those that look back some minutes."""
_OCTAL = re.compile(r"\\([0-7]{3})")
_PACK = struct.Struct("<3d")


class Layer(msgspec.Struct, frozen=True):
    """What was found of one container."""

    use: DiskUse
    logs_bytes: int
    device: str
    size_bytes: int  # of the file system that it is on

    def columns(self) -> tuple[Column, ...]:
        labels = (("device", self.device),)
        names = ("container_fs_usage_bytes", "container_fs_limit_bytes", "container_fs_inodes_total")
        return tuple(Column(name, labels) for name in names)

    def values(self) -> bytes:
        return _PACK.pack(self.use.bytes + self.logs_bytes, self.size_bytes, self.use.inodes)


def upper_directory(mountinfo: bytes) -> str:
    """Of the overlay that is a container's root, where its writes go; empty where the root is no overlay (another
    storage driver). Pure."""
    for line in mountinfo.decode(errors="surrogateescape").split("\n"):
        mount, found, filesystem = line.partition(" - ")
        if not found or mount.split(" ")[4] != "/":
            continue
        kind, _, options = filesystem.split(" ")[:3]
        if kind not in ("overlay", "fuse.fuse-overlayfs"):
            return ""
        told = [option for option in options.split(",") if option.startswith("upperdir=")]
        return _OCTAL.sub(lambda code: chr(int(code.group(1), 8)), told[0].removeprefix("upperdir=")) if told else ""
    return ""


def devices(mountinfo: bytes) -> dict[str, str]:
    """`major:minor` -> device, of the host's mounts. Pure."""
    found = {}
    for line in mountinfo.decode(errors="surrogateescape").split("\n"):
        mount, separator, filesystem = line.partition(" - ")
        if separator:
            found[mount.split(" ")[2]] = filesystem.split(" ")[1]
    return found


class LayerSource:
    name = "layer"

    def __init__(self, settings: SampleSettings, host_root: str, view: InventoryView, faults: Faults) -> None:
        self._settings = settings
        self._root = host_root.rstrip("/")
        self._view = view
        self._faults = faults
        self._found: dict[str, Layer] = {}
        self._sent: dict[str, Labels] = {}
        self._round: Generator[None, None, None] | None = None
        self._began_s = 0.0
        self._walked_s = 0.0
        self._next_s = 0.0
        self._every = settings.every(_REPEAT_S)
        self._idle = 0

    def look(self, now_ns: int) -> Samples | None:
        new = self._walk(time.monotonic())
        running = self._view.running
        for path in [path for path in self._found if path not in running]:
            del self._found[path]
        now_there = {path: running[path].labels for path in self._found}
        ended = tuple(labels for path, labels in self._sent.items() if now_there.get(path) != labels)
        changed = new or now_there != self._sent
        self._sent = now_there
        self._idle = 0 if changed else self._idle + 1
        if self._idle % self._every or not (now_there or ended):
            return None
        schemas: dict[tuple[Column, ...], int] = {}
        targets = [
            Target(labels, schemas.setdefault(self._found[path].columns(), len(schemas)), self._found[path].values())
            for path, labels in now_there.items()
        ]
        return Samples(self.name, now_ns, self._settings.tenant, tuple(schemas), tuple(targets), ended)

    def close(self) -> None:
        if self._round is not None:
            self._round.close()

    def _walk(self, now_s: float) -> bool:
        """Go on with the round for a slice of time, or begin one when it is time. True: a round has come to its end."""
        if self._round is None:
            if now_s < self._next_s:
                return False
            self._round, self._began_s, self._walked_s = self._all_layers(), now_s, 0.0
        until_s = now_s + _SLICE_S
        for _ in self._round:
            if time.monotonic() >= until_s:
                self._walked_s += time.monotonic() - now_s
                return False
        self._round = None
        self._walked_s += time.monotonic() - now_s
        self._next_s = max(self._began_s + self._settings.layer_interval_s, time.monotonic() + _PAUSE * self._walked_s)
        return True

    def _all_layers(self) -> Generator[None, None, None]:
        mounted = devices(read_once(self._root + "/proc/1/mountinfo") or b"")
        for path, running in list(self._view.running.items()):
            try:
                layer = yield from self._layer(running, mounted)
            except OSError as error:
                if error.errno not in GONE:  # else it ended meanwhile
                    self._faults.note("writable layers and logs", error)
                layer = None
            if layer is not None:
                self._found[path] = layer
            else:
                self._found.pop(path, None)
            yield

    def _layer(self, running: Running, mounted: dict[str, str]) -> Generator[None, None, Layer | None]:
        upper = upper_directory(read_once(f"{self._root}/proc/{running.pid}/mountinfo") or b"") if running.pid else ""
        if not upper:
            return None
        top = self._root + upper
        use = yield from measure(top)
        logs_bytes = 0
        for folder in self._view.log_folders.get(running.id, ()):
            logs = yield from measure(folder)
            logs_bytes += logs.bytes
        device = os.stat(top).st_dev  # noqa: PTH116 - the path is the kernel's own text, never to be normalised
        facts = os.statvfs(top)
        number = f"{os.major(device)}:{os.minor(device)}"
        return Layer(use, logs_bytes, mounted.get(number, number), facts.f_blocks * facts.f_frsize)
