"""Files given as globs: real folders."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.discover.files import FileGlobs
from agent.discover.finding import Finding
from agent.discover.settings import DiscoverSettings, FilesSettings
from agent.model import ContainerState
from tests.agent.discover.trees import write_container

SETTINGS = DiscoverSettings()


def names(globs: FileGlobs, folder: Path) -> list[str]:
    return [os.path.relpath(name, folder) for name in globs.look().view.sources]


def finding(globs: FileGlobs, what: str) -> Finding:
    found = [finding for finding in globs.look().findings if finding.what == what]
    assert len(found) == 1, globs.look().findings
    return found[0]


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("line\n")


def test_globs(tmp_path: Path) -> None:
    write(tmp_path, "a.log", "sub/b.log", "sub/deep/c.log", ".hidden.log", "d.txt")
    assert names(FileGlobs(SETTINGS, [f"{tmp_path}/*.log"]), tmp_path) == ["a.log"]
    assert names(FileGlobs(SETTINGS, [f"{tmp_path}/**/*.log"]), tmp_path) == ["a.log", "sub/b.log", "sub/deep/c.log"]
    assert names(FileGlobs(SETTINGS, [f"{tmp_path}/d.txt", f"{tmp_path}/**"]), tmp_path) == [
        "a.log", "d.txt", "sub/b.log", "sub/deep/c.log",
    ]  # fmt: skip


def test_what_is_handed_on(tmp_path: Path) -> None:
    write(tmp_path, "a.log", "b.log", "b.log-20240131")
    sources = FileGlobs(DiscoverSettings(tenant="ops"), [f"{tmp_path}/*"]).look().view.sources
    a, b = sources[f"{tmp_path}/a.log"], sources[f"{tmp_path}/b.log"]
    assert (a.path, a.rotated, a.format, a.container, a.tenant, a.ended) == (
        f"{tmp_path}/a.log", f"{tmp_path}/a.log.[0-9]*", None, None, "ops", False,
    )  # fmt: skip
    assert "[.-]" in b.rotated


def test_two_ways_to_a_file_are_one(tmp_path: Path) -> None:
    write(tmp_path, "real/a.log")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "b.log").symlink_to("real/a.log")
    (tmp_path / "broken.log").symlink_to("nowhere")
    globs = FileGlobs(SETTINGS, [f"{tmp_path}/*.log", f"{tmp_path}/**/*.log", f"{tmp_path}/link/*"])
    assert names(globs, tmp_path) == ["real/a.log"]


def test_relative_globs_begin_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.log")
    monkeypatch.chdir(tmp_path)
    assert names(FileGlobs(SETTINGS, ["*.log"]), tmp_path) == ["a.log"]


def test_below_the_hosts_root(tmp_path: Path) -> None:
    write(tmp_path, "var/log/a.log")
    globs = FileGlobs(DiscoverSettings(host_root=str(tmp_path)), ["/var/log/*.log"])
    assert {name: source.path for name, source in globs.look().view.sources.items()} == {
        "/var/log/a.log": f"{tmp_path}/var/log/a.log"
    }


def test_what_is_no_log(tmp_path: Path) -> None:
    write(tmp_path, "a.log", "loose.gz", "a.log.1.gz")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        globs = FileGlobs(SETTINGS, [f"{tmp_path}/*"])
        assert names(globs, tmp_path) == ["a.log"]
        special, packed = finding(globs, "special files"), finding(globs, "compressed files")
    assert not special.reached
    assert f"{tmp_path}/fifo" in special.detail
    assert f"{tmp_path}/socket" in special.detail
    assert f"{tmp_path}/loose.gz" in packed.detail
    assert "a.log.1.gz" not in packed.detail  # it belongs to a.log


@contextmanager
def as_a_user() -> Iterator[None]:
    """Root may read everything: be nobody for a while (access(2) asks for the real user)."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """pytest's own folders are closed to other users."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_unreadable_files(public_folder: Path) -> None:
    write(public_folder, "a.log", "closed/b.log", "listed/c.log")
    (public_folder / "a.log").chmod(0)
    (public_folder / "closed").chmod(0)
    (public_folder / "listed").chmod(0o744)  # its names may be read, what they stand for may not be looked at
    globs = FileGlobs(SETTINGS, [f"{public_folder}/*.log", f"{public_folder}/closed/*"])
    with as_a_user():
        unreadable = finding(globs, "unreadable files")
        closed = finding(globs, f"files {public_folder}/closed/*")
        alone = finding(FileGlobs(SETTINGS, [f"{public_folder}/a.log"]), f"files {public_folder}/a.log")
        below = finding(FileGlobs(SETTINGS, [f"{public_folder}/listed/c.log"]), f"files {public_folder}/listed/c.log")
    (public_folder / "closed").chmod(0o700)
    assert f"({public_folder}/a.log): permission denied" in unreadable.detail
    assert "Permission denied" in closed.detail
    told = f"files {public_folder}/a.log: 1 file, permission denied"
    assert str(alone) == f"{told} (give the agent's user the right to read them, or run it as root)"
    for one in (closed, below):
        assert "Permission denied" in one.detail
        assert "run it as root" in one.remedy


