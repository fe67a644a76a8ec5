"""The data directory: private, locked, of one part and one version; every refusal says how to mend it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.faults import Unusable


def opened(path: Path, version: int = 1, part: str = "agent") -> DataDir:
    return DataDir.open(path, version, part=part, wait_s=0.2)


def test_a_new_directory_is_private_marked_and_can_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with opened(path) as data_dir:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert json.loads((path / "VERSION").read_text()) == {"part": "agent", "version": 1}
        data_dir.write_address("http://127.0.0.1:1")
        assert (path / "address").read_text() == "http://127.0.0.1:1\n"
    assert not (path / "address").exists()
    with opened(path, version=2) as data_dir:
        assert data_dir.found_version == 1
        data_dir.write_version()
    assert json.loads((path / "VERSION").read_text())["version"] == 2


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    data_dir = opened(tmp_path / "d")
    data_dir.close()
    data_dir.close()


def a_file(path: Path) -> None:
    path.write_text("x")


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("x")


def a_newer_one(path: Path) -> None:
    path.mkdir()
    (path / "VERSION").write_text('{"part": "agent", "version": 9}')


def a_collectors(path: Path) -> None:
    opened(path, part="collector").close()


def a_damaged_one(path: Path) -> None:
    path.mkdir()
    (path / "VERSION").write_text("\x00\x00")


def open_with_foreign_files(path: Path) -> None:
    path.mkdir()
    (path / "homework.txt").write_text("x")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("prepare", "want"),
    [
        (a_file, "not a directory; give another one"),
        (below_a_file, "parent is a file; give another directory"),
        (a_newer_one, "written by a newer Deckwatch (format 9; this one knows up to 1)"),
        (a_collectors, "holds the data of deckwatch collector, not agent"),
        (a_damaged_one, "VERSION: damaged"),
        (open_with_foreign_files, "open to others (mode 0755) and holds files that are not Deckwatch's"),
    ],
)
def test_refusals(tmp_path: Path, prepare: Callable[[Path], None], want: str) -> None:
    path = tmp_path / "parent" / "d"
    path.parent.mkdir()
    prepare(path)
    with pytest.raises(Unusable) as caught:
        opened(path)
    assert str(caught.value).startswith(str(path))
    assert want in str(caught.value)


def test_a_refused_directory_is_left_unlocked(tmp_path: Path) -> None:
    a_newer_one(tmp_path / "d")
    with pytest.raises(Unusable):
        opened(tmp_path / "d")
    opened(tmp_path / "d", version=9).close()


def test_an_empty_directory_open_to_others_is_made_private_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "d"
    path.mkdir()
    path.chmod(0o755)
    opened(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert "was open to others (mode 0755): it is 0700 now" in caplog.text


def test_another_process_that_holds_it_is_named_and_its_death_frees_it(tmp_path: Path) -> None:
    hold = (
        "import sys,time; from pathlib import Path; from deckwatch.runtime.datadir import DataDir; "
        "DataDir.open(Path(sys.argv[1]), 1, part='agent'); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path / "d")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Unusable, match=f"in use by process {holder.pid}; stop it"):
            opened(tmp_path / "d")
        holder.kill()
        DataDir.open(tmp_path / "d", 1, part="agent").close()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """Root may write anywhere, so something stands in the place of the lock."""
    path = tmp_path / "d"
    (path / "lock").mkdir(parents=True)
    with pytest.raises(Unusable, match="not writable: Is a directory; free or mount it"):
        opened(path)


def test_a_read_only_file_system() -> None:
    with pytest.raises(Unusable, match=r"can't be created: .*; create it for this user first"):
        opened(Path("/proc/deckwatch"))
