"""Settings of parsing."""

from __future__ import annotations

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
    plain_zone_offset_minutes: Annotated[
        int, Meta(description="East of UTC: the zone of time stamps in plain files that name none", ge=-1440, le=1440)
    ] = 0
    hold_single_line_ms: Annotated[
        int, Meta(description="A single line is searchable at the latest after this time, joined or not", ge=0, le=500)
    ] = 300
    max_open_bytes: Annotated[
        int,
        Meta(description="Text of all records that may still go on; beyond it the oldest are closed", ge=1 << 20),
    ] = 64 << 20
