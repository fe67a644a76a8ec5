"""Groups of alerts that are told together, and the times at which they are looked at."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

from alerting.notify.alert_store import SavedGroup
from alerting.notify.message import group_key
from alerting.notify.routes import Route
from deckwatch.wire.model import Labels

GroupId = tuple[str, Labels]
"""(id of the route, group labels)"""


class Group:
    """Alerts of one route that agree in its `group_by` labels. Changed by its dispatcher alone."""

    def __init__(self, route: Route, labels: Labels) -> None:
        self.route = route
        self.labels = labels
        self.key = group_key(labels, route.key)
        self.members: set[str] = set()  # fingerprints
        self.next_ns = 0
        self.flushed = False  # once: group_wait is over
        self.flushed_ns = 0  # 0: not since the start of the process
        self.failed = False  # a message of it was refused or given up since it was flushed

    @property
    def id(self) -> GroupId:
        return self.route.id, self.labels

    def saved(self) -> SavedGroup:
        return SavedGroup(self.route.id, self.labels, self.next_ns, self.flushed)


class Groups:
    """Those of one dispatcher, found by their id, by (receiver, group key), or by what is due."""

    def __init__(self) -> None:
        self._groups: dict[GroupId, Group] = {}
        self._by_key: dict[tuple[str, str], Group] = {}
        self._of_alert: dict[str, set[GroupId]] = {}
        self._due: list[tuple[int, int, Group]] = []
        self._order = itertools.count()

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def __len__(self) -> int:
        return len(self._groups)

    def get(self, id_: GroupId) -> Group | None:
        return self._groups.get(id_)

    def told_as(self, receiver: str, key: str) -> Group | None:
        return self._by_key.get((receiver, key))

    def of_alert(self, fingerprint: str) -> list[Group]:
        return [self._groups[id_] for id_ in sorted(self._of_alert.get(fingerprint, ()))]

    def add(self, group: Group) -> None:
        self._groups[group.id] = group
        self._by_key[group.route.receiver, group.key] = group

    def remove(self, group: Group) -> None:
        del self._groups[group.id]
        self._by_key.pop((group.route.receiver, group.key), None)

    def join(self, group: Group, fingerprint: str) -> bool:
        """Is it new there?"""
        if fingerprint in group.members:
            return False
        group.members.add(fingerprint)
        self._of_alert.setdefault(fingerprint, set()).add(group.id)
        return True

    def leave(self, group: Group, fingerprint: str) -> bool:
        """Was it the alert's last group?"""
        group.members.discard(fingerprint)
        left = self._of_alert.get(fingerprint, set())
        left.discard(group.id)
        if left:
            return False
        self._of_alert.pop(fingerprint, None)
        return True

    def schedule(self, group: Group, at_ns: int) -> None:
        group.next_ns = at_ns
        heapq.heappush(self._due, (at_ns, next(self._order), group))

    def next_due_ns(self) -> int | None:
        while self._due and not self._holds(self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def take_due(self, now_ns: int) -> Group | None:
        """The next one that is due; the caller gives it its next time."""
        due_ns = self.next_due_ns()
        if due_ns is None or due_ns > now_ns:
            return None
        return heapq.heappop(self._due)[2]

    def _holds(self, entry: tuple[int, int, Group]) -> bool:
        """Entries of groups that are gone or were given another time lie in the heap until their turn."""
        at_ns, _, group = entry
        return group.next_ns == at_ns and self._groups.get(group.id) is group
