"""The series of one tenant as one receiver gets them: with external labels, relabelled, encoded once in their life."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from collector.metrics.remote.encode import encode_labels
from collector.metrics.selector import NAME_LABEL
from collector.metrics.tsdb.codec import Ints
from collector.metrics.tsdb.table import Places
from deckwatch.runtime.relabel import Rule, relabel
from deckwatch.wire.model import Labels

DROPPED = -1
_LONG_AGO = np.iinfo(np.int64).min
_FIRST_ROOM = 1024
ALIVE_MS = 3_600_000  # a series without a sample for so long may be forgotten
_LEAST_DEAD = 10_000


class OutSeries:
    """A Numbering. Series that become the same by relabelling have one number, so that none goes back in time."""

    def __init__(self, external_labels: Mapping[str, str], rules: tuple[Rule, ...]) -> None:
        self.names: set[str] = set()
        """Of metrics that were ever seen."""
        self._external = dict(external_labels)
        self._rules = rules
        self._numbers: dict[bytes, int] = {}
        self._encoded: list[bytes] = []
        self._newest_ms: Ints = np.full(_FIRST_ROOM, _LONG_AGO)

    def __len__(self) -> int:
        return len(self._encoded)

    @property
    def newest_ms(self) -> int:
        """Time of the newest sample of all."""
        return int(self._newest_ms.max())

    def place(self, labels: Labels) -> int:
        sent = relabel({**self._external, **dict(labels)}, self._rules)
        if not sent or not sent.get(NAME_LABEL):
            return DROPPED
        encoded = encode_labels(tuple(sorted(sent.items())))
        number = self._numbers.get(encoded)
        if number is None:
            number = self._numbers[encoded] = len(self._encoded)
            self._encoded.append(encoded)
            self.names.add(sent[NAME_LABEL])
            if number >= len(self._newest_ms):
                self._newest_ms = np.concatenate([self._newest_ms, np.full(number, _LONG_AGO)])
        return number

    def labels(self, number: int) -> bytes:
        """As a request has them."""
        return self._encoded[number]

    def take(self, places: Places, times_ms: Ints) -> npt.NDArray[np.bool_]:
        """Which samples are to be sent: not of series that are dropped, nor older than what they had. A series stands
        in `places` once."""
        fresh: npt.NDArray[np.bool_] = places != DROPPED
        fresh[fresh] = times_ms[fresh] > self._newest_ms[places[fresh]]
        self._newest_ms[places[fresh]] = times_ms[fresh]
        return fresh

    def forget_dead(self) -> Places | None:
        """The series that was n is number[n] from now on, or dropped; None: nothing was forgotten."""
        count = len(self)
        newest_ms = self._newest_ms[:count]
        alive = newest_ms >= (newest_ms.max() - ALIVE_MS if count else 0)
        dead = count - int(alive.sum())
        if dead < max(_LEAST_DEAD, count // 2):
            return None
        number = np.full(count + 1, DROPPED)  # the last for -1: what was dropped is so again
        number[np.nonzero(alive)[0]] = np.arange(count - dead)
        self._encoded = [encoded for encoded, lives in zip(self._encoded, alive.tolist(), strict=True) if lives]
        self._numbers = {encoded: at for at, encoded in enumerate(self._encoded)}
        self._newest_ms = np.concatenate([newest_ms[alive], np.full(max(_FIRST_ROOM, len(self._encoded)), _LONG_AGO)])
        return number
