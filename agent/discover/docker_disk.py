"""The engine's folder of containers, read without the engine: `<containers>/<id>/config.v2.json`, `hostconfig.json`.

The engine replaces these files by rename at each change of state, so a file is whole, and its (mtime, inode, size)
tells whether it changed. Blocking: for use in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from agent.discover.docker_container import CONTAINER_ID, DockerContainer, HostConfig, LogConfig, State, from_disk
from agent.discover.docker_reader import DockerReader, Engine, Seen
from agent.discover.finding import os_reason
from agent.discover.host_paths import HostPaths
from agent.discover.settings import DiscoverSettings
from deckwatch.runtime.faults import Reject

Stamp = tuple[tuple[int, int, int] | None, tuple[int, int, int] | None]

MOST_CONFIG_BYTES = 8 * 1024 * 1024
"""No engine writes so much; whatever it is, it is not read into memory."""


class DiskLook(msgspec.Struct, frozen=True):
    seen: dict[str, Seen] = {}
    count: int = 0
    broken: dict[str, str] = {}  # id -> what is wrong with its files; its log is followed all the same
    unreached: str = ""  # why the folder itself could not be read


class DockerDisk:
    """Keeps what it read for as long as the files stay as they are."""

    def __init__(self, settings: DiscoverSettings) -> None:
        self._reader = DockerReader(settings)
        self._paths = HostPaths(settings.host_root)
        self._kept: dict[str, tuple[Stamp, DockerContainer | Reject]] = {}
        self._seen: dict[str, tuple[DockerContainer, Engine, Seen]] = {}

    def ids(self, containers_dir: str) -> set[str]:
        """Names that are container ids. Raises OSError."""
        with os.scandir(self._paths.inner(containers_dir)) as entries:
            return {entry.name for entry in entries if CONTAINER_ID.fullmatch(entry.name)}

    def look(self, engine: Engine) -> DiskLook:
        """Every container of the folder `engine.containers_dir`."""
        try:
            ids = self.ids(engine.containers_dir)
        except OSError as error:
            return DiskLook(unreached=os_reason(error))
        return self._read_all(sorted(ids), engine)

    def _read_all(self, ids: list[str], engine: Engine) -> DiskLook:
        seen: dict[str, Seen] = {}
        broken: dict[str, str] = {}
        for container_id in ids:
            try:
                found = self.read(container_id, engine)
            except Reject as fault:
                broken[container_id] = str(fault)
                found = self.nameless(container_id, engine)
            if found is not None:
                seen[container_id] = found
        self.keep_only(self._folder(container_id, engine) for container_id in ids)
        return DiskLook(seen, len(seen), broken)

    def read(self, container_id: str, engine: Engine) -> Seen | None:
        """One container; None where its folder or its config is not there (yet, or any more). Raises Reject: broken
        or unreadable."""
        folder = self._folder(container_id, engine)
        try:
            described = self._with_live_pid(container_id, self._described(folder))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Reject(f"{error.filename}: {os_reason(error)}") from None
        seen = self._seen.get(folder)
        if seen is None or seen[0] is not described or seen[1] != engine:
            seen = self._seen[folder] = (described, engine, self._reader.seen(container_id, described, engine))
        return seen[2]

    def _described(self, folder: str) -> DockerContainer:
        stamp = (_stamp(f"{folder}/config.v2.json"), _stamp(f"{folder}/hostconfig.json"))
        kept = self._kept.get(folder)
        if kept is None or kept[0] != stamp:
            kept = self._kept[folder] = (stamp, _read(folder))
        if isinstance(kept[1], Reject):
            raise kept[1]
        return kept[1]

    def _with_live_pid(self, container_id: str, described: DockerContainer) -> DockerContainer:
        """The files outlive a crash of the host: who is said to run may be gone, and its pid somebody else's. When
        and how it ended, nobody knows."""
        state = described.state
        if not state.running or state.pid <= 0 or self._is_process_of(state.pid, container_id):
            return described
        ended = msgspec.structs.replace(state, running=False, pid=0, finished_at="")
        return msgspec.structs.replace(described, state=ended)

    def _is_process_of(self, pid: int, container_id: str) -> bool:
        try:
            cgroups = Path(self._paths.inner(f"/proc/{pid}/cgroup")).read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        except OSError:  # not ours to read: no reason to doubt the engine
            return True
        return is_cgroup_of(container_id, cgroups)

    def nameless(self, container_id: str, engine: Engine) -> Seen | None:
        """Nothing but the id is known; the log is read, if there is one."""
        assumed = HostConfig(log_config=LogConfig(type="json-file"))
        described = DockerContainer(host_config=assumed, state=State(running=True, started_at="?"))
        seen = self._reader.seen(container_id, described, engine)
        return seen if seen.source and Path(seen.source.path).exists() else None

    def keep_only(self, folders: Iterable[str]) -> None:
        """Forget what was read of other folders."""
        there = set(folders)
        self._kept = {folder: kept for folder, kept in self._kept.items() if folder in there}
        self._seen = {folder: seen for folder, seen in self._seen.items() if folder in there}

    def _folder(self, container_id: str, engine: Engine) -> str:
        return f"{self._paths.inner(engine.containers_dir)}/{container_id}"


def is_cgroup_of(container_id: str, proc_cgroup: str) -> bool:
    """Does /proc/<pid>/cgroup speak of this container? Where it names no container at all (a cgroup namespace of our
    own hides it as `/`), nobody can tell, and the engine's word stands."""
    named = CONTAINER_ID.findall(proc_cgroup)
    return container_id in named or not named


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - thousands of texts, every few seconds
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _read(folder: str) -> DockerContainer | Reject:
    """Raises OSError; FileNotFoundError where there is no config."""
    config = _bytes(f"{folder}/config.v2.json")
    try:
        hostconfig = _bytes(f"{folder}/hostconfig.json")
    except FileNotFoundError:
        hostconfig = None
    try:
        return from_disk(config, hostconfig)
    except Reject as fault:
        return Reject(f"{folder}: {fault}")


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MOST_CONFIG_BYTES)
