"""The accounts of all streams at one moment: a cut through the pipeline, and the manifest that belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from collector.accounting.cut import Cut
from collector.accounting.holdings import Moved, gather
from collector.accounting.ledger import Holdings, Ledger, settle
from collector.store.embedded.manifest import Manifest
from collector.store.embedded.shelf import Shelf, read_shelf
from deckwatch.runtime.faults import Retry

_TRIES = 20
_WAIT_S = 0.05
"""Between a sealing's commit and its publication; there is a new cut then."""


class Books(msgspec.Struct, frozen=True):
    cut: Cut
    shelf: Shelf
    holdings: Mapping[str, Holdings]

    def ledger(self, key: str) -> Ledger | None:
        """None: nothing was counted of it (its position is forgotten, or an older version stored it)."""
        account = self.cut.accounts.get(key)
        return None if account is None else settle(key, account, self.holdings[key])


async def open_books(cut: Callable[[], Awaitable[Cut]], manifest: Manifest) -> Books:
    """Raises Retry where segments come and go faster than they can be counted."""
    for _ in range(_TRIES):
        made = await cut()
        shelf = await asyncio.to_thread(read_shelf, manifest)
        try:
            return Books(made, shelf, await asyncio.to_thread(gather, shelf, made))
        except Moved:
            await asyncio.sleep(_WAIT_S)
    raise Retry("segments come and go faster than they can be counted; ask again", after_s=1.0)
