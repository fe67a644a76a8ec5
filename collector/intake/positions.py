"""How far each stream is durable here."""

from __future__ import annotations

from collections.abc import Mapping

from deckwatch.wire.model import Position


class Positions:
    """`of` sees what was submitted to the journal too, so that a stream's next batch is judged right; what agents are
    told is `durable_of`. A failed journal write takes all submitted moves back."""

    def __init__(self, durable: Mapping[str, Position]) -> None:
        self._durable = dict(durable)
        self._submitted: dict[str, Position] = {}

    def __len__(self) -> int:
        return len(self._durable)

    def of(self, key: str) -> Position | None:
        return self._submitted.get(key) or self._durable.get(key)

    def durable_of(self, key: str) -> Position | None:
        return self._durable.get(key)

    def submitted(self, moves: Mapping[str, Position]) -> None:
        self._submitted.update(moves)

    def confirmed(self, moves: Mapping[str, Position]) -> None:
        """The journal has them."""
        for key, position in moves.items():
            self._durable[key] = position
            if self._submitted.get(key) == position:
                del self._submitted[key]

    def failed(self) -> None:
        self._submitted.clear()

    def forget(self, keys: list[str]) -> None:
        for key in keys:
            self._durable.pop(key, None)
