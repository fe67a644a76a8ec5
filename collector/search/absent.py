"""What a query asks of fields that may be missing: which leaves to look at, what is near a name, and how it is told.

A name that no record has is no fault (it may come), but hardly ever what was meant: so it is told beside the answer.
Names and values of fields are compared case and all, as Elasticsearch's keywords are; what differs only in case is
named first.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

from collector.search import query as q
from collector.search.fields import SHORT_NAMES, Kind, kind_of

MOST_TOLD = 5
_MOST_NEAR = 3
_MOST_KNOWN = 5000  # names or values that are compared
_LONGEST = 80

_SHORT = {full: short for short, full in SHORT_NAMES.items()}


class Absent(msgspec.Struct, frozen=True):
    """A field that no record in the range has or, with `value`, a value that none has in that field."""

    field: str  # its full name
    value: str | None = None
    nearest: tuple[str, ...] = ()  # names, or values, that are there


class Notice(msgspec.Struct, frozen=True):
    field: str
    message: str
    nearest: tuple[str, ...] = ()


FieldLeaf = q.Term | q.Wildcard | q.Regex | q.Range | q.Exists


def asked_fields(query: q.Query) -> list[FieldLeaf]:
    """The leaves about fields that a record may lack, each once, in their order."""
    leaves: dict[FieldLeaf, None] = {}
    for leaf in q.walk(query):
        if isinstance(leaf, FieldLeaf) and kind_of(leaf.field) in (Kind.BODY, Kind.ORIGIN):
            leaves[leaf] = None
    return list(leaves)


def value_of(leaf: FieldLeaf) -> str | None:
    """As it was written, more or less; None where any value would do."""
    match leaf:
        case q.Term(_, value):
            return value
        case q.Wildcard(_, pattern):
            return "".join(p if isinstance(p, str) else "*" if p == q.AnyRun() else "?" for p in pattern)
        case q.Regex(_, pattern):
            return f"/{pattern}/"
    return None


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Those that differ in case only, those of which it is a part (`user` of `user.name`), those spelt alike."""
    names = [one for _, one in zip(range(_MOST_KNOWN), known, strict=False)]
    wanted = name.casefold()
    found = [one for one in names if one.casefold() == wanted]
    parts = [one for one in names if f".{wanted}." in f".{one.casefold()}." and one not in found]
    found += sorted(parts, key=len)
    spelt = {one.casefold(): one for one in names}
    found += [
        spelt[close]
        for close in difflib.get_close_matches(wanted, list(spelt), n=_MOST_NEAR, cutoff=0.6)
        if spelt[close] not in found
    ]
    return tuple(found[:_MOST_NEAR])


def notice(absent: Absent, query: q.Query) -> Notice:
    """`query`: what was asked, for the way to find the same as text."""
    shown = _SHORT.get(absent.field, absent.field)
    if absent.value is None:
        text = f"no record in this range has a field {shown[:_LONGEST]!r}"
    else:
        text = f"no record in this range has the {shown} {absent.value[:_LONGEST]!r} (case matters)"
    if absent.nearest:
        text += f"; there is {', '.join(one[:_LONGEST] for one in absent.nearest)}"
    if absent.value is None and (written := _as_text(absent.field, query)):
        text += f'; to find it as text, quote it: "{written}"'
    return Notice(absent.field, text, absent.nearest)


def _as_text(field: str, query: q.Query) -> str:
    for leaf in q.walk(query):
        if isinstance(leaf, q.Term) and leaf.field == field and kind_of(field) is Kind.BODY and '"' not in leaf.value:
            return f"{field}:{leaf.value}"[:_LONGEST]
    return ""
