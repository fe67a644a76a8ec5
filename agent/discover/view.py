"""What one finder knows, and how the views of several become one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agent.model import FoundContainer, LogSource


class View(msgspec.Struct, frozen=True):
    containers: dict[str, FoundContainer] = {}  # by id
    sources: dict[str, LogSource] = {}  # by name


def merge(views: Iterable[View]) -> View:
    """One view of all; the earlier one wins.

    Two finders may see the same file (a glob over the engine's folder, kubelet's links to Docker's logs). It is
    followed once, under the name that the earlier finder gave it.
    """
    containers: dict[str, FoundContainer] = {}
    sources: dict[str, LogSource] = {}
    paths: set[str] = set()
    for view in views:
        containers = {**view.containers, **containers}
        fresh = {
            name: source for name, source in view.sources.items() if name not in sources and source.path not in paths
        }
        sources.update(fresh)
        paths.update(source.path for source in fresh.values())
    return View(containers, sources)
