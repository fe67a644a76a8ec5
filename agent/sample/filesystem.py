"""The source `filesystem`: sizes and free space of the mounted file systems.

statvfs(2) on a network mount whose server is gone does not come back. So the calls are made on a thread that can be
left behind: a mount that does not answer in its time is reported by node_filesystem_device_error and left alone
until its call returns, and another thread goes on with the others. Threads that are left behind are counted: beyond
MOST_STUCK of them no further network mount is asked.
"""

from __future__ import annotations

import os
import re
import struct
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

import msgspec

from agent.sample.kept import read_once
from agent.sample.labels import printable
from agent.sample.metrics import Faults
from agent.sample.settings import SampleSettings, pattern
from deckwatch.wire.model import Column, Labels, Samples, Target

_OCTAL = re.compile(r"\\([0-7]{3})")
MOST_STUCK = 16
"""Mounts of dead servers that may each hold a thread."""
_LEAST_WAIT_S = 0.25
"""For a mount behind others that have used up the look's time; a file system in order answers in microseconds."""
_LOCAL_TYPES = frozenset({"tmpfs", "ramfs", "zfs", "btrfs"})


class Mount(msgspec.Struct, frozen=True):
    device: str
    point: str
    type: str
    readonly: bool
    number: str = ""
    """`major:minor` of the file system's device."""

    @property
    def local(self) -> bool:
        """No server stands behind it that can be away."""
        return self.device.startswith("/dev/") or self.type in _LOCAL_TYPES

    def labels(self) -> Labels:
        return (("device", printable(self.device)), ("fstype", self.type), ("mountpoint", printable(self.point)))

    def info_labels(self) -> Labels:
        major, _, minor = self.number.partition(":")
        point = printable(self.point)
        return (("device", printable(self.device)), ("major", major), ("minor", minor), ("mountpoint", point))


def parse_mounts(text: bytes, types_exclude: re.Pattern[str], points_exclude: re.Pattern[str]) -> list[Mount]:
    """/proc/<pid>/mountinfo (proc_pid_mountinfo(5)); what is mounted over (the same point again) counts once, the last.

    The options before ` - ` are the mount's own, those at the end the file system's; either may make it read-only.
    """
    mounts: dict[str, Mount] = {}
    for line in text.decode(errors="surrogateescape").split("\n"):
        mount, found, filesystem = line.partition(" - ")
        if not found:
            continue
        number, _, point, options = mount.split(" ")[2:6]
        kind, device, super_options = (*filesystem.split(" "), "", "")[:3]
        point = _OCTAL.sub(lambda code: chr(int(code.group(1), 8)), point)
        if types_exclude.search(kind) or points_exclude.search(point):
            continue
        readonly = "ro" in options.split(",") or "ro" in super_options.split(",")
        mounts[point] = Mount(device, point, kind, readonly, number)
    return list(mounts.values())


class Facts(msgspec.Struct, frozen=True):
    """What a file system answers."""

    number: str  # major:minor of the device that really is at the path
    size_bytes: int
    free_bytes: int
    avail_bytes: int
    files: int
    files_free: int


def ask_kernel(path: str) -> Facts:
    device = os.stat(path).st_dev  # noqa: PTH116 - the path is the kernel's own text, never to be normalised
    facts = os.statvfs(path)
    return Facts(
        f"{os.major(device)}:{os.minor(device)}",
        facts.f_blocks * facts.f_frsize,
        facts.f_bfree * facts.f_frsize,
        facts.f_bavail * facts.f_frsize,
        facts.f_files,
        facts.f_ffree,
    )


class Place(msgspec.Struct, frozen=True):
    """What is asked for its figures. Another mount at the same path is another place: that one may answer."""

    path: str
    number: str = ""
    """`major:minor` of the mount's device."""


