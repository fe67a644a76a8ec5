"""Plain data becomes settings structs; every fault on the way is noted instead of stopping at the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from deckwatch.runtime.config_file import Steps
from deckwatch.runtime.settings_fields import (
    Option,
    Secret,
    allows_none,
    env_name,
    expectation,
    group_of,
    items_of,
    options,
    quantity,
    values_of,
)
from deckwatch.runtime.settings_layers import Origin, SettingFault, did_you_mean

BAD = object()
"""Stands where a value could not be made; its faults are noted."""


class Filler:
    """Turns plain data into structs and notes every fault on the way instead of stopping at the first."""

    def __init__(self, origins: Mapping[Steps, Origin]) -> None:
        self._origins = origins
        self.faults: list[SettingFault] = []

    def group(self, cls: type[msgspec.Struct], steps: Steps, data: object) -> Any:
        """A struct, or BAD with the faults noted."""
        if data is None:
            data = {}
        if not isinstance(data, dict):
            return self._fault(steps, f"expected a group of options, got {_shown(data)}")
        known = options(cls)
        for name in data:
            if name not in known:
                self._fault((*steps, str(name)), f"unknown option{did_you_mean(str(name), known)}")
        filled = {name: self._option(option, (*steps, name), data) for name, option in known.items()}
        if any(value is BAD for value in filled.values()):
            return BAD
        try:
            return cls(**filled)
        except ValueError as error:  # from the struct's own __post_init__: options that don't go together
            return self._fault(steps, str(error))

    def _option(self, option: Option, steps: Steps, data: Mapping[str, object]) -> Any:
        nested = group_of(option.hint)
        if option.name not in data:
            if nested and option.default is None and not allows_none(option.hint):
                return self.group(nested, steps, None)
            missing = f"required; set it, or {env_name(steps)} in the environment"
            return self._fault(steps, missing) if option.required else option.default
        return self._value(option, option.hint, steps, data[option.name])

    def _value(self, option: Option, hint: Any, steps: Steps, value: object) -> Any:
        nested = group_of(hint)
        if nested and not (value is None and allows_none(hint)):
            return self.group(nested, steps, value)
        item, below = items_of(hint), values_of(hint)
        if item is not None and isinstance(value, list | tuple):
            found = [self._value(option, item, (*steps, str(n)), entry) for n, entry in enumerate(value)]
            return BAD if BAD in found else self._leaf(option, hint, steps, found)
        if below is not None and group_of(below) and isinstance(value, dict):
            named = {str(n): self._value(option, below, (*steps, str(n)), entry) for n, entry in value.items()}
            return BAD if BAD in named.values() else named
        return self._leaf(option, hint, steps, value)

    def _leaf(self, option: Option, hint: Any, steps: Steps, value: object) -> Any:
        number = quantity(option.name, value)
        if isinstance(number, float) and not math.isfinite(number):
            return self._fault(steps, f"expected {expectation(option.name, hint)}, got {number}")
        try:
            strict = not self._origin(steps).is_text
            return msgspec.convert(number, hint, strict=strict, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError):
            got = "a value that is not shown" if option.secret else _shown(value)
            return self._fault(steps, f"expected {expectation(option.name, hint)}, got {got}")

    def _origin(self, steps: Steps) -> Origin:
        """Where a value was given; the nearest group around it where only that is known."""
        near = (self._origins.get(steps[:length]) for length in range(len(steps), 0, -1))
        return next((origin for origin in near if origin), Origin("nowhere set"))

    def _fault(self, steps: Steps, problem: str) -> Any:
        self.faults.append(SettingFault(".".join(steps), self._origin(steps).text, problem))
        return BAD


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if isinstance(value, kind):
        return value
    raise ValueError(f"not a {kind}")


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    kind = "a group " if isinstance(value, dict) else "a list " if isinstance(value, list) else ""
    return kind + (text if len(text) <= 60 else text[:57] + "...")
