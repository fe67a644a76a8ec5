"""Every segment, byte for byte against the manifest; what can be mended without losing anything is."""

from __future__ import annotations

import msgspec

from collector.fsck.report import Findings
from collector.records import Origin
from collector.store.embedded.integrity import Integrity
from collector.store.embedded.manifest import Manifest, SegmentRow
from collector.store.embedded.segments import SegmentFolder

_REPAIR = "run `deckwatch fsck --repair`"


class SegmentCheck:
    def __init__(
        self,
        folder: SegmentFolder,
        manifest: Manifest,
        integrity: Integrity,
        found: Findings,
        *,
        repair: bool,
        adopt: bool,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._integrity = integrity
        self._found = found
        self._repair = repair
        self._adopt = adopt
        self._origins: dict[int, Origin] = manifest.origins()

    def run(self) -> None:
        rows = self._manifest.segments()
        for row in rows:
            self._found.checked("segments")
            self._found.checked("records", row.rows)
            if row.damaged:
                self._look_at_aside(row)
            else:
                self._check(row)
        self._look_for_orphans(rows)

    def _check(self, row: SegmentRow) -> None:
        base = self._folder.base_of(row)
        try:
            self._folder.verify_data(row)
        except (OSError, ValueError) as error:
            self._lost(row, error)
            return
        try:
            self._folder.verify_index(row)
            self._folder.open(row)
        except (OSError, ValueError) as error:
            if not self._repair:
                self._found.wrong(
                    base.with_suffix(".index"), f"{error}; the data is sound", f"{_REPAIR}: it is made anew"
                )
            elif self._integrity.mended(row) is None:
                self._lost(row, error)
            else:
                self._found.mended(base.with_suffix(".index"), f"{error}; it was made anew from the data")
            return
        self._check_coverage(row)

    def _check_coverage(self, row: SegmentRow) -> None:
        coverage = self._integrity.coverage(row)
        where = self._folder.base_of(row)
        if coverage is None:
            self._found.note(where, "nothing is noted of the streams it holds: an older version wrote it")
        elif sum(covered.rows for covered in coverage) != row.rows or any(
            c.origin not in self._origins for c in coverage
        ):
            self._found.wrong(
                where, "the manifest's list of its streams does not fit it", "restore the manifest from a backup"
            )

    def _lost(self, row: SegmentRow, error: Exception) -> None:
        base = self._folder.base_of(row)
        what = f"{row.rows} records received on {row.day} are lost: {_words(error)}"
        if not self._repair:
            self._found.wrong(
                base, what, f"put its files back from a backup, or {_REPAIR}: it is set aside and its lines become gaps"
            )
            return
        self._integrity.set_aside(row, error, self._origins)
        self._found.mended(base, f"{what}; set aside, its lines are declared as gaps")

    def _look_at_aside(self, row: SegmentRow) -> None:
        """Was it brought back, from a backup or because the disk reads again?"""
        base = self._folder.base_of(row)
        back = self._is_back(row)
        if not back:
            self._found.note(
                base,
                f"{row.rows} records were set aside ({row.damaged}); their lines are gaps. Where a backup has"
                " the files, put them back and run `deckwatch fsck --adopt`",
            )
        elif not self._adopt:
            self._found.wrong(base, "was set aside and is sound again", "run `deckwatch fsck --adopt` to have it serve")
        else:
            self._folder.bring_back(row)
            self._manifest.adopt(row.id)
            self._folder.clear_aside(row)
            self._check(msgspec.structs.replace(row, damaged=""))
            self._found.mended(base, f"{row.rows} records serve again, and their gaps are closed")

    def _is_back(self, row: SegmentRow) -> bool:
        """Under its own names, or under those it was given when it was set aside."""
        return self._folder.is_sound_aside(row)

    def _look_for_orphans(self, rows: list[SegmentRow]) -> None:
        orphans = self._folder.orphans(rows)
        if not orphans:
            return
        if self._repair:
            self._folder.sweep(rows)
            self._found.mended(
                self._folder.lost_and_found, f"{len(orphans)} files that belong to no segment were moved there"
            )
        else:
            self._found.note(
                orphans[0],
                f"{len(orphans)} files belong to no segment, as a kill during a sealing leaves them; the next"
                f" start moves them to {self._folder.lost_and_found}",
            )


def _words(error: Exception) -> str:
    """A missing file's path stands beside it already."""
    return "the file is missing" if isinstance(error, FileNotFoundError) else str(error)
