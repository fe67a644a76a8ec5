"""Dead letters made of what could not be taken, and taken apart again for another try."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collector.accounting.runs import Run
from collector.intake.journal_file import Entry
from collector.parse.input import Accepted
from collector.parse.layout import FORMAT_CODES
from collector.parse.state import OpenStream
from collector.store.embedded.letters import LetterInfo
from collector.store.embedded.manifest import DeadLetter
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, StreamId, StreamInfo

_FORMATS = {code: form for form, code in FORMAT_CODES.items()}


def of_bytes(entry: Entry, batch: Batch, stream: int, start: int, payload: bytes, reason: str) -> DeadLetter:
    """Bytes of a batch, as they came."""
    info = batch.streams[stream]
    span = (start, start + len(payload))
    return _letter(entry, batch.host, info, batch.contexts[info.context], span, payload, reason)


def of_open(entry: Entry, stream: OpenStream, source: str, reason: str) -> Iterator[DeadLetter]:
    """What was kept of a stream from entries before: text without its framing, and a line that has no end yet."""
    for group in stream.groups:
        yield _kept(entry, stream, source, Format.PLAIN, (group.start, group.end), group.text, reason)
    if stream.rest:
        span = (stream.position - len(stream.rest), stream.position)
        yield _kept(entry, stream, source, _FORMATS[stream.format], span, stream.rest, reason)


def of_entry(entry: Entry, reason: str) -> DeadLetter:
    """A whole entry of the journal that can't be read: whose it is isn't known."""
    info = StreamInfo(StreamId("", "journal", ""), "default", Format.PLAIN, 0)
    span = (0, len(entry.payload))
    return msgspec.structs.replace(_letter(entry, "", info, Context(""), span, entry.payload, reason), format="")


def _kept(
    entry: Entry, stream: OpenStream, source: str, form: Format, span: Run, payload: bytes, reason: str
) -> DeadLetter:
    info = StreamInfo(StreamId("", source, ""), stream.tenant, form, 0)
    letter = _letter(entry, stream.context.host, info, stream.context, span, payload, reason)
    return msgspec.structs.replace(letter, key=stream.key)


def _letter(
    entry: Entry, host: str, info: StreamInfo, context: Context, span: Run, payload: bytes, reason: str
) -> DeadLetter:
    """`span`: the bytes of the stream that it stands for."""
    return DeadLetter(
        seq=entry.seq,
        part=0,
        received_ns=entry.received_ns,
        tenant=info.tenant,
        host=host,
        source=info.id.source,
        key=stream_key(info.id),
        start=span[0],
        end=span[1],
        format=info.format,
        context=msgspec.msgpack.encode(context),
        reason=reason,
        attempts=0,
        tried_ns=0,
        payload=payload,
    )


def context_of(letter: DeadLetter | LetterInfo) -> Context:
    """As far as it is known: versions before 2 of the manifest kept none."""
    return msgspec.msgpack.decode(letter.context, type=Context) if letter.context else Context(letter.host)


def accepted(letter: DeadLetter, entry: Entry, form: Format) -> Accepted:
    """As if its bytes came alone in an entry, and nothing behind them."""
    info = StreamInfo(StreamId("", letter.source, ""), letter.tenant, form, 0)
    chunk = Chunk(0, letter.start, 0, 0, letter.payload, eof=True)
    batch = Batch(VERSION, "", letter.host, 0, (context_of(letter),), (info,), (chunk,))
    return Accepted(entry.seq, entry.received_ns, batch, (0,))
