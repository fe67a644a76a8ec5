"""`deckwatch fsck` on data directories that were harmed: each harm is found, and mended where that is safe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.app import DATA_VERSION
from collector.fsck.app import check
from collector.fsck.report import Finding, Report, Severity
from collector.intake.durable_note import Durable, DurableNote, file_id
from collector.intake.journal_file import Entry, Kind, record_of
from collector.store.embedded.manifest import Manifest
from deckwatch.cli import run
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.datadir import DataDir
from tests.collector.store.test_embedded import expected, messages, open_store
from tests.collector.store.test_integrity import data_of, stored


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collector's data directory with three segments and nothing in the journal."""
    with DataDir.open(tmp_path / "data", DATA_VERSION, part="collector"):
        stored(tmp_path / "data/store")
    (tmp_path / "data/journal").mkdir()
    return tmp_path / "data"


def fsck(folder: Path, *, repair: bool = False, adopt: bool = False) -> Report:
    return check(folder, DATA_VERSION, SystemClock(), repair=repair, adopt=adopt)


def only(report: Report) -> Finding:
    (finding,) = report.findings
    return finding


def first(folder: Path) -> Path:
    store = open_store(folder / "store", compaction_bytes=0)
    store.close()
    return data_of(folder / "store", store.segment_rows[0])


def test_a_sound_directory(folder: Path) -> None:
    report = fsck(folder)
    assert (report.findings, report.exit_code) == ((), 0)
    assert report.checked == {"databases": 1, "segments": 3, "records": 30}


def flipped(at: int) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)

    return harm


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (flipped(2), "its checksum differs"),  # the magic at the beginning: nobody would ever read it
        (flipped(300), "its checksum differs"),
        (flipped(-100), "its checksum differs"),
        (Path.unlink, "the file is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes, the manifest says"),
    ],
)
async def test_a_damaged_segment(folder: Path, harm: Callable[[Path], None], what: str) -> None:
    data = first(folder)
    good = data.read_bytes()
    harm(data)
    finding = only(fsck(folder))
    assert finding.severity is Severity.WRONG
    assert finding.what.startswith("10 records received on 2023-11-14 are lost: ")
    assert what in finding.what
    assert "--repair" in finding.mend
    report = fsck(folder, repair=True)
    assert (only(report).severity, report.exit_code) == (Severity.MENDED, 0)
    store = open_store(folder / "store", compaction_bytes=0)
    assert await messages(store) == expected(range(1, 3))
    assert len(store.manifest.gaps("default")) == 2
    store.close()
    assert only(fsck(folder)).severity is Severity.NOTE, "it is known, and accounted for"
    data.write_bytes(good)  # from a backup
    index = data.with_suffix(".index")
    assert index.with_name(index.name + ".damaged").exists()
    report = fsck(folder)
    assert (only(report).what, report.exit_code) == ("was set aside and is sound again", 1)
    assert only(fsck(folder, adopt=True)).severity is Severity.MENDED
    assert fsck(folder).findings == ()
    store = open_store(folder / "store", compaction_bytes=0)
    assert await messages(store) == expected(range(3))
    assert store.manifest.gaps("default") == []
    store.close()
    assert not list(folder.rglob("*.damaged"))


@pytest.mark.parametrize("harm", [flipped(30), flipped(-3), Path.unlink])
async def test_a_damaged_index_is_made_anew(folder: Path, harm: Callable[[Path], None]) -> None:
    index = first(folder).with_suffix(".index")
    good = index.read_bytes()
    harm(index)
    finding = only(fsck(folder))
    assert (finding.severity, "the data is sound" in finding.what) == (Severity.WRONG, True)
    assert only(fsck(folder, repair=True)).severity is Severity.MENDED
    assert index.read_bytes() == good
    assert fsck(folder).findings == ()


def test_what_belongs_nowhere_is_put_by(folder: Path) -> None:
    stray = first(folder).with_name("0000000099.parquet")
    stray.write_bytes(b"whatever")
    assert only(fsck(folder)).severity is Severity.NOTE
    assert only(fsck(folder, repair=True)).severity is Severity.MENDED
    assert [path.read_bytes() for path in (folder / "store/lost+found").rglob("*.parquet")] == [b"whatever"]
    assert not stray.exists()


