"""Files of the host, given as globs. Blocking: for use in a thread.

Symbolic links are followed, to files and to folders; a file is named by its real path, so two ways to it are one, and
hard links to one file are followed under the first name alone. Docker's json-files among them are recognised: their
container's context is read from the `config.v2.json` beside them, whether or not an engine runs.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from agent.discover.docker_disk import DockerDisk
from agent.discover.docker_reader import Engine, Seen, source_name
from agent.discover.finding import Finding, count, os_reason
from agent.discover.globs import compiled, dated_bases, fixed_folder, is_compressed, is_wild, live_logs, rotated_glob
from agent.discover.host_paths import HostPaths
from agent.discover.looking import Looked
from agent.discover.settings import DiscoverSettings
from agent.discover.view import View
from agent.model import FoundContainer, LogSource
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.files import told_path
from deckwatch.wire.model import Container

_DOCKER_LOG = re.compile(r"(.*)/([0-9a-f]{64})/\2-json\.log")

NAMES_TOLD = 3


class Matches(msgspec.Struct, frozen=True):
    """What the globs matched, by what can be done with it."""

    logs: tuple[str, ...] = ()  # regular files that we may read
    compressed: tuple[str, ...] = ()
    special: tuple[str, ...] = ()  # FIFOs, sockets, devices
    unreadable: tuple[str, ...] = ()


class FileGlobs:
    def __init__(self, settings: DiscoverSettings, patterns: Iterable[str]) -> None:
        self._settings = settings
        self._paths = HostPaths(settings.host_root)
        self._patterns = {pattern: self._paths.inner(os.path.abspath(pattern)) for pattern in patterns}  # noqa: PTH100
        self._known: dict[str, str] = {}  # names of logs, to themselves: see _remember
        self._sources: dict[str, LogSource] = {}  # of the last look
        self._disk = DockerDisk(settings)
        self._dated: dict[str, tuple[int, frozenset[str]]] = {}
        self._broken: dict[str, str] = {}

    def look(self) -> Looked:
        found = {pattern: sort_out(self._as_known(_matches(inner))) for pattern, inner in self._patterns.items()}
        matched = dict.fromkeys(path for matches in found.values() for path in (*matches.logs, *matches.compressed))
        live = self._remember(live_logs(matched, self._patterns.values(), self._known))
        real = self._real_paths(path for path in live if not is_compressed(path))
        followed = sorted(real)[: self._settings.files.max_files]
        findings = [self._pattern_finding(pattern, matches) for pattern, matches in found.items()]
        view = self._view(followed)
        trouble = self._trouble(found.values(), [path for path in live if is_compressed(path)], len(real))
        return Looked(view, (*findings, *trouble), self._folders(followed))

    def _real_paths(self, paths: Iterable[str]) -> set[str]:
        """Links in folders are followed once a folder."""
        folders: dict[str, str] = {}
        real: set[str] = set()
        for path in paths:
            folder, _, name = path.rpartition("/")
            if os.path.islink(path):  # noqa: PTH114 - thousands of texts, every few seconds
                real.add(self._paths.real(path))
                continue
            if folder not in folders:
                folders[folder] = self._paths.real(folder or "/").rstrip("/")
            real.add(path if folders[folder] == folder else f"{folders[folder]}/{name}")
        return real

    def _as_known(self, paths: Iterable[str]) -> Iterator[str]:
        return (self._known.get(path, path) for path in paths)

    def _remember(self, live: Iterable[str]) -> list[str]:
        """Names of logs for as long as we run, so that a rename is known as one; not without bound. They are given as
        the texts that are known already: thousands of paths take megabytes each time that they are there anew."""
        if len(self._known) > 4 * self._settings.files.max_files:
            self._known.clear()
        return [self._known.setdefault(path, path) for path in live]

    def _view(self, followed: list[str]) -> View:
        self._broken = {}
        containers: dict[str, FoundContainer] = {}
        sources: dict[str, LogSource] = {}
        docker = {path: match for path in followed if (match := _DOCKER_LOG.fullmatch(path))}
        folders = {path.rpartition("/")[0] for path in followed if path not in docker}
        dated = {folder: self._dated_bases(folder) for folder in folders}
        for path in followed:
            source = self._docker_log(path, docker[path], containers) if path in docker else self._plain(path, dated)
            if source is not None:
                before = self._sources.get(source.name)
                sources[source.name] = before if before is not None and before == source else source
        self._disk.keep_only(path.rpartition("/")[0] for path in docker)
        self._sources = sources
        return View(containers, sources)

    def _plain(self, path: str, dated: Mapping[str, frozenset[str]]) -> LogSource:
        folder, _, name = path.rpartition("/")
        rotated = rotated_glob(path, dated=name in dated[folder])
        return LogSource(told_path(self._paths.outer(path)), path, rotated, tenant=self._settings.tenant)

    def _dated_bases(self, folder: str) -> frozenset[str]:
        """One listing for all logs of a folder, for as long as no entry comes or goes."""
        try:
            changed_ns = Path(folder or "/").stat().st_mtime_ns
            kept = self._dated.get(folder)
            if kept is None or kept[0] != changed_ns:
                kept = self._dated[folder] = (changed_ns, dated_bases(os.listdir(folder or "/")))  # noqa: PTH208
        except OSError:  # vanished meanwhile: so did its logs
            return frozenset()
        return kept[1]

    def _docker_log(self, path: str, match: re.Match[str], containers: dict[str, FoundContainer]) -> LogSource | None:
        """None: its container wants no logs."""
        containers_dir, container_id = match.groups()
        name = source_name(container_id, f"{container_id}-json.log")
        rotated = f"{glob.escape(path)}.[0-9]*"
        seen = self._container(container_id, Engine(containers_dir=self._paths.outer(containers_dir)))
        if seen is None:
            context = Container(container_id, runtime="docker")
            return LogSource(name, path, rotated, container=context, tenant=self._settings.tenant)
        containers[container_id] = seen.found
        return msgspec.structs.replace(seen.source, name=name, path=path, rotated=rotated) if seen.source else None

    def _container(self, container_id: str, engine: Engine) -> Seen | None:
        try:
            return self._disk.read(container_id, engine)
        except Reject as fault:
            self._broken[container_id] = str(fault)
            return None

    def _folders(self, followed: list[str]) -> tuple[str, ...]:
        """Where new matches appear: above the wildcards, and beside what is followed already."""
        above = [fixed_folder(inner) for inner in self._patterns.values()]
        beside = [path.rpartition("/")[0] for path in followed if not _DOCKER_LOG.fullmatch(path)]
        return tuple(dict.fromkeys(above + beside))

    def _pattern_finding(self, pattern: str, matches: Matches) -> Finding:
        what, inner = f"files {pattern}", self._patterns[pattern]
        if matches.logs:
            return Finding(what, True, count(len(matches.logs), "file"))
        if matches.unreadable:
            return Finding(what, False, f"{count(len(matches.unreadable), 'file')}, {UNREADABLE[0]}", UNREADABLE[1])
        later = "it is looked for again every few seconds"
        try:
            next(Path(fixed_folder(inner)).iterdir(), None)
            if not is_wild(pattern):
                os.stat(inner)  # noqa: PTH116 - glob takes what may not be looked at for absent
        except FileNotFoundError as error:
            missing = "no such file yet" if error.filename == inner else f"{error.filename}: {os_reason(error)}"
            return Finding(what, False, missing, later)
        except OSError as error:
            mend = UNREADABLE[1] if isinstance(error, PermissionError) else later
            return Finding(what, False, f"{error.filename}: {os_reason(error)}", mend)
        return Finding(what, False, "no file matches yet" if is_wild(pattern) else "no such file yet", later)

    def _trouble(self, found: Iterable[Matches], packed: list[str], matched: int) -> Iterator[Finding]:
        every = list(found)
        yield from told("compressed files", packed, PACKED)
        yield from told("special files", [path for matches in every for path in matches.special], SPECIAL)
        yield from told("unreadable files", [path for matches in every for path in matches.unreadable], UNREADABLE)
        yield from told("broken descriptions of containers", list(self._broken.values()), BROKEN)
        most = self._settings.files.max_files
        if matched > most:
            detail = f"{count(matched, 'file')} match, the first {most:,} are followed"
            yield Finding("files", False, detail, "narrow the globs, or raise agent.discover.files.max_files")


PACKED = ("they are not logs that grow, and no live log belongs to them", "unpack what is to be read")
SPECIAL = ("only regular files can be read again after a crash", "leave them out of the globs")
UNREADABLE = ("permission denied", "give the agent's user the right to read them, or run it as root")
BROKEN = ("their logs are read without names", "")


def told(what: str, paths: list[str], why: tuple[str, str]) -> Iterator[Finding]:
    if paths:
        names = ", ".join(paths[:NAMES_TOLD]) + (", ..." if len(paths) > NAMES_TOLD else "")
        yield Finding(what, False, f"{len(paths):,} ({names}): {why[0]}", why[1])


def _matches(pattern: str) -> Iterator[str]:
    if "**" not in pattern.split("/"):
        return glob.iglob(pattern)  # noqa: PTH207 - absolute patterns, texts in and out
    return _below(fixed_folder(pattern), compiled(pattern), frozenset(), hidden="/." in pattern)


def _below(folder: str, pattern: re.Pattern[str], above: frozenset[tuple[int, int]], *, hidden: bool) -> Iterator[str]:
    """Links to folders are followed, but not to one that we are in: glob would go round until the path is too long."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - thousands of texts
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # vanished, no folder, or closed to us: `_pattern_finding` says so of the first
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in found:
        if entry.name.startswith(".") and not hidden:
            continue
        path = f"{folder.rstrip('/')}/{entry.name}"
        if pattern.fullmatch(path):
            yield path
        if _is_folder(entry):
            yield from _below(path, pattern, above | {here}, hidden=hidden)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere, or round in circles
        return False


def sort_out(paths: Iterable[str]) -> Matches:
    """Folders and what vanished meanwhile are no matches at all."""
    kinds: dict[str, list[str]] = {"logs": [], "compressed": [], "special": [], "unreadable": []}
    for path in paths:
        kind = kind_of(path)
        if kind is not None:
            kinds[kind].append(path)
    return Matches(**{kind: tuple(sorted(paths)) for kind, paths in kinds.items()})


def kind_of(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - thousands of texts, every few seconds
    except PermissionError:
        return "unreadable"
    except OSError:  # vanished, or a link that leads nowhere: it may be there at the next look
        return None
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return "special"
    if not os.access(path, os.R_OK):
        return "unreadable"
    return "compressed" if is_compressed(path) else "logs"
