"""Settings of parsing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


class JoinSettings(msgspec.Struct, frozen=True):
    """What becomes one record of several lines, for one format."""

    traces: Annotated[
        bool, Meta(description="Join stack traces of Java, Kotlin, Python, Go, .NET, Ruby and Node into one record")
    ] = True
    indented: Annotated[
        bool, Meta(description="A line that begins with a space or a tab goes on with the line before it")
    ] = True


class TimeFrom(StrEnum):
    """What a container's record has as @timestamp.

    The engine's time is the default: one clock stamps all containers of a host, in UTC, when the line is written, so it
    keeps their order and can be trusted. A line's own time may lack its zone or its year, have whole seconds, or be
    that of an event long ago; it stays in the message.
    """

    ENGINE = "engine"
    LINE = "line"


class TimeSettings(msgspec.Struct, frozen=True):
    docker_json: Annotated[
        TimeFrom, Meta(description="Of Docker's containers: the engine's time, or the one in the line if there is one")
    ] = TimeFrom.ENGINE
    cri: Annotated[
        TimeFrom, Meta(description="Of a CRI runtime's containers: the runtime's time, or the one in the line")
    ] = TimeFrom.ENGINE
    timezone: Annotated[
        str,
        Meta(
            description="Zone of times that name none, where the agent doesn't say: Europe/Berlin, UTC, +02:00",
            min_length=1,
        ),
    ] = "UTC"
    max_ahead_s: Annotated[
        float,
        Meta(description="A line's time farther ahead of its receipt is not believed: the receipt's is taken", ge=0),
    ] = 86400.0


class ParseSettings(msgspec.Struct, frozen=True):
    docker_json: Annotated[JoinSettings, Meta(description="Joining of lines of containers that Docker logs")] = (
        JoinSettings()
    )
    cri: Annotated[JoinSettings, Meta(description="Joining of lines of containers that a CRI runtime logs")] = (
        JoinSettings()
    )
    plain: Annotated[JoinSettings, Meta(description="Joining of lines of plain files")] = JoinSettings()
    max_joined_lines: Annotated[
        int, Meta(description="A record of more lines than this is cut into several", ge=1, le=100_000)
    ] = 1000
    max_joined_bytes: Annotated[
        int,
        Meta(description="A record that joining lines makes larger than this is cut into several", ge=1024, le=1 << 20),
    ] = 256 * 1024
    times: Annotated[TimeSettings, Meta(description="What a record's @timestamp is taken from")] = TimeSettings()
    hold_single_line_ms: Annotated[
        int, Meta(description="A single line is searchable at the latest after this time, joined or not", ge=0, le=500)
    ] = 300
    max_open_bytes: Annotated[
        int,
        Meta(description="Text of all records that may still go on; beyond it the oldest are closed", ge=1 << 20),
    ] = 64 << 20
