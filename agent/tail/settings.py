"""How log files are followed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class Begin(StrEnum):
    START = "start"
    END = "end"


class LinkSettings(msgspec.Struct, frozen=True):
    enabled: Annotated[
        bool,
        Meta(
            description="Keep a hard link to each followed file, so that its rest is read if it is deleted while the "
            "agent is down."
        ),
    ] = True
    limit_bytes: Annotated[
        int,
        Meta(description="Most bytes that the linked files may hold together; the largest go first, as a gap.", ge=0),
    ] = 1 << 30
    folder: Annotated[
        Path | None,
        Meta(description="Where the links stand, in the mount of the logs. Unset: below the state folder."),
    ] = None


class TailSettings(msgspec.Struct, frozen=True):
    chunk_bytes: Annotated[
        int, Meta(description="Most bytes read from a file at once; a longer line goes in pieces.", ge=4096)
    ] = 512 << 10
    begin: Annotated[
        Begin,
        Meta(description="Where to begin in files that are there at the very first start. `end` declares a gap."),
    ] = Begin.START
    poll_s: Annotated[
        float, Meta(description="Seconds between two looks at a file that inotify did not tell of.", gt=0)
    ] = 5.0
    inotify: Annotated[bool, Meta(description="Be told of changes by the kernel; without it only polling is left.")] = (
        True
    )
    late_write_s: Annotated[
        float,
        Meta(
            description="Seconds of silence after which a rotated or deleted file is taken as finished: a writer may "
            "hold on to it for a while.",
            ge=0,
        ),
    ] = 5.0
    settle_s: Annotated[
        float,
        Meta(description="Seconds that an unknown rotated file must have been still before it is read.", ge=0),
    ] = 2.0
    unreadable_s: Annotated[
        float,
        Meta(
            description="Seconds for which reading must have failed (a bad disk, a damaged .gz that does not change) "
            "before what can't be read is declared as a gap and reading goes on behind it.",
            ge=0,
        ),
    ] = 60.0
    held_bytes: Annotated[
        int,
        Meta(description="Most bytes of deleted files that are kept alive by being held open; beyond, a gap.", ge=0),
    ] = 10 << 30
    absent_s: Annotated[
        float,
        Meta(description="Seconds to wait, after a start, for a known log to turn up before it counts as gone.", ge=0),
    ] = 60.0
    links: Annotated[LinkSettings, Meta(description="Hard links to followed files.")] = LinkSettings()
    ledger_entries: Annotated[int, Meta(description="Most closed streams that are remembered.", ge=100)] = 20_000
    ledger_s: Annotated[
        float, Meta(description="Seconds for which a closed stream is remembered after its file has gone.", ge=0)
    ] = 7 * 86400.0
