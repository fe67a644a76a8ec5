"""How far each stream is durable here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from collector.intake.admission import OpenGap
from deckwatch.wire.model import Position


class Positions:
    """`of` and `declared` see what was submitted to the journal too, so that the next batch is judged right; what
    agents are told is `durable_of`. A failed journal write takes all that was submitted back."""

    def __init__(self, durable: Mapping[str, Position], open_gaps: Iterable[OpenGap] = ()) -> None:
        self._durable = dict(durable)
        self._submitted: dict[str, Position] = {}
        self._open_gaps = set(open_gaps)
        self._submitted_gaps: set[OpenGap] = set()

    def __len__(self) -> int:
        return len(self._durable)

    def of(self, key: str) -> Position | None:
        return self._submitted.get(key) or self._durable.get(key)

    def durable_of(self, key: str) -> Position | None:
        return self._durable.get(key)

    def declared(self, gap: OpenGap) -> bool:
        """Is this gap without an end known already?"""
        return gap in self._open_gaps or gap in self._submitted_gaps

    def submitted(self, moves: Mapping[str, Position], open_gaps: Iterable[OpenGap] = ()) -> None:
        self._submitted.update(moves)
        self._submitted_gaps.update(open_gaps)

    def confirmed(self, moves: Mapping[str, Position], open_gaps: Iterable[OpenGap] = ()) -> None:
        """The journal has them."""
        for key, position in moves.items():
            self._durable[key] = position
            if self._submitted.get(key) == position:
                del self._submitted[key]
        self._open_gaps.update(open_gaps)
        self._submitted_gaps.difference_update(open_gaps)

    def failed(self) -> None:
        self._submitted.clear()
        self._submitted_gaps.clear()

    def forget(self, keys: Iterable[str]) -> None:
        gone = set(keys)
        for key in gone:
            self._durable.pop(key, None)
        if gone:
            self._open_gaps = {gap for gap in self._open_gaps if gap[0] not in gone}
