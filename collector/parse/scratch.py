"""Memory that is used anew for each entry. Asking the system for it each time costs a third of all parsing, in page
faults; frames never refer to it."""

from __future__ import annotations

import numpy as np

from collector.parse.layout import Table

_MAX_KEPT_BYTES = 32 << 20
"""A larger array, of an unusual batch, is not kept."""


class Scratch:
    """Arrays by name. What is taken is valid until the same name is taken again; its content is undefined."""

    def __init__(self) -> None:
        self._arrays: dict[str, Table] = {}

    def take(self, name: str, count: int, dtype: np.dtype[np.generic]) -> Table:
        kept = self._arrays.get(name)
        if kept is not None and len(kept) >= count:
            return kept[:count]
        room = count + count // 4
        array = np.empty(room, dtype)
        if array.nbytes <= _MAX_KEPT_BYTES:
            self._arrays[name] = array
        return array[:count]
