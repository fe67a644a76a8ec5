"""The names of fields: ECS (https://www.elastic.co/guide/en/ecs/current/), flat with dots, and our short ones.

What ECS has no name for stands under `deckwatch.`. A name that is none of these is a field of the message's body
(JSON or logfmt); `body.<name>` says so where the body's name is also one of ours.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from collector.records import (
    FLAG_CLOCK,
    FLAG_INVALID_UTF8,
    FLAG_MULTILINE,
    FLAG_PARTIAL,
    FLAG_UNPARSED,
    Origin,
)
from collector.search.query import TEXT_FIELD
from deckwatch.wire.model import Container, Workload

SHORT_NAMES = {
    "level": "log.level",
    "stream": "log.iostream",
    "host": "host.name",
    "container": "container.name",
    "image": "container.image.name",
    "workload": "deckwatch.workload",
    "pod": "orchestrator.resource.name",
    "namespace": "orchestrator.namespace",
    "service": "service.name",
    "path": "log.file.path",
}

LEVEL_ALIASES = {
    "warning": "warn",
    "err": "error",
    "crit": "fatal",
    "critical": "fatal",
    "panic": "fatal",
    "emerg": "fatal",
    "alert": "fatal",
    "information": "info",
}

FLAG_NAMES = {
    "partial": FLAG_PARTIAL,
    "multiline": FLAG_MULTILINE,
    "invalid_utf8": FLAG_INVALID_UTF8,
    "unparsed": FLAG_UNPARSED,
    "clock": FLAG_CLOCK,
}

LABELS = "container.labels."
BODY = "body."

TIMES = {"@timestamp": "ts", "event.ingested": "ingested"}
NUMBERS = {"log.offset": "start", "deckwatch.seq": "seq"}
"""Fields that are columns of rows, and those columns."""

ORIGIN_FIELDS = (
    "container.id",
    "container.image.name",
    "container.name",
    "container.runtime",
    "deckwatch.component",
    "deckwatch.stream",
    "deckwatch.tenant",
    "deckwatch.workload",
    "host.name",
    "log.file.path",
    "orchestrator.namespace",
    "orchestrator.resource.name",
    "orchestrator.type",
    "service.name",
)


class Kind(StrEnum):
    """How a field is held."""

    TEXT = "text"
    LEVEL = "level"
    IOSTREAM = "iostream"
    FLAGS = "flags"
    TIME = "time"
    NUMBER = "number"
    ORIGIN = "origin"  # told by the record's origin
    BODY = "body"  # read from the message when it is asked for


_KINDS = {
    TEXT_FIELD: Kind.TEXT,
    "log.level": Kind.LEVEL,
    "log.iostream": Kind.IOSTREAM,
    "log.flags": Kind.FLAGS,
    **dict.fromkeys(TIMES, Kind.TIME),
    **dict.fromkeys(NUMBERS, Kind.NUMBER),
    **dict.fromkeys(ORIGIN_FIELDS, Kind.ORIGIN),
}

OUR_NAMES = frozenset(_KINDS) | frozenset(SHORT_NAMES)


def full_name(name: str) -> str:
    """The full name of a field as a user may write it."""
    return SHORT_NAMES.get(name, name)


def kind_of(field: str) -> Kind:
    """Of a full name."""
    return _KINDS.get(field, Kind.ORIGIN if field.startswith(LABELS) else Kind.BODY)


def body_name(field: str) -> str:
    """The name that a field of kind BODY has inside the body."""
    return field.removeprefix(BODY)


@lru_cache(maxsize=4096)
def public_name(name: str) -> str:
    """The name under which a body's field is shown and asked for: its own unless it is one of ours."""
    ours = name in OUR_NAMES or name.startswith((LABELS, BODY))
    return BODY + name if ours else name


@lru_cache(maxsize=16384)
def origin_fields(origin: Origin) -> dict[str, str]:
    """Every field that an origin tells; those that it doesn't know are left out. Not to be changed: it is shared."""
    context = origin.context
    fields = {
        "host.name": context.host,
        "log.file.path": context.path,
        "deckwatch.stream": origin.key,
        "deckwatch.tenant": origin.tenant,
    }
    if context.container is not None:
        fields |= _container_fields(context.container)
    return {name: value for name, value in fields.items() if value}


def _container_fields(container: Container) -> dict[str, str]:
    fields = {
        "container.id": container.id,
        "container.name": container.name,
        "container.image.name": container.image,
        "container.runtime": container.runtime,
        "service.name": container.service,
    }
    if container.workload is not None:
        fields |= _workload_fields(container.workload)
    return fields | {LABELS + key: value for key, value in container.labels}


def _workload_fields(workload: Workload) -> dict[str, str]:
    """ECS has no name for a pod's owner, nor for a Compose service: `deckwatch.workload`."""
    return {
        "orchestrator.type": workload.orchestrator,
        "orchestrator.namespace": workload.namespace,
        "orchestrator.resource.name": workload.instance or workload.name,
        "deckwatch.workload": workload.name or workload.instance,
        "deckwatch.component": workload.component,
    }
