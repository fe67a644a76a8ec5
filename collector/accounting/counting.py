"""The accounts of all streams, as the applier counts them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from collector.accounting.account import StreamAccount, encode_accounts
from collector.intake.record import BatchRecord
from collector.records import FLAG_MULTILINE, RecordFrame
from deckwatch.wire.model import Batch, Position

_NEWLINE = 10


class Accounts:
    """Belongs to the pipeline's thread, but for `context_of`."""

    def __init__(self, known: dict[str, StreamAccount], positions: Mapping[str, Position]) -> None:
        """As of the last sealing. A stream that has a position and no account is one of an older version: it is counted
        from there on."""
        self._accounts = known
        self._since = {key: position.offset for key, position in positions.items() if key not in known}
        self._changed: set[str] = set()

    def admit(self, received_ns: int, batch: Batch, record: BatchRecord, keys: Sequence[str]) -> None:
        """An entry of the journal: how far it moved which stream, and by which bytes."""
        if not record.moves:
            return
        for place, key in enumerate(keys):
            position = record.moves.get(key)
            if position is not None:
                account = self._account(key, batch, place, sound=place not in record.refused)
                account.offset, account.last_received_ns = position.offset, received_ns
        for chunk, skip in zip(batch.chunks, record.skips, strict=True):
            if 0 <= skip < len(chunk.data):
                self._accounts[keys[chunk.stream]].admitted_bytes += len(chunk.data) - skip

    def _account(self, key: str, batch: Batch, place: int, *, sound: bool) -> StreamAccount:
        """Where the stream is not `sound`, what is known of it stays."""
        info = batch.streams[place]
        context = batch.contexts[info.context]
        account = self._accounts.get(key)
        if account is None:
            since = self._since.pop(key, 0)
            account = self._accounts[key] = StreamAccount(info.id, info.tenant, info.format, context, since, since)
        elif sound:
            account.tenant = info.tenant
            if account.context != context:
                account.context = context
        self._changed.add(key)
        return account

    def made(self, frame: RecordFrame) -> None:
        """Records that can be found from now on."""
        counts = np.bincount(frame.rows["origin"].to_numpy(), minlength=len(frame.origins)).tolist()
        further = _further_lines(frame)
        for place, (origin, count) in enumerate(zip(frame.origins, counts, strict=True)):
            account = self._accounts.get(origin.key)
            if account is not None and count:
                account.records += count
                account.lines += count + further.get(place, 0)
                self._changed.add(origin.key)

    def take_changed(self) -> dict[str, bytes]:
        """Those that changed since it was last asked, encoded: to be committed with the sealing."""
        changed, self._changed = self._changed, set()
        return encode_accounts({key: self._accounts[key] for key in changed if key in self._accounts})

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._accounts.pop(key, None)
            self._since.pop(key, None)

    def copied(self) -> dict[str, StreamAccount]:
        return {key: copy.copy(account) for key, account in self._accounts.items()}

    def of(self, key: str) -> StreamAccount | None:
        """From any thread: who a stream is; its figures may change meanwhile."""
        return self._accounts.get(key)


def _further_lines(frame: RecordFrame) -> dict[int, int]:
    """Lines that were joined to the first one of a record, by origin. Only joined records are looked into, and without
    a query plan: its threads cost more than the counting, each time that an entry is applied."""
    joined = np.flatnonzero(frame.rows["flags"].to_numpy() & FLAG_MULTILINE)
    if not len(joined):
        return {}
    texts = frame.rows["message"].gather(joined).to_arrow()
    data, ends = np.frombuffer(texts.buffers()[2], np.uint8), np.frombuffer(texts.buffers()[1], np.int64)
    before = np.searchsorted(np.flatnonzero(data == _NEWLINE), ends)
    counts = np.bincount(frame.rows["origin"].to_numpy()[joined], weights=np.diff(before))
    return {place: int(counts[place]) for place in np.flatnonzero(counts).tolist()}
