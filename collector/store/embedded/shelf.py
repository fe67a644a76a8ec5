"""All of the manifest that the account of streams needs, as of one moment."""

from __future__ import annotations

import msgspec

from collector.accounting.runs import Run, Runs, joined
from collector.store.embedded import kept
from collector.store.embedded.kept import Dropped
from collector.store.embedded.manifest import GAP_COLUMNS, GapRow, Manifest


class Shelf(msgspec.Struct, frozen=True):
    """`serving` and `aside`: the packed coverage of each segment (None: an older version kept none)."""

    serving: dict[int, bytes | None]
    aside: dict[int, bytes | None]  # set aside as damaged
    dropped: list[Dropped]
    dead_letters: dict[str, Runs]  # by stream key
    gaps: list[GapRow]


def read_shelf(manifest: Manifest) -> Shelf:
    with manifest.reading() as db:
        segments = db.execute(
            "SELECT id, damaged, streams FROM segments LEFT JOIN coverage ON coverage.segment = segments.id"
        ).fetchall()
        letters = db.execute("SELECT key, start, end FROM dead_letters").fetchall()
        gaps = db.execute(f"SELECT {', '.join(GAP_COLUMNS)} FROM gaps ORDER BY seq").fetchall()  # noqa: S608
        dropped = kept.read_dropped(db)
    return Shelf(
        serving={id_: packed for id_, damaged, packed in segments if not damaged},
        aside={id_: packed for id_, damaged, packed in segments if damaged},
        dropped=dropped,
        dead_letters=_runs(letters),
        gaps=[GapRow(*row) for row in gaps],
    )


def _runs(letters: list[tuple[str, int, int]]) -> dict[str, Runs]:
    found: dict[str, list[Run]] = {}
    for key, start, end in letters:
        found.setdefault(key, []).append((start, end))
    return {key: joined(runs) for key, runs in found.items()}
