"""What a settings struct says about its options: names, units, help, constraints; quantities as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

ENV_PREFIX = "DECKWATCH_"
SECRET_NAME = re.compile(r"(?:^|_)(?:token|password|passphrase|secret|api_key|bearer)$")

_SECONDS = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_QUANTITY = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")

UNITS = {
    "_per_s": "per second",
    "_bytes": "bytes",
    "_ms": "milliseconds",
    "_ns": "nanoseconds",
    "_s": "seconds",
    "_percent": "percent",
    "_ratio": "0 to 1",
    "_days": "days",
}


class Secret:
    """Text that never shows itself: not in logs, errors, reprs or `config show`. `reveal()` at the point of use."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Option(msgspec.Struct, frozen=True):
    """One field of a settings struct."""

    name: str
    hint: Any  # its type, constraints included
    help: str
    required: bool
    default: Any  # None where it is required
    secret: bool

    @property
    def unit(self) -> str:
        return unit_of(self.name)


@cache
def options(cls: type[msgspec.Struct]) -> dict[str, Option]:
    """The fields of a settings struct by name, in their order."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: _option(field, hints[field.name]) for field in msgspec.structs.fields(cls)}


def _option(field: msgspec.structs.FieldInfo, hint: Any) -> Option:
    default = None if field.default is msgspec.NODEFAULT else field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    help_text = " ".join(str(meta.description) for meta in metas(hint) if meta.description)
    secret = Secret in {bare(member) for member in members(hint)} or bool(SECRET_NAME.search(field.name))
    return Option(field.name, hint, help_text, field.required, default, secret)


def metas(hint: Any) -> tuple[msgspec.Meta, ...]:
    if get_origin(hint) is not Annotated:
        return ()
    return tuple(extra for extra in get_args(hint)[1:] if isinstance(extra, msgspec.Meta))


def bare(hint: Any) -> Any:
    """The type without what Annotated put around it."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def members(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union, None left out; the type itself where it is none."""
    kind = bare(hint)
    if get_origin(kind) in (Union, UnionType):
        return tuple(member for member in get_args(kind) if member is not NoneType)
    return (kind,)


def allows_none(hint: Any) -> bool:
    return NoneType in get_args(bare(hint)) or bare(hint) is NoneType


def group_of(hint: Any) -> type[msgspec.Struct] | None:
    """The struct that a field nests, None where it is a plain option."""
    for member in members(hint):
        if isinstance(bare(member), type) and issubclass(bare(member), msgspec.Struct):
            return bare(member)  # type: ignore[no-any-return]
    return None


def items_of(hint: Any) -> Any | None:
    """The type of the items of a list-like field, None where it is no list."""
    for member in members(hint):
        if get_origin(bare(member)) in (tuple, list, frozenset, set):
            return get_args(bare(member))[0]
    return None


def values_of(hint: Any) -> Any | None:
    """The type of the values of a mapping field, None where it is no mapping."""
    for member in members(hint):
        if get_origin(bare(member)) in (dict, Mapping):
            return get_args(bare(member))[1]
    return None


def unit_of(name: str) -> str:
    return next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")


def quantity(name: str, value: object) -> object:
    """`"10s"` and `"64MiB"` as plain numbers, by the unit that the option's name ends in; anything else as it came."""
    scale = _BYTES if name.endswith("_bytes") else _SECONDS if unit_of(name) == "seconds" else None
    found = _QUANTITY.fullmatch(value) if scale and isinstance(value, str) else None
    if scale is None or found is None or found[2].lower() not in scale:
        return value
    number = float(found[1]) * scale[found[2].lower()]
    return int(number) if number.is_integer() else number


def env_name(path: tuple[str, ...]) -> str:
    """`agent.ship.batch_bytes` is overridden by DECKWATCH_AGENT__SHIP__BATCH_BYTES: two underscores go down a group."""
    return ENV_PREFIX + "__".join(path).upper()


_SIMPLE = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path", Secret: "text"}


def expectation(name: str, hint: Any) -> str:
    """What an option takes, in words: `a whole number >= 1 (bytes, or like 64MiB)`."""
    words = " or ".join([_kind(member) for member in members(hint)] + (["null"] if allows_none(hint) else []))
    bounds = " and ".join(_bounds(hint))
    example = {"seconds": ", or like 10s", "bytes": ", or like 64MiB"}.get(unit_of(name), "")
    unit = f" ({unit_of(name)}{example})" if unit_of(name) else ""
    return f"{words}{' ' if bounds else ''}{bounds}{unit}"


def _kind(hint: Any) -> str:
    kind = bare(hint)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(choice.value) for choice in kind)
    if (item := items_of(kind)) is not None:
        return "a list of groups" if group_of(item) else f"a list of: {_kind(item)}"
    if (value := values_of(kind)) is not None:
        return f"names, each with {_kind(value)}"
    return "a group of options" if group_of(kind) else str(kind)


def _bounds(hint: Any) -> Iterator[str]:
    inner = [meta for member in members(hint) for meta in metas(member)]
    for meta in (*metas(hint), *inner):
        for sign, bound in ((">=", meta.ge), (">", meta.gt), ("<=", meta.le), ("<", meta.lt)):
            if bound is not None:
                yield f"{sign} {bound}"
        if meta.min_length is not None:
            yield f"of length >= {meta.min_length}"
        if meta.max_length is not None:
            yield f"of length <= {meta.max_length}"
        if meta.pattern is not None:
            yield f"matching {meta.pattern}"
