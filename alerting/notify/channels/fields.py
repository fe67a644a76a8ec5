"""Mappings of Alertmanager's configuration file become structs; every fault on the way is noted with its path.

Go's YAML reader is what these files were written for: text takes numbers and switches as they are written, durations
are `1h30m`, an empty value is the default, and an unknown field is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NewType, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from alerting.rules.durations import parse_duration_ns
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.settings_fields import Secret, allows_none, bare, members
from deckwatch.runtime.settings_layers import did_you_mean

Seconds = NewType("Seconds", float)
"""Written as a duration: `10s`."""
Url = NewType("Url", str)
"""http:// or https://; it may not be a secret."""
Tmpl = NewType("Tmpl", str)
"""A text template."""
HtmlTmpl = NewType("HtmlTmpl", str)
"""A template of HTML: what it inserts is escaped."""

S = TypeVar("S", bound=msgspec.Struct)
_BAD = object()


class ConfigFault(msgspec.Struct, frozen=True):
    path: str  # `receivers[2].slack_configs[0].api_url`
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class FieldReader:
    """`check` says what is wrong with a template (None: nothing). Relative paths start from `folder`."""

    def __init__(self, folder: Path, check: Callable[[str], str | None]) -> None:
        self._folder = folder
        self._check = check
        self.faults: list[ConfigFault] = []

    def fault(self, path: str, problem: str) -> None:
        self.faults.append(ConfigFault(path, problem))

    def read(self, cls: type[S], data: object, path: str) -> S | None:
        """None: its faults are noted."""
        made = self._struct(cls, data, path)
        return made if isinstance(made, cls) else None

    def _struct(self, cls: type[msgspec.Struct], data: object, path: str) -> object:
        if data is None:
            data = {}
        if not isinstance(data, Mapping):
            return self._bad(path, f"expected a mapping, got {_kind(data)}")
        known = _hints(cls)
        for name in data:
            if name not in known:
                self.fault(f"{path}.{name}", f"unknown field{did_you_mean(str(name), known)}")
        values = {
            attribute: self._value(hint, data[name], f"{path}.{name}")
            for name, (attribute, hint) in known.items()
            if data.get(name) is not None
        }
        if _BAD in values.values():
            return _BAD
        try:
            return cls(**values)
        except ValueError as error:  # of its __post_init__: fields that don't go together
            return self._bad(path, str(error))
        except TypeError as error:
            return self._bad(path, str(error).replace("argument", "field"))

    def _value(self, hint: Any, value: object, path: str) -> Any:
        kind = members(hint)[0] if allows_none(hint) else bare(hint)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(kind, value, path)
        if get_origin(kind) is tuple:
            return self._list(get_args(kind)[0], value, path)
        if get_origin(kind) is dict:
            return self._mapping(get_args(kind)[1], value, path)
        return self._leaf(kind, value, path)

    def _list(self, item: Any, value: object, path: str) -> Any:
        if not isinstance(value, list):
            return self._bad(path, f"expected a list, got {_kind(value)}")
        items = tuple(self._value(item, one, f"{path}[{place}]") for place, one in enumerate(value))
        return _BAD if _BAD in items else items

    def _mapping(self, hint: Any, value: object, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self._bad(path, f"expected a mapping, got {_kind(value)}")
        items = {str(name): self._value(hint, one, f"{path}.{name}") for name, one in value.items()}
        return _BAD if _BAD in items.values() else items

    def _leaf(self, kind: Any, value: object, path: str) -> Any:
        if kind is object:
            return value
        if kind is bool:
            return value if isinstance(value, bool) else self._bad(path, f"expected true or false, got {_kind(value)}")
        if kind is int:
            whole = isinstance(value, int) and not isinstance(value, bool)
            return value if whole else self._bad(path, f"expected a whole number, got {_kind(value)}")
        if isinstance(value, Mapping | list):
            return self._bad(path, f"expected text, got {_kind(value)}")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return self._text(kind, text, path)

    def _text(self, kind: Any, text: str, path: str) -> Any:
        if kind is Secret:
            return Secret(text)
        if kind is Path:
            return self._folder / Path(text).expanduser()
        if kind is Seconds:
            return self._seconds(text, path)
        if kind is Url and not is_http(text):
            return self._bad(path, "expected a URL that starts with http:// or https:// and names a host")
        if kind in (Tmpl, HtmlTmpl) and (problem := self._check(text)):
            return self._bad(path, problem)
        return text

    def _seconds(self, text: str, path: str) -> Any:
        try:
            return parse_duration_ns(text) / 1e9
        except Reject as error:
            return self._bad(path, str(error))

    def _bad(self, path: str, problem: str) -> object:
        self.fault(path, problem)
        return _BAD


def is_http(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not False
    except ValueError:
        return False


@cache
def _hints(cls: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    """Name in the file -> (attribute, type)."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.encode_name: (field.name, hints[field.name]) for field in msgspec.structs.fields(cls)}


def _kind(value: object) -> str:
    """What a value is, without showing it: it may be a secret in the wrong place."""
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
