"""Which fields and values of a query no record in a time range has, at a bounded cost.

Origins tell about their fields by themselves. A field of bodies is looked for in the newest few of the blocks whose
word filters know its name (20 ms each, once: it is remembered as long as the block lives). Where those blocks say
nothing, the field counts as known: a notice must never be wrong.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from weakref import WeakKeyDictionary

import msgspec

from collector.parse.fields import body_fields
from collector.search import query as q
from collector.search.absent import MOST_TOLD, Absent, FieldLeaf, asked_fields, nearest, value_of
from collector.search.fields import BODY, Kind, kind_of, origin_fields, public_name
from collector.search.plan import compile
from collector.store.embedded import scan
from collector.store.embedded.scan import Plan
from collector.store.embedded.snapshot import Block, Snapshot
from deckwatch.runtime.times import MAX_NS, MIN_NS

_MOST_BLOCKS = 4
_MOST_BODIES = 500  # of a block
_MOST_REMEMBERED = 1000  # fields of a block
_FEW_VALUES = 3  # are all named where none is near
_CONTAINER_ID = re.compile(r"[0-9a-f]{8,64}")


class _Seen:
    """What is known of a block: it never changes."""

    def __init__(self) -> None:
        self.fields: dict[str, bool] = {}  # has any of its rows the field?
        self.names: frozenset[str] | None = None  # of some of its bodies' fields


class Absence:
    """Called in threads. A block that can't be read raises as everywhere."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[Block, _Seen] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def look(self, snapshot: Snapshot, tenant: str, query: q.Query, start_ns: int, end_ns: int) -> list[Absent]:
        leaves = asked_fields(query)
        if not leaves:
            return []
        everything = scan.plan(snapshot, tenant, q.All(), start_ns, end_ns)
        if not everything.blocks:
            return []  # nothing is there at all: that is another message
        missing = {field: self._is_missing(snapshot, tenant, field, everything) for field in _fields(leaves)}
        names = self._names(everything) if any(missing.values()) else ()
        found = [Absent(field, None, nearest(field, names)) for field, gone in missing.items() if gone]
        values = (_absent_value(leaf, everything) for leaf in leaves if not missing[leaf.field])
        return (found + [absent for absent in values if absent is not None])[:MOST_TOLD]

    def _is_missing(self, snapshot: Snapshot, tenant: str, field: str, everything: Plan) -> bool:
        if kind_of(field) is Kind.ORIGIN:
            return not any(field in origin_fields(origin) for origin in everything.origins.values())
        plan = scan.plan(snapshot, tenant, q.Exists(field), everything.start_ns, everything.end_ns)
        held = {block: self._of(block).fields.get(field, False) for block in plan.blocks}
        blocks = sorted(plan.blocks, key=lambda block: (held[block], block.stats.max_ts), reverse=True)
        if any(self._has(block, field, plan) for block in blocks[:_MOST_BLOCKS]):
            return False
        return len(blocks) <= _MOST_BLOCKS

    def _has(self, block: Block, field: str, plan: Plan) -> bool:
        fields = self._of(block).fields
        if field not in fields:
            if len(fields) >= _MOST_REMEMBERED:
                fields.clear()
            fields[field] = scan.count(msgspec.structs.replace(plan, start_ns=MIN_NS, end_ns=MAX_NS), block) > 0
        if not fields[field] or _lies_in(block, plan):
            return fields[field]
        return scan.count(plan, block) > 0

    def _names(self, everything: Plan) -> list[str]:
        """Of origins' fields, and of bodies' in the newest blocks, as they are asked for."""
        names = {name for origin in everything.origins.values() for name in origin_fields(origin)}
        for block in sorted(everything.blocks, key=lambda block: block.stats.max_ts, reverse=True)[:_MOST_BLOCKS]:
            seen = self._of(block)
            if seen.names is None:
                seen.names = _body_names(block, everything)
            names |= seen.names
        return sorted(names)

    def _of(self, block: Block) -> _Seen:
        with self._lock:
            return self._seen.setdefault(block, _Seen())


def _lies_in(block: Block, plan: Plan) -> bool:
    return plan.start_ns <= block.stats.min_ts and block.stats.max_ts < plan.end_ns


def _fields(leaves: Iterable[FieldLeaf]) -> list[str]:
    return list(dict.fromkeys(leaf.field for leaf in leaves))


def _absent_value(leaf: FieldLeaf, everything: Plan) -> Absent | None:
    """Of origins' fields alone, whose values are few."""
    value = value_of(leaf)
    if value is None or kind_of(leaf.field) is not Kind.ORIGIN or _is_one_of_several(leaf, value):
        return None
    values = {origin_fields(origin).get(leaf.field, "") for origin in everything.origins.values()} - {""}
    if compile(leaf, everything.origins).origin_ids or _is_untagged(leaf.field, value, values):
        return None
    few = tuple(sorted(values)) if len(values) <= _FEW_VALUES else ()
    return Absent(leaf.field, value, nearest(value, sorted(values)) or few)


def _is_one_of_several(leaf: FieldLeaf, value: str) -> bool:
    """The language asks for an image with any tag, and the client for a container's name or id, by several leaves: what
    one of them doesn't find is no news."""
    if leaf.field in ("container.id", "container.image.name"):
        return not isinstance(leaf, q.Term) or leaf.field == "container.id"
    return leaf.field == "container.name" and _CONTAINER_ID.fullmatch(value) is not None


def _is_untagged(field: str, value: str, values: set[str]) -> bool:
    return field == "container.image.name" and any(one.startswith((f"{value}:", f"{value}@")) for one in values)


def _body_names(block: Block, plan: Plan) -> frozenset[str]:
    whole = msgspec.structs.replace(plan, start_ns=MIN_NS, end_ns=MAX_NS)
    return frozenset(
        public_name(name).removeprefix(BODY)
        for message, body in scan.some_bodies(whole, block, _MOST_BODIES).iter_rows()
        for name in body_fields(message, body)
    )
