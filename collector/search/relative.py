"""Bounds that hang on the moment of asking: `now`, `now-15m`. Pure: whoever asks says what now is.

They stand in the tree as they were written, so that one text parses to one tree, and are replaced before it runs.
"""

from __future__ import annotations

import re

import msgspec

from collector.search import query as q
from deckwatch.runtime.times import rfc3339, time_ns

_RELATIVE = re.compile(r"now(?: ?[+-].*)?")


def is_relative(bound: str) -> bool:
    return _RELATIVE.fullmatch(bound) is not None


def relative_bound(query: q.Query) -> str | None:
    """One that stands in the query."""
    for leaf in q.walk(query):
        for bound in (leaf.low, leaf.high) if isinstance(leaf, q.Range) else ():
            if bound is not None and is_relative(bound):
                return bound
    return None


def resolved(query: q.Query, now_ns: int) -> q.Query:
    """With absolute times in their place. Raises Reject where one can't be read."""
    match query:
        case q.And(parts):
            return q.And(tuple(resolved(part, now_ns) for part in parts))
        case q.Or(parts):
            return q.Or(tuple(resolved(part, now_ns) for part in parts))
        case q.Not(part):
            return q.Not(resolved(part, now_ns))
        case q.Range(_, low, high):
            return msgspec.structs.replace(query, low=_absolute(low, now_ns), high=_absolute(high, now_ns))
    return query


def _absolute(bound: str | None, now_ns: int) -> str | None:
    return rfc3339(time_ns(bound, now_ns)) if bound is not None and is_relative(bound) else bound
