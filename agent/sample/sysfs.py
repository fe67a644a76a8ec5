"""Single values of /sys and of small files: read when asked for, missing where they can't be read."""

from __future__ import annotations

import os

from agent.sample.kept import GONE, read_once
from agent.sample.metrics import Faults


class SmallFiles:
    """Files below the host's root. What is not there is None; what can't be read is None too, and noted."""

    def __init__(self, root: str, faults: Faults) -> None:
        self._root = root.rstrip("/")
        self._faults = faults

    def text(self, path: str) -> str | None:
        try:
            data = read_once(self._root + path)
        except OSError as error:
            self._faults.note(self._root + path, error)
            return None
        return None if data is None else data.decode(errors="replace").strip()

    def number(self, path: str) -> int | None:
        """Decimal, or hexadecimal with 0x."""
        text = self.text(path)
        if not text:
            return None
        try:
            return int(text, 0)
        except ValueError as error:
            self._faults.note(self._root + path, error)
            return None

    def names(self, path: str) -> list[str]:
        """What a folder holds, in order; nothing where it isn't there."""
        try:
            return sorted(os.listdir(self._root + path))  # noqa: PTH208 - names alone: no Path for each
        except OSError as error:
            if error.errno not in GONE:
                self._faults.note(self._root + path, error)
            return []

    def target(self, path: str) -> str:
        """Where a link leads, all links on the way resolved, as seen below the root; of no link the path itself."""
        full = os.path.realpath(self._root + path)
        return full.removeprefix(self._root) if self._root else full

    def there(self, path: str) -> bool:
        return os.access(self._root + path, os.F_OK)
