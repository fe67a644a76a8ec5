"""File, environment and command line laid over each other, each value with the place that it came from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from deckwatch.runtime.config_file import ConfigFile, Steps
from deckwatch.runtime.settings_fields import ENV_PREFIX, allows_none, group_of, items_of, options, values_of

SECTIONS = ("agent", "collector", "alerting")
"""Top-level names of a configuration file."""

Sections = Mapping[str, type[msgspec.Struct]]


class SettingFault(msgspec.Struct, frozen=True):
    option: str  # dotted path; items of lists by their number
    origin: str  # `line 7`, `DECKWATCH_AGENT__LISTEN`, `command line`
    problem: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.option}: {self.problem}"


class Origin(msgspec.Struct, frozen=True):
    text: str
    is_text: bool = False  # from the environment: numbers and switches come as text


class Layers:
    """File, environment and command line laid over each other; each value knows where it came from."""

    def __init__(self, parts: Sections) -> None:
        self._parts = parts
        self.data: dict[str, Any] = {}
        self.origins: dict[Steps, Origin] = {}
        self.faults: list[SettingFault] = []

    def add_file(self, config: ConfigFile) -> None:
        for steps, line in config.repeated:
            self._fault(steps, f"line {line}", "given twice")
        self.origins |= {steps: Origin(f"line {line}") for steps, line in config.lines.items()}
        for name, section in config.data.items():
            if name in self._parts:
                self.data[name] = _copy(section)
                self.origins.setdefault((name,), Origin(config.path.name))
            elif name not in SECTIONS:
                origin = self.origins.get((str(name),), Origin(config.path.name))
                self._fault((str(name),), origin.text, f"unknown section{did_you_mean(str(name), SECTIONS)}")

    def add_env(self, env: Mapping[str, str]) -> None:
        prefixes = tuple(f"{ENV_PREFIX}{name.upper()}__" for name in self._parts)
        for name in sorted(name for name in env if name.startswith(prefixes)):
            steps = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
            hint = self._hint(steps, name)
            if hint is not None:
                self._put(steps, _read_text(hint, env[name]), Origin(name, is_text=True))

    def add_overrides(self, overrides: Mapping[str, object]) -> None:
        for path, value in overrides.items():
            steps = tuple(path.split("."))
            if self._hint(steps, "command line") is not None:
                self._put(steps, value, Origin("command line"))

    def _hint(self, steps: Steps, origin: str) -> Any | None:
        """The type of the option at `steps`; None, with a fault noted, where there is no such option."""
        cls: type[msgspec.Struct] | None = self._parts.get(steps[0])
        hint: Any = cls
        for depth, name in enumerate(steps[1:], start=1):
            known = options(cls) if cls else {}
            if name not in known:
                self._fault(steps[: depth + 1], origin, f"unknown option{did_you_mean(name, known)}")
                return None
            hint = known[name].hint
            cls = group_of(hint)
        if cls is not None:
            self._fault(steps, origin, f"is a group; set one of its options: {', '.join(options(cls))}")
            return None
        return hint

    def _put(self, steps: Steps, value: object, origin: Origin) -> None:
        at = self.data
        for name in steps[:-1]:
            below = at.get(name)
            if not isinstance(below, dict):
                below = at[name] = {}
            at = below
        at[steps[-1]] = value
        self.origins = {known: place for known, place in self.origins.items() if known[: len(steps)] != steps}
        self.origins[steps] = origin

    def _fault(self, steps: Steps, origin: str, problem: str) -> None:
        self.faults.append(SettingFault(".".join(steps), origin, problem))


def _read_text(hint: Any, text: str) -> object:
    """An environment variable as what a file would hold there: lists and mappings are written as text too."""
    item = items_of(hint)
    if item is None and values_of(hint) is None:
        return None if text in ("", "null") and allows_none(hint) else text
    if item is not None and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    import yaml  # not held by an agent that needs none

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # not of the expected type, so the option's own fault says what is expected


def did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known) or 'nothing'}"


def _copy(value: Any) -> Any:
    """Containers are copied, so that overrides never write into what a YAML alias shares."""
    if isinstance(value, dict):
        return {key: _copy(below) for key, below in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