@pytest.mark.parametrize(
    ("pattern", "told"),
    [("none-*", "no file matches yet"), ("none", "no such file yet"), ("no/folder/*", "No such file or directory")],
)
def test_nothing_there_yet(tmp_path: Path, pattern: str, told: str) -> None:
    globs = FileGlobs(SETTINGS, [f"{tmp_path}/{pattern}"])
    nothing = finding(globs, f"files {tmp_path}/{pattern}")
    assert not nothing.reached
    assert told in nothing.detail


def test_files_come_and_go(tmp_path: Path) -> None:
    globs = FileGlobs(SETTINGS, [f"{tmp_path}/*"])
    write(tmp_path, "a.log")
    assert names(globs, tmp_path) == ["a.log"]
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    assert names(globs, tmp_path) == ["a.log"]  # the log stays a log between rename and creation
    write(tmp_path, "a.log", "b.log")
    assert names(globs, tmp_path) == ["a.log", "b.log"]
    for path in tmp_path.iterdir():
        path.unlink()
    assert names(globs, tmp_path) == []


def test_links_that_go_round_in_circles(tmp_path: Path) -> None:
    """Two of them in one folder are 2^40 paths to glob."""
    write(tmp_path, "a/b/x.log", "a/y.log", "a/.hidden/z.log")
    for name in ("one", "two"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "a")
        (tmp_path / "a" / "b" / name).symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "link.log").symlink_to("a/y.log")
    globs = FileGlobs(SETTINGS, [f"{tmp_path}/**/*.log"])
    assert names(globs, tmp_path) == ["a/b/x.log", "a/y.log"]


def test_too_many_files(tmp_path: Path) -> None:
    write(tmp_path, *(f"{number}.log" for number in range(5)))
    globs = FileGlobs(DiscoverSettings(files=FilesSettings(max_files=3)), [f"{tmp_path}/*"])
    assert len(names(globs, tmp_path)) == 3
    assert "5 files match, the first 3 are followed" in finding(globs, "files").detail


def test_dockers_files_get_their_container(tmp_path: Path) -> None:
    web = write_container(
        tmp_path, "web", labels={"com.docker.compose.service": "web", "com.docker.compose.project": "p"}
    )
    quiet = write_container(tmp_path, "quiet", labels={"deckwatch.logs": "false"})
    broken = write_container(tmp_path, "broken")
    lone = write_container(tmp_path, "lone")
    (tmp_path / broken / "config.v2.json").write_text("{")
    (tmp_path / lone / "config.v2.json").unlink()
    (tmp_path / web / f"{web}-json.log.1").write_text("")
    globs = FileGlobs(SETTINGS, [f"{tmp_path}/*/*-json.log*"])
    view = globs.look().view
    assert set(view.sources) == {f"{ident}/json.log" for ident in (web, broken, lone)}
    assert quiet in view.containers
    source = view.sources[f"{web}/json.log"]
    assert source.container is not None
    assert (source.container.name, source.container.service, source.ended) == ("web", "web", True)
    assert source.path == f"{tmp_path}/{web}/{web}-json.log"
    assert view.containers[web].state is ContainerState.EXITED
    for ident in (broken, lone):
        context = view.sources[f"{ident}/json.log"].container
        assert context is not None
        assert (context.id, context.name) == (ident, "")
    assert "config.v2.json" in finding(globs, "broken descriptions of containers").detail


def test_five_thousand_files(tmp_path: Path) -> None:
    write(tmp_path, *(f"{number}.log" for number in range(5000)))
    globs = FileGlobs(SETTINGS, [f"{tmp_path}/*.log"])
    assert len(globs.look().view.sources) == 5000
    started_s = time.process_time()
    assert len(globs.look().view.sources) == 5000
    assert time.process_time() - started_s < 2  # measured: 0.08 s
