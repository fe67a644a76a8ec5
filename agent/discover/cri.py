"""Kubernetes' pod logs: `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`, written by containerd or
CRI-O in the CRI format and rotated by the kubelet to `<restarts>.log.<date>-<time>[.gz]`.

The path tells everything but the container's id; that stands in the names of the kubelet's links,
`/var/log/containers/<pod>_<namespace>_<container>-<id>.log`. A link may come a moment after the log, so the id is
context and never part of the log's name: else a stream would change its name on the way.
With Docker behind the kubelet (dockershim, cri-dockerd) `<restarts>.log` is itself a link, to Docker's json-file.
Sources: Kubernetes pkg/kubelet/kuberuntime/helpers.go, pkg/kubelet/logs/container_log_manager.go.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.discover.docker_reader import source_name
from agent.discover.finding import Finding, count, os_reason
from agent.discover.host_paths import HostPaths
from agent.discover.looking import Looked
from agent.discover.settings import DiscoverSettings
from agent.discover.view import View
from agent.model import ContainerState, FoundContainer, LogSource
from deckwatch.wire.model import Container, Format, Workload

_LOG = re.compile(r"(\d+)\.log")
_LINK = re.compile(r".+_.+_.+-([0-9a-f]{64})\.log")
_DOCKER_LOG = re.compile(r"([0-9a-f]{64})-json\.log")

_DOCKER_ROTATED = ".[0-9]*"
_ROTATED = ".[0-9]*[0-9z]"
"""Not the `.tmp` that the kubelet compresses into."""

_RUNTIMES = {"containerd": "/run/containerd/containerd.sock", "cri-o": "/run/crio/crio.sock"}


class PodLog(msgspec.Struct, frozen=True):
    """One file of one container, as its path tells."""

    namespace: str
    pod: str
    uid: str
    container: str
    restarts: int
    path: str  # as an inner path, not resolved

    @property
    def name(self) -> str:
        return f"{self.namespace}/{self.pod}/{self.uid}/{self.container}/{self.restarts}.log"


def pod_of(folder: str) -> tuple[str, str, str] | None:
    """(namespace, pod, uid); names in Kubernetes hold no underscore. A static pod's uid is 32 hex digits."""
    parts = folder.split("_")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 and all(parts) else None


class PodLogs:
    """Blocking: for use in a thread."""

    def __init__(self, settings: DiscoverSettings) -> None:
        self._settings = settings
        self._paths = HostPaths(settings.host_root)
        self._pods_dir = self._paths.inner(settings.cri.pods_dir)
        self._runtime = ""
        self._unreadable: dict[str, str] = {}

    def look(self) -> Looked:
        what = f"pod logs {self._settings.cri.pods_dir}"
        try:
            pods = self._entries(self._pods_dir)
        except FileNotFoundError:
            return Looked(View(), (Finding(what, False, "not there: no Kubernetes on this host"),))
        except OSError as error:
            remedy = "run the agent as root, or mount /var/log read-only into its container"
            return Looked(View(), (Finding(what, False, os_reason(error), remedy),))
        self._runtime, self._unreadable = self._find_runtime(), {}
        folders = [self._pods_dir, *(f"{self._pods_dir}/{pod}" for pod in pods)]
        logs, deeper = self._logs(pods)
        view = self._view(logs)
        told = f"{count(len(pods), 'pod')}, {count(len(view.sources), 'log')}"
        return Looked(view, (Finding(what, True, told), *self._trouble()), (*folders, *deeper))

    def _trouble(self) -> tuple[Finding, ...]:
        if not self._unreadable:
            return ()
        folder, why = next(iter(self._unreadable.items()))
        detail = f"{count(len(self._unreadable), 'folder')} can't be read, the first is {folder}: {why}"
        return (Finding("folders of pods", False, detail, "run the agent as root"),)

    def _logs(self, pods: list[str]) -> tuple[list[PodLog], list[str]]:
        """Logs, and the folders where they stand. Pods go at any time: what vanishes meanwhile is not there."""
        logs: list[PodLog] = []
        folders: list[str] = []
        for pod in pods:
            parts = pod_of(pod)
            for container in self._present(f"{self._pods_dir}/{pod}") if parts else ():
                folder = f"{self._pods_dir}/{pod}/{container}"
                names = self._present(folder)
                folders.append(folder)
                matches = filter(None, map(_LOG.fullmatch, names))
                logs += [PodLog(*parts, container, int(match[1]), f"{folder}/{match[0]}") for match in matches if parts]
        return logs, folders

    def _view(self, logs: list[PodLog]) -> View:
        ids = self._ids()
        newest: dict[str, int] = {}
        for log in logs:
            folder = log.path.rpartition("/")[0]
            newest[folder] = max(newest.get(folder, -1), log.restarts)
        containers: dict[str, FoundContainer] = {}
        sources: dict[str, LogSource] = {}
        for log in logs:
            is_newest = log.restarts == newest[log.path.rpartition("/")[0]]
            source = self._source(log, ids.get(self._paths.outer(log.path), ""), is_newest)
            sources[source.name] = source
            if source.container and source.container.id and is_newest:
                # its cgroup tells better; a container whose log is the newest of its pod counts as running
                containers[source.container.id] = FoundContainer(source.container, ContainerState.RUNNING)
        return View(containers, sources)

    def _source(self, log: PodLog, container_id: str, is_newest: bool) -> LogSource:
        real = self._paths.real(log.path)
        behind = _DOCKER_LOG.fullmatch(real.rpartition("/")[2])
        context = self._context(log, behind[1] if behind else container_id)
        return LogSource(
            name=source_name(behind[1], behind[0]) if behind else log.name,
            path=real,
            rotated=glob.escape(real) + (_DOCKER_ROTATED if behind else _ROTATED),
            format=None if behind else Format.CRI,
            container=context,
            tenant=self._settings.tenant,
            ended=not is_newest,
        )

    def _context(self, log: PodLog, container_id: str) -> Container:
        owner = Workload("kubernetes", log.namespace, log.pod, instance=log.pod, component=log.container)
        return Container(id=container_id, name=log.container, runtime=self._runtime, workload=owner)

    def _find_runtime(self) -> str:
        """The one whose socket is there; unknown where there are none or both."""
        there = [name for name, socket in _RUNTIMES.items() if Path(self._paths.inner(socket)).exists()]
        return there[0] if len(there) == 1 else ""

    def _ids(self) -> dict[str, str]:
        """Container ids by the path (on the host) of the log that a kubelet's link leads to."""
        links_dir = self._paths.inner(self._settings.cri.links_dir)
        return dict(self._link_targets(links_dir, self._present(links_dir)))

    def _link_targets(self, links_dir: str, names: list[str]) -> Iterator[tuple[str, str]]:
        for match in filter(None, map(_LINK.fullmatch, names)):
            try:
                yield os.readlink(f"{links_dir}/{match[0]}"), match[1]  # noqa: PTH115 - as it stands there
            except OSError:  # went meanwhile, or no link: the id stays unknown
                continue

    @staticmethod
    def _entries(folder: str) -> list[str]:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are what is wanted

    def _present(self, folder: str) -> list[str]:
        """Entries of a folder that may have gone, or may be a file."""
        try:
            return self._entries(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._unreadable[folder] = os_reason(error)
            return []
