"""What can be said of Docker at start-up. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from agent.discover.docker_client import EngineAway
from agent.discover.docker_disk import DiskLook
from agent.discover.docker_reader import Engine, Seen
from agent.discover.finding import Finding, count
from agent.model import ContainerState

NAMES_TOLD = 20


def api_finding(socket: str, version: str, fault: EngineAway | None, seen: Iterable[Seen]) -> Finding:
    what = f"Docker socket {socket}"
    if fault is not None:
        return Finding(what, False, str(fault), fault.remedy)
    states = [container.found.state for container in seen]
    running = states.count(ContainerState.RUNNING) + states.count(ContainerState.PAUSED)
    return Finding(what, True, f"{version}, {count(len(states), 'container')}, {running:,} running")


def disk_finding(engine: Engine, looked: DiskLook, *, engine_answers: bool) -> tuple[Finding, ...]:
    """None for Podman, which keeps its containers in a data base."""
    if not engine.containers_dir:
        return ()
    what = f"Docker's containers {engine.containers_dir}"
    if not looked.unreached:
        return (Finding(what, True, f"{count(looked.count, 'container')}, their logs can be read"),)
    detail = looked.unreached + (": logs of containers can't be read" if engine_answers else "")
    remedy = "run the agent as root, or mount the folder read-only into its container" if engine_answers else ""
    return (Finding(what, False, detail, remedy),)


def log_findings(seen: Iterable[Seen], broken: Mapping[str, str]) -> tuple[Finding, ...]:
    """Containers whose logs are not in files that we can read, by log driver; and broken descriptions."""
    by_driver: dict[str, list[str]] = defaultdict(list)
    for container in seen:
        if container.unreadable:
            by_driver[container.unreadable].append(container.found.container.name or container.found.container.id[:12])
    findings = [_driver_finding(driver, sorted(names)) for driver, names in sorted(by_driver.items())]
    if broken:
        detail = f"{count(len(broken), 'broken file')}: {next(iter(broken.values()))}"
        findings.append(Finding("containers' files", False, detail, "their logs are read all the same, without names"))
    return tuple(findings)


def _driver_finding(driver: str, names: list[str]) -> Finding:
    told = ", ".join(names[:NAMES_TOLD]) + (", ..." if len(names) > NAMES_TOLD else "")
    why, mend = why_unread(driver)
    detail = f"{count(len(names), 'container')} ({told}): the log driver {driver} {why}"
    return Finding(f"logs by {driver}", False, detail, mend)


def why_unread(driver: str) -> tuple[str, str]:
    """Why it can't be read, and what to do."""
    if driver == "none":
        return "keeps no logs", "start it with --log-driver json-file if they are wanted"
    why = "keeps logs in a binary form" if driver == "local" else "does not keep logs in files"
    return why, "start it with --log-driver json-file"
