"""From the command's options to the parameters of the API. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_CONTAINER_ID = re.compile(r"[0-9a-f]{8,64}")
_PLAIN = re.compile(r"[A-Za-z0-9_.*?-]")


class Choice(msgspec.Struct, frozen=True):
    """Which records somebody wants to see."""

    query: str = ""
    since: str = ""
    until: str = ""
    containers: tuple[str, ...] = ()
    level: str = ""
    tenant: str = ""

    def parameters(self) -> dict[str, str]:
        given = {
            "query": self.query,
            "filter": self.filter(),
            "start": self.since,
            "end": self.until,
            "tenant": self.tenant,
        }
        return {name: value for name, value in given.items() if value}

    def filter(self, *also: str) -> str:
        """The options as a query string of their own, so that positions in the user's query stay as they are."""
        parts = [container_query(self.containers)] if self.containers else []
        parts += [f"level:>={self.level}"] if self.level else []
        return " AND ".join([*parts, *also])


def container_query(names: Sequence[str]) -> str:
    """Names, with wildcards; what looks like a container's id (8 hex digits or more) may be one."""
    values = " OR ".join(_value(name) for name in names)
    ids = [name for name in names if _CONTAINER_ID.fullmatch(name)]
    return f"(container.name:({values}){''.join(f' OR container.id:{id_}' for id_ in ids)})"


def _value(name: str) -> str:
    if "*" in name or "?" in name:
        return "".join(c if _PLAIN.fullmatch(c) else f"\\{c}" for c in name)
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
