"""A service's rate limit, kept before it is hit: at most so many messages in any window of so many seconds."""

from __future__ import annotations

from collections import deque


class Pace:
    """`took` notes each message; `wait_s` says how long the next one is to wait."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._times: deque[float] = deque(maxlen=most)

    def wait_s(self, monotonic_s: float) -> float:
        if len(self._times) < self._most:
            return 0.0
        return max(0.0, self._times[0] + self._window_s - monotonic_s)

    def took(self, monotonic_s: float) -> None:
        self._times.append(monotonic_s)


class Paces:
    """Integrations that write to the same place share its limit."""

    def __init__(self) -> None:
        self._by_place: dict[str, Pace] = {}

    def of(self, place: str, most: int, window_s: float) -> Pace:
        return self._by_place.setdefault(place, Pace(most, window_s))
