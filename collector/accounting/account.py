"""What the collector has counted of each stream since it first heard of it. The applier counts, in the order of the
journal; the manifest keeps the counts of what is sealed, so that a replay counts nothing twice."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from deckwatch.wire.model import Context, Format, StreamId


class StreamAccount(msgspec.Struct, array_like=True, gc=False):
    """Counted up to one journal entry; only the applier changes it.

    `offset` is the stream's position: every byte before it came or was declared lost. `since` is where counting began:
    0, except for a stream that an older version had begun to store.
    """

    id: StreamId
    tenant: str
    format: Format
    context: Context  # the newest
    since: int
    offset: int
    admitted_bytes: int = 0  # bytes of chunks that were taken, each once
    records: int = 0  # made of them
    lines: int = 0  # of text in the records: a stack trace is one record of many lines
    last_received_ns: int = 0  # when the last of its bytes came


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StreamAccount)


def encode_accounts(accounts: Mapping[str, StreamAccount]) -> dict[str, bytes]:
    return {key: _encoder.encode(account) for key, account in accounts.items()}


def decode_account(raw: bytes) -> StreamAccount:
    return _decoder.decode(raw)
