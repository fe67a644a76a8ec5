"""Settings as a commented YAML file: what `deckwatch config show` prints, and what a user starts a file from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import yaml

from deckwatch.runtime.settings_fields import (
    Option,
    Secret,
    env_name,
    expectation,
    group_of,
    items_of,
    options,
    values_of,
)

_WIDTH = 100


def show(cls: type[msgspec.Struct], value: msgspec.Struct | None = None, *, section: str) -> str:
    """Every option with its value (or default), what it takes, its help and its environment variable; no secrets.

    The text is valid YAML and loads again to the same settings, but for secrets, which stand commented out.
    """
    return "\n".join([f"{section}:", *_group(cls, value, (section,))]) + "\n"


def _group(cls: type[msgspec.Struct], value: msgspec.Struct | None, steps: tuple[str, ...]) -> Iterator[str]:
    indent = "  " * len(steps)
    for option in options(cls).values():
        at = (*steps, option.name)
        nested = group_of(option.hint)
        current = option.default if value is None else getattr(value, option.name)
        if nested and (current is not None or option.required):
            yield from (f"{indent}# {line}" for line in _wrapped(option.help, indent))
            yield f"{indent}{option.name}:"
            yield from _group(nested, current, at)
        else:
            yield from (f"{indent}# {line}" for line in _about(option, at, indent))
            yield from _line(option, current, indent, shown=value is not None)


def _about(option: Option, steps: tuple[str, ...], indent: str) -> Iterator[str]:
    yield from _wrapped(option.help, indent)
    yield f"[{expectation(option.name, option.hint)}] {env_name(steps)}"
    item = group_of(items_of(option.hint) or values_of(option.hint))
    for below in options(item).values() if item else ():
        required = ", required" if below.required else ""
        yield from _hanging(f"- {below.name}: {below.help} [{expectation(below.name, below.hint)}{required}]", indent)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)


def _hanging(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH - len(indent), subsequent_indent="    ", break_long_words=False)


def _line(option: Option, current: object, indent: str, *, shown: bool) -> Iterator[str]:
    if option.secret:
        state = "set, not shown" if current else "not set"
        yield f"{indent}# {option.name}: ({state})"
    elif option.required and not shown:
        yield f"{indent}# {option.name}: (required)"
    else:
        yield f"{indent}{option.name}: {_scalar(current)}"


def _scalar(value: object) -> str:
    """In YAML's flow style, on one line."""
    text = yaml.safe_dump(_plain(value), default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: object) -> Any:
    if isinstance(value, msgspec.Struct):
        known = options(type(value))
        return {name: _plain(getattr(value, name)) for name, option in known.items() if not option.secret}
    if isinstance(value, dict):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path | Secret) else value
