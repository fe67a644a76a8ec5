"""What parsing is given: a journal entry, and which of its bytes are new."""

from __future__ import annotations

import msgspec

from deckwatch.wire.model import Batch


class Accepted(msgspec.Struct, frozen=True):
    """A batch as intake accepted it. The same entry comes again when the journal is replayed."""

    seq: int
    received_ns: int
    batch: Batch
    skips: tuple[int, ...]
    """For each chunk of the batch: how many of its first bytes were durable before (or refused) and are to be left
    out; -1 or its length for all of them."""
