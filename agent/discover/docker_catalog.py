"""The containers of an engine, as last described. Pure state.

Descriptions arrive out of order (several are asked for at once): the ticket drawn before asking tells which is the
younger. The log of a removed container stays listed for a while, as ended, so that nobody who looks a moment later
misses a container that lived for a fraction of a second.
"""

from __future__ import annotations

import msgspec

from agent.discover.docker_reader import Seen
from agent.discover.view import View
from agent.model import LogSource


class Catalog:
    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, Seen]] = {}
        self._leaving: dict[str, LogSource | None] = {}
        self._tickets = 0

    def ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    def ids(self) -> set[str]:
        """Of containers that are known, removed ones of late included."""
        return self._seen.keys() | self._leaving.keys()

    def get(self, container_id: str) -> Seen | None:
        entry = self._seen.get(container_id)
        return entry[1] if entry else None

    def all(self) -> list[Seen]:
        return [seen for _, seen in self._seen.values()]

    def apply(self, container_id: str, seen: Seen, ticket: int) -> bool:
        """Did anything change?"""
        if container_id in self._leaving:
            return self._leave(container_id, seen.source)
        known = self._seen.get(container_id)
        if known and known[0] > ticket:
            return False
        self._seen[container_id] = (ticket, seen)
        return known is None or known[1] != seen

    def forget(self, container_id: str) -> bool:
        """It was removed. Call `drop` when nobody needs its log listed any more. False: that was known already."""
        if container_id in self._leaving:
            return False
        _, seen = self._seen.pop(container_id, (0, None))
        self._leaving[container_id] = None
        self._leave(container_id, seen.source if seen else None)
        return True

    def present(self) -> set[str]:
        """Of containers that were not removed. To be drawn before a full list is asked for: what it does not name was
        removed, but not what came while it was made."""
        return set(self._seen)

    def drop(self, container_id: str) -> None:
        self._leaving.pop(container_id, None)

    def view(self) -> View:
        containers = {container_id: seen.found for container_id, (_, seen) in self._seen.items()}
        logs = [seen.source for _, seen in self._seen.values()] + list(self._leaving.values())
        return View(containers, {source.name: source for source in logs if source is not None})

    def _leave(self, container_id: str, source: LogSource | None) -> bool:
        ended = msgspec.structs.replace(source, ended=True) if source else None
        if ended is None or self._leaving[container_id] == ended:
            return False
        self._leaving[container_id] = ended
        return True
