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

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from deckwatch.runtime.config_file import read_config
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.settings_fields import Secret
from deckwatch.runtime.settings_fill import Filler
from deckwatch.runtime.settings_layers import SECTIONS, Layers, Sections, SettingFault

__all__ = ["SECTIONS", "BadSettings", "Loaded", "Secret", "Sections", "SettingFault", "load", "load_all"]

S = TypeVar("S", bound=msgspec.Struct)


class Loaded(dict[str, msgspec.Struct]):
    """Settings by section."""

    def of(self, cls: type[S]) -> S:
        """The section that is filled with this struct."""
        return next(value for value in self.values() if isinstance(value, cls))


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
    layers = Layers(parts)
    if config:
        layers.add_file(config)
    layers.add_env(env or {})
    layers.add_overrides(overrides or {})
    filler = Filler(layers.origins)
    filled = Loaded((name, filler.group(cls, (name,), layers.data.get(name))) for name, cls in parts.items())
    if faults := layers.faults + filler.faults:
        raise BadSettings(faults, file)
    return filled