class Prober:
    """Asks mounts for their figures on a thread of its own; one that hangs is left behind with its mount."""

    def __init__(self, ask: Callable[[str], Facts] = ask_kernel) -> None:
        """`ask` may take for ever, and may raise OSError."""
        self._ask = ask
        self._lock = threading.Lock()
        self.stuck: set[Place] = set()
        self._orders, self._answers = self._new_thread()

    def ask(self, place: Place, timeout_s: float) -> Facts | OSError | None:
        """None: no answer in time, or still none to the call before. What it raised is given as a value."""
        with self._lock:
            if place in self.stuck:
                return None
        self._orders.put(place)
        try:
            return self._answers.get(timeout=timeout_s)
        except Empty:
            return self._leave_behind(place)

    def close(self) -> None:
        self._orders.put(None)

    def _leave_behind(self, place: Place) -> Facts | OSError | None:
        with self._lock:
            try:
                return self._answers.get_nowait()  # in the very last moment
            except Empty:
                self.stuck.add(place)
        self._orders.put(None)  # the thread ends, should the call ever return
        self._orders, self._answers = self._new_thread()
        return None

    def _new_thread(self) -> tuple[SimpleQueue[Place | None], SimpleQueue[Facts | OSError]]:
        orders: SimpleQueue[Place | None] = SimpleQueue()
        answers: SimpleQueue[Facts | OSError] = SimpleQueue()
        threading.Thread(target=self._work, args=(orders, answers), name="sample-statvfs", daemon=True).start()
        return orders, answers

    def _work(self, orders: SimpleQueue[Place | None], answers: SimpleQueue[Facts | OSError]) -> None:
        while (place := orders.get()) is not None:
            try:
                answer: Facts | OSError = self._ask(place.path)
            except OSError as error:
                answer = error
            with self._lock:
                self.stuck.discard(place)
                answers.put(answer)


class FilesystemSource:
    name = "filesystem"

    def __init__(self, settings: SampleSettings, host_root: str, faults: Faults, prober: Prober | None = None) -> None:
        self._tenant = settings.tenant
        self._root = host_root.rstrip("/")
        self._types_exclude = pattern(settings, "filesystem_types_exclude")
        self._points_exclude = pattern(settings, "mount_points_exclude")
        self._prober = prober or Prober()
        self._timeout_s = settings.mount_timeout_s
        self._faults = faults

    def look(self, now_ns: int) -> Samples:
        text = read_once(self._root + "/proc/1/mountinfo") or read_once(self._root + "/proc/self/mountinfo") or b""
        mounts = parse_mounts(text, self._types_exclude, self._points_exclude)
        series: dict[Column, float] = {}
        until = time.monotonic() + self._timeout_s
        for mount in sorted(mounts, key=lambda mount: not mount.local):
            series |= self._series(mount, max(_LEAST_WAIT_S, until - time.monotonic()))
        target = Target((), 0, struct.pack(f"<{len(series)}d", *series.values()))
        return Samples(self.name, now_ns, self._tenant, (tuple(series),), (target,))

    def close(self) -> None:
        self._prober.close()

    def _series(self, mount: Mount, timeout_s: float) -> dict[Column, float]:
        labels = mount.labels()
        place = Place(self._root + mount.point, mount.number)
        stuck = self._prober.stuck
        if not mount.local and len(stuck) >= MOST_STUCK and place not in stuck:
            hint = OSError(f"not asked while {len(stuck)} other mounts do not answer; unmount those of dead servers")
            self._faults.note(f"file system at {mount.point}", hint)
            return {}
        answer = self._prober.ask(place, timeout_s)
        if not isinstance(answer, Facts):
            if answer is not None:
                self._faults.note(f"file system at {mount.point}", answer)
            return {Column("node_filesystem_device_error", labels): 1}
        if not self._is_that_mount(mount, answer):
            hint = OSError(f"not to be seen below {self._root}; mount the host's root there with all below it (rslave)")
            self._faults.note(f"file system at {mount.point}", hint)
            return {}
        return {
            Column("node_filesystem_mount_info", mount.info_labels()): 1,
            Column("node_filesystem_size_bytes", labels): answer.size_bytes,
            Column("node_filesystem_free_bytes", labels): answer.free_bytes,
            Column("node_filesystem_avail_bytes", labels): answer.avail_bytes,
            Column("node_filesystem_files", labels): answer.files,
            Column("node_filesystem_files_free", labels): answer.files_free,
            Column("node_filesystem_readonly", labels): float(mount.readonly),
            Column("node_filesystem_device_error", labels): 0,
        }

    def _is_that_mount(self, mount: Mount, facts: Facts) -> bool:
        """Below another root the mount may be missing, and the directory under it would answer in its place. btrfs
        gives each subvolume a number of its own."""
        return not self._root or mount.type == "btrfs" or facts.number == mount.number
