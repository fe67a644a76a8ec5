"""Dead letters tried again. The wish is journaled, so that a replay does the same: a letter goes in the transaction
that stores its records, or stays with the new reason."""

from __future__ import annotations

import logging
from collections.abc import Collection

import msgspec
import polars as pl

from collector.deadletters.letter import accepted
from collector.intake.journal_file import Entry
from collector.parse.frame import together
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.records import RecordFrame
from collector.store.embedded.letter_changes import Tried
from collector.store.embedded.letters import Letters
from collector.store.embedded.manifest import DeadLetter
from deckwatch.runtime.faults import Reject
from deckwatch.wire.codec import unpack_frames
from deckwatch.wire.model import Format, Frame

log = logging.getLogger(__name__)


class Wish(msgspec.Struct, frozen=True, array_like=True):
    """The payload of a journal entry."""

    ids: tuple[str, ...]
    form: Format | None = None  # how to read the bytes; None: as what they claimed to be


class Outcome(msgspec.Struct, frozen=True):
    id: str
    records: int  # records, or samples and events, that it became
    error: str = ""  # why it stays; empty: it is one no more


class Redriven(msgspec.Struct, frozen=True):
    frame: RecordFrame
    frames: tuple[tuple[str, Frame], ...]  # (host, samples or event)
    outcomes: tuple[Outcome, ...]

    @property
    def done(self) -> list[str]:
        return [one.id for one in self.outcomes if not one.error]

    def tried(self, at_ns: int) -> list[Tried]:
        return [Tried(one.id, at_ns, one.error) for one in self.outcomes if one.error and one.error != GONE]


GONE = "there is no such dead letter any more"


def redrive(
    entry: Entry, wish: Wish, letters: Letters, settings: ParseSettings, *, in_flight: Collection[str]
) -> Redriven:
    """`in_flight`: letters that became records already and whose sealing is not committed yet."""
    records: list[RecordFrame] = []
    frames: list[tuple[str, Frame]] = []
    outcomes: list[Outcome] = []
    for id_ in dict.fromkeys(wish.ids):
        letter = None if id_ in in_flight else letters.get(id_)
        if letter is None:
            outcomes.append(Outcome(id_, 0, GONE))
            continue
        try:
            form = wish.form or _form(letter)
            if form is Format.FRAMES:
                told = list(unpack_frames(letter.payload))
                frames += [(letter.host, frame) for frame in told]
                outcomes.append(Outcome(id_, len(told)))
            else:
                frame = _spanning(letter, _under(letter.key, Parser(settings).parse(accepted(letter, entry, form))))
                records.append(frame)
                outcomes.append(Outcome(id_, frame.rows.height))
        except Exception as fault:
            # As at the first time: a fault over somebody's bytes is no reason to stop, and the bytes stay.
            log.warning("dead letter %s can't be taken this time either: %s", id_, fault)
            outcomes.append(Outcome(id_, 0, f"{type(fault).__name__}: {fault}"))
    return Redriven(together(entry.seq, entry.received_ns, records), tuple(frames), tuple(outcomes))


def _under(key: str, frame: RecordFrame) -> RecordFrame:
    """Its records belong to the stream that the letter came from: there they are looked for and accounted."""
    origins = tuple(msgspec.structs.replace(origin, key=key) for origin in frame.origins)
    return msgspec.structs.replace(frame, origins=origins)


def _spanning(letter: DeadLetter, frame: RecordFrame) -> RecordFrame:
    """Its records take all of the bytes that it stands for, though its text may be shorter: the last one ends there."""
    if letter.end == letter.start + len(letter.payload) or frame.rows.is_empty():
        return frame
    is_last = pl.col("start") == pl.col("start").max()
    ends = pl.when(is_last).then(pl.lit(letter.end, pl.Int64)).otherwise(pl.col("end"))
    return msgspec.structs.replace(frame, rows=frame.rows.with_columns(ends.alias("end")))


def _form(letter: DeadLetter) -> Format:
    try:
        return Format(letter.format)
    except ValueError:
        raise Reject("what it claimed to be is not known: say how to read it (as=plain, ...)") from None
