"""The account of a run. Pure: numbers and gaps that the store holds, against what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from agent.tail.framing import possible_generations
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import StreamId
from tests.chaos.ledger import Generation, Ledger, Place
from tests.chaos.stored import DeclaredGap, Numbers

_NAMESAKES = 8
"""Generations that began alike and have names `.1`, `.2`..."""


class Account(msgspec.Struct, frozen=True):
    sent: int
    stored: int
    lost: tuple[int, ...]
    repeated: tuple[int, ...]
    stranger: int = 0  # numbers that nobody wrote

    @property
    def balances(self) -> bool:
        return not (self.lost or self.repeated or self.stranger)

    def __str__(self) -> str:
        return f"sent {self.sent}, stored {self.stored}, lost {len(self.lost)}, repeated {len(self.repeated)}"


class Excuse(msgspec.Struct, frozen=True):
    """Lost numbers, divided: destroyed before anybody could read them and declared; all others."""

    excused: tuple[int, ...]
    unexcused: tuple[int, ...]
    excused_bytes: int
    undeclared: int  # of the unexcused: destroyed, but no gap says so
    idle_gaps: tuple[DeclaredGap, ...]  # declare what isn't lost


def account(sent: int, numbers: Numbers, *, copied: int = 0) -> Account:
    """`copied`: numbers below it stand on two disks and may be there twice."""
    counts = np.bincount(numbers, minlength=sent)
    lost = tuple(np.flatnonzero(counts[:sent] == 0).tolist())
    most = np.where(np.arange(sent) < copied, 2, 1)
    repeated = tuple(np.flatnonzero(counts[:sent] > most).tolist())
    return Account(sent, int(numbers.size), lost, repeated, int(counts[sent:].sum()))


KeysOf = Callable[[Generation], frozenset[str]]


def keys_of(agents: Sequence[str], source: Callable[[str], str] = str) -> KeysOf:
    """Every key that a generation's stream can have been given by one of these agent instances. `source`: the name of
    the source at a path."""
    known: dict[int, frozenset[str]] = {}

    def keys(generation: Generation) -> frozenset[str]:
        if id(generation) not in known:
            names = [
                f"{name}{suffix}"
                for name in possible_generations(bytes(generation.head))
                for suffix in ("", *(f".{n}" for n in range(1, _NAMESAKES)))
            ]
            known[id(generation)] = frozenset(
                stream_key(StreamId(agent, source(generation.path), name)) for agent in agents for name in names
            )
        return known[id(generation)]

    return keys


def covers(gap: DeclaredGap, place: Place, keys: frozenset[str]) -> bool:
    return gap.key in keys and gap.start < place.end and (gap.end < 0 or gap.end > place.start)


def excuse(lost: Sequence[int], ledger: Ledger, gaps: Sequence[DeclaredGap], keys: KeysOf) -> Excuse:
    excused: list[int] = []
    unexcused: list[int] = []
    size = undeclared = 0
    used: set[DeclaredGap] = set()
    by_key: dict[str, list[DeclaredGap]] = {}
    for gap in gaps:
        by_key.setdefault(gap.key, []).append(gap)
    for number in lost:
        place = ledger.place(number)
        of_stream = keys(place.generation)
        fitting = [gap for key in of_stream & by_key.keys() for gap in by_key[key] if covers(gap, place, of_stream)]
        used.update(fitting)
        if place.was_destroyed and fitting:
            excused.append(number)
            size += place.end - place.start
        else:
            unexcused.append(number)
            undeclared += place.was_destroyed
    idle = tuple(gap for gap in gaps if gap not in used)
    return Excuse(tuple(excused), tuple(unexcused), size, undeclared, idle)
