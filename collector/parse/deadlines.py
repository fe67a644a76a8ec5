"""Which streams may have something to close by time, without looking at all of them: tens of thousands may be open, and
the question is asked ten times a second."""

from __future__ import annotations

import heapq

from collector.parse.state import OpenStream


class Deadlines:
    """Of each stream that has open groups one moment at which to look at it: the oldest arrival of its groups, or later
    where a look has shown that they wait longer. Times are Unix ns of arrival, not of closing."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._next: dict[str, int] = {}  # what stands in the heap besides is outdated
        self._newest_ns = 0

    def note(self, stream: OpenStream) -> None:
        """To be called whenever what is kept of a stream has changed."""
        if stream.groups:
            arrived = [group.arrived_ns for group in stream.groups]
            self._newest_ns = max(self._newest_ns, *arrived)
            self._plan(stream.key, min(arrived))

    def take(self, now_ns: int, wait_ns: int) -> list[str] | None:
        """Keys of streams of which something may have waited for `wait_ns`; each is forgotten until it is noted or
        planned `again`. None: the clock went back, and that may hold for every stream."""
        went_back = now_ns < self._newest_ns
        self._newest_ns = now_ns
        if went_back:
            return None
        due: list[str] = []
        while self._heap and self._heap[0][0] <= now_ns - wait_ns:
            at, key = heapq.heappop(self._heap)
            if self._next.get(key) == at:
                del self._next[key]
                due.append(key)
        return due

    def again(self, key: str, at_ns: int) -> None:
        """What is open of it stays so: look again, as at something that arrived at `at_ns`."""
        self._plan(key, at_ns)

    def _plan(self, key: str, at: int) -> None:
        if at < self._next.get(key, 1 << 63):
            self._next[key] = at
            heapq.heappush(self._heap, (at, key))