def journal(folder: Path, *seqs: int) -> Path:
    path = folder / "journal" / f"{seqs[0]:016x}.journal"
    header = b"DWJRNL" + (1).to_bytes(2, "little") + seqs[0].to_bytes(8, "little")
    entries = [b"".join(record_of(Entry(seq, 1, Kind.DECISION, b"\x92\x90\x90"))) for seq in seqs]
    path.write_bytes(header + b"".join(entries))
    return path


def test_a_sound_journal(folder: Path) -> None:
    journal(folder, 2, 3, 4)
    report = fsck(folder)
    assert report.findings == ()
    assert report.checked["journal entries"] == 3


def test_a_torn_end_is_what_a_crash_leaves(folder: Path) -> None:
    path = journal(folder, 3, 4)
    path.write_bytes(path.read_bytes()[:-1])
    report = fsck(folder)
    assert (only(report).severity, report.exit_code) == (Severity.NOTE, 0)


@pytest.mark.parametrize("cut", [1, 40, "all of its last file"])
def test_an_end_that_is_missing_though_it_was_acked(folder: Path, cut: int | str) -> None:
    """By the note beside the journal; without it this is what a crash leaves."""
    path = journal(folder, 3, 4)
    status = path.stat()
    note = DurableNote(folder / "journal")
    note.write(Durable(file_id(status), 3, status.st_size, 4))
    note.close()
    assert fsck(folder).exit_code == 0
    if isinstance(cut, int):
        path.write_bytes(path.read_bytes()[:-cut])
    else:
        path.unlink()
    report = fsck(folder)
    assert (only(report).severity, report.exit_code) == (Severity.WRONG, 1)
    assert "sets the rest aside and asks the agents again" in only(report).mend


def test_damage_inside_the_journal(folder: Path) -> None:
    flipped(30)(journal(folder, 3, 4, 5))
    report = fsck(folder)
    assert (only(report).severity, report.exit_code) == (Severity.WRONG, 1)
    assert "asks the agents again" in only(report).mend


def test_a_journal_file_that_is_missing(folder: Path) -> None:
    journal(folder, 7, 8)
    assert "entries 3 to 6 before it are missing" in only(fsck(folder)).what


def test_an_entry_that_cannot_be_read(folder: Path) -> None:
    path = journal(folder, 3)
    path.write_bytes(path.read_bytes()[:16] + b"".join(record_of(Entry(3, 1, Kind.BATCH, b"no batch"))))
    assert only(fsck(folder)).what.startswith("entry 3 can't be read")


def test_a_damaged_manifest_or_alert_state(folder: Path) -> None:
    (folder / "alerting").mkdir()
    (folder / "alerting/alerts.sqlite").write_bytes(b"no database at all, whoever may have written it" * 100)
    finding = only(fsck(folder))
    assert (finding.severity, finding.where) == (Severity.WRONG, str(folder / "alerting/alerts.sqlite"))
    manifest = folder / "store/manifest.sqlite"
    manifest.write_bytes(bytes(4096) + manifest.read_bytes()[4096:])
    assert {finding.where for finding in fsck(folder).findings} >= {str(manifest)}
    manifest.unlink()
    assert "is missing, and there are segments" in fsck(folder).findings[0].what


def test_the_parsers_state(folder: Path) -> None:
    manifest = Manifest(folder / "store/manifest.sqlite")
    with manifest.transaction() as db:
        db.execute("UPDATE consumers SET state = x'c1' WHERE name = 'store'")
    manifest.close()
    assert "the saved state of parsing" in only(fsck(folder)).what


def test_a_copied_directory_is_told(folder: Path, tmp_path: Path) -> None:
    (folder / "epoch").write_text('{"epoch":"e","device":1,"inode":1}')
    assert "was copied or restored" in only(fsck(folder)).what


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fsck", "--data-dir", str(folder)]) == 0
    assert capsys.readouterr().out == "all is well: checked 1 databases, 3 segments, 30 records\n"
    first(folder).unlink()
    assert run(["fsck", "--data-dir", str(folder)]) == 1
    assert "! " in capsys.readouterr().out
    assert run(["fsck", "--data-dir", str(folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["severity"] == "wrong"
    assert run(["fsck", "--data-dir", str(folder), "--repair"]) == 0
    assert run(["fsck", "--data-dir", str(tmp_path / "nothing")]) == 2
    assert not (tmp_path / "nothing").exists()
    assert "no data directory of a collector" in capsys.readouterr().err
    with DataDir.open(folder, DATA_VERSION, part="collector"):
        assert run(["fsck", "--data-dir", str(folder)]) == 2
    assert "in use by process" in capsys.readouterr().err
    shutil.rmtree(folder)
