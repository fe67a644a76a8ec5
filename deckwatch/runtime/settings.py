"""Loading of settings: structs filled from a file, the environment and the command line, all faults reported at once.

Settings are frozen msgspec structs, nested; each field is `Annotated[T, msgspec.Meta(description=..., ge=...)] =
default`, with its unit in its name. A file has one section for each part (`agent:`, `collector:`, `alerting:`), so
that one file can serve `deckwatch up` and each daemon alone; a daemon reads its own sections and leaves the others.

Precedence: command line, environment, file, default. An option `agent.ship.batch_bytes` is overridden by
`DECKWATCH_AGENT__SHIP__BATCH_BYTES`: upper case, two underscores between a group and what is in it. An environment
value is text for text options, `true`/`false` for switches, a number or quantity for numbers, `null` where the option
may be null, and a comma list or a YAML flow list for lists (`[{name: a, url: b}]` for a list of groups).

Options whose names end in `_s` or `_bytes` take plain numbers or quantities: `90`, `"10s"`, `"1h"`, `"64MiB"`, `"1GB"`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from deckwatch.runtime.config_file import ConfigFile, Steps, read_config
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.settings_fields import (
    ENV_PREFIX,
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
from deckwatch.runtime.settings_show import show

__all__ = ["SECTIONS", "BadSettings", "Loaded", "Secret", "Sections", "SettingFault", "load", "load_all", "show"]

SECTIONS = ("agent", "collector", "alerting")
"""Top-level names of a configuration file."""

Sections = Mapping[str, type[msgspec.Struct]]
S = TypeVar("S", bound=msgspec.Struct)
_BAD = object()


class Loaded(dict[str, msgspec.Struct]):
    """Settings by section."""

    def of(self, cls: type[S]) -> S:
        """The section that is filled with this struct."""
        return next(value for value in self.values() if isinstance(value, cls))


class SettingFault(msgspec.Struct, frozen=True):
    option: str  # dotted path; items of lists by their number
    origin: str  # `line 7`, `DECKWATCH_AGENT__LISTEN`, `command line`
    problem: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.option}: {self.problem}"


class BadSettings(Unusable):
    """Every fault that a file, the environment and the command line hold together."""

    def __init__(self, faults: Iterable[SettingFault], file: Path | None) -> None:
        self.faults = tuple(faults)
        count = f"{len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}"
        head = f"{file}: {count} in the settings" if file else f"{count} in the settings"
        sections = sorted({fault.option.split(".")[0] for fault in self.faults} & set(SECTIONS)) or [""]
        shows = " or ".join(f"`{f'deckwatch config show {section}'.strip()}`" for section in sections)
        super().__init__("\n  ".join([head, *map(str, self.faults)]) + f"\n{shows} lists every option.")


def load(
    cls: type[S],
    *,
    section: str,
    file: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> S:
    """The settings of one part. `overrides` are the command line's, by dotted path with the section in front.

    Raises BadSettings (Unusable) with every fault found, or Unusable where the file can't be read at all.
    """
    return load_all({section: cls}, file=file, env=env, overrides=overrides).of(cls)


def load_all(
    parts: Sections,
    *,
    file: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Loaded:
    """As `load`, for several sections of one file; the faults of all are reported together."""
    config = read_config(file) if file else None
    layers = _Layers(parts)
    if config:
        layers.add_file(config)
    layers.add_env(env or {})
    layers.add_overrides(overrides or {})
    filler = _Filler(layers.origins)
    filled = Loaded((name, filler.group(cls, (name,), layers.data.get(name))) for name, cls in parts.items())
    if faults := layers.faults + filler.faults:
        raise BadSettings(faults, file)
    return filled


class _Origin(msgspec.Struct, frozen=True):
    text: str
    is_text: bool = False  # from the environment: numbers and switches come as text


class _Layers:
    """File, environment and command line laid over each other; each value knows where it came from."""

    def __init__(self, parts: Sections) -> None:
        self._parts = parts
        self.data: dict[str, Any] = {}
        self.origins: dict[Steps, _Origin] = {}
        self.faults: list[SettingFault] = []

    def add_file(self, config: ConfigFile) -> None:
        for steps, line in config.repeated:
            self._fault(steps, f"line {line}", "given twice")
        self.origins |= {steps: _Origin(f"line {line}") for steps, line in config.lines.items()}
        for name, section in config.data.items():
            if name in self._parts:
                self.data[name] = _copy(section)
                self.origins.setdefault((name,), _Origin(config.path.name))
            elif name not in SECTIONS:
                origin = self.origins.get((str(name),), _Origin(config.path.name))
                self._fault((str(name),), origin.text, f"unknown section{_did_you_mean(str(name), SECTIONS)}")

    def add_env(self, env: Mapping[str, str]) -> None:
        prefixes = tuple(f"{ENV_PREFIX}{name.upper()}__" for name in self._parts)
        for name in sorted(name for name in env if name.startswith(prefixes)):
            steps = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
            hint = self._hint(steps, name)
            if hint is not None:
                self._put(steps, _read_text(hint, env[name]), _Origin(name, is_text=True))

    def add_overrides(self, overrides: Mapping[str, object]) -> None:
        for path, value in overrides.items():
            steps = tuple(path.split("."))
            if self._hint(steps, "command line") is not None:
                self._put(steps, value, _Origin("command line"))

    def _hint(self, steps: Steps, origin: str) -> Any | None:
        """The type of the option at `steps`; None, with a fault noted, where there is no such option."""
        cls: type[msgspec.Struct] | None = self._parts.get(steps[0])
        hint: Any = cls
        for depth, name in enumerate(steps[1:], start=1):
            known = options(cls) if cls else {}
            if name not in known:
                self._fault(steps[: depth + 1], origin, f"unknown option{_did_you_mean(name, known)}")
                return None
            hint = known[name].hint
            cls = group_of(hint)
        if cls is not None:
            self._fault(steps, origin, f"is a group; set one of its options: {', '.join(options(cls))}")
            return None
        return hint

    def _put(self, steps: Steps, value: object, origin: _Origin) -> None:
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


class _Filler:
    """Turns plain data into structs and notes every fault on the way instead of stopping at the first."""

    def __init__(self, origins: Mapping[Steps, _Origin]) -> None:
        self._origins = origins
        self.faults: list[SettingFault] = []

    def group(self, cls: type[msgspec.Struct], steps: Steps, data: object) -> Any:
        """A struct, or _BAD with the faults noted."""
        if data is None:
            data = {}
        if not isinstance(data, dict):
            return self._fault(steps, f"expected a group of options, got {_shown(data)}")
        known = options(cls)
        for name in data:
            if name not in known:
                self._fault((*steps, str(name)), f"unknown option{_did_you_mean(str(name), known)}")
        filled = {name: self._option(option, (*steps, name), data) for name, option in known.items()}
        if any(value is _BAD for value in filled.values()):
            return _BAD
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
            return _BAD if _BAD in found else self._leaf(option, hint, steps, found)
        if below is not None and group_of(below) and isinstance(value, dict):
            named = {str(n): self._value(option, below, (*steps, str(n)), entry) for n, entry in value.items()}
            return _BAD if _BAD in named.values() else named
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

    def _origin(self, steps: Steps) -> _Origin:
        """Where a value was given; the nearest group around it where only that is known."""
        near = (self._origins.get(steps[:length]) for length in range(len(steps), 0, -1))
        return next((origin for origin in near if origin), _Origin("nowhere set"))

    def _fault(self, steps: Steps, problem: str) -> Any:
        self.faults.append(SettingFault(".".join(steps), self._origin(steps).text, problem))
        return _BAD


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if isinstance(value, kind):
        return value
    raise ValueError(f"not a {kind}")


def _read_text(hint: Any, text: str) -> object:
    """An environment variable as what a file would hold there: lists and mappings are written as text too."""
    item = items_of(hint)
    if item is None and values_of(hint) is None:
        return None if text in ("", "null") and allows_none(hint) else text
    if item is not None and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # not of the expected type, so the option's own fault says what is expected


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known) or 'nothing'}"


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    kind = "a group " if isinstance(value, dict) else "a list " if isinstance(value, list) else ""
    return kind + (text if len(text) <= 60 else text[:57] + "...")


def _copy(value: Any) -> Any:
    """Containers are copied, so that overrides never write into what a YAML alias shares."""
    if isinstance(value, dict):
        return {key: _copy(below) for key, below in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
