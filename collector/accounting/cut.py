"""What the pipeline's thread holds between two entries of the journal: the one place where nothing is on its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from collector.accounting.account import StreamAccount
from collector.accounting.runs import Run, Runs, joined
from collector.store.embedded.manifest import DeadLetter, GapRow
from collector.store.embedded.snapshot import Snapshot


class Cut(msgspec.Struct, frozen=True):
    """`gaps` and `dead_letters` are those that may not be in the manifest yet; some of them may be there already."""

    seq: int
    snapshot: Snapshot
    accounts: Mapping[str, StreamAccount]
    open: Mapping[str, Runs]
    gaps: tuple[GapRow, ...]
    dead_letters: Mapping[str, Runs]


def letter_runs(*several: Iterable[DeadLetter]) -> dict[str, Runs]:
    """The bytes of each stream that are kept as dead letters."""
    runs: dict[str, list[Run]] = {}
    for letters in several:
        for letter in letters:
            runs.setdefault(letter.key, []).append((letter.start, letter.end))
    return {key: joined(found) for key, found in runs.items()}
