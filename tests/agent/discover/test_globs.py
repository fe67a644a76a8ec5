"""Which matches are logs, and which their predecessors."""

from __future__ import annotations

import re
from glob import iglob
from pathlib import Path

import pytest

from agent.discover.globs import compiled, dated_bases, fixed_folder, is_wild, live_logs, rotated_glob


@pytest.mark.parametrize(
    ("patterns", "paths", "logs"),
    [
        (["/l/*.log"], ["/l/a.log", "/l/b.log"], ["/l/a.log", "/l/b.log"]),
        (["/l/app.log*"], ["/l/app.log", "/l/app.log.1", "/l/app.log.2.gz"], ["/l/app.log"]),
        (["/l/*"], ["/l/app.log", "/l/app.log-20240131", "/l/app.log-20240201.gz"], ["/l/app.log"]),
        (["/l/*"], ["/l/app.log.1"], ["/l/app.log"]),  # nocreate, or just renamed: its base is the log
        (["/l/*"], ["/l/access.20240131", "/l/access.20240201"], ["/l/access.20240131", "/l/access.20240201"]),
        (["/l/*"], ["/l/access.1700000000"], ["/l/access.1700000000"]),  # rotatelogs by epoch: live under that name
        (["/l/*"], ["/l/worker", "/l/worker-1", "/l/worker-2"], ["/l/worker", "/l/worker-1", "/l/worker-2"]),
        (["/l/*.log"], ["/l/app-2024-01-31.log"], ["/l/app-2024-01-31.log"]),
        (["/l/app.log.*"], ["/l/app.log.1"], ["/l/app.log.1"]),  # only these were asked for
        (["/l/app.log.1"], ["/l/app.log.1"], ["/l/app.log.1"]),  # asked for by name
        (["/**/*"], ["/l/a/app.log", "/l/a/app.log.1", "/l/b/app.log.1"], ["/l/a/app.log", "/l/b/app.log"]),
    ],
)
def test_live_logs(patterns: list[str], paths: list[str], logs: list[str]) -> None:
    assert live_logs(paths, patterns, known=()) == logs


def test_a_known_log_is_not_taken_for_another_while_it_is_renamed() -> None:
    assert live_logs(["/l/app.log-20240131"], ["/l/*"], known={"/l/app.log"}) == ["/l/app.log"]


NAMES = [
    "a.log",
    "b.log",
    "abc",
    "a.b",
    "axb",
    ".hidden",
    "sub/x.log",
    "sub/deep/y.log",
    ".d/z.log",
    "a[b",
    "we]rd",
    "wexrd",
]
PATTERNS = [
    "*.log",
    "a?c",
    "[ab].log",
    "[!a].log",
    "**/*.log",
    "**",
    "sub/*",
    "*/x.log",
    ".hid*",
    "a[[]b",
    "we[]x]rd",
    "*",
    "a.b",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mean_what_glob_makes_of_them(tmp_path: Path, pattern: str) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    whole = f"{tmp_path}/{pattern}"
    by_glob = {path for path in iglob(whole, recursive=True) if Path(path).is_file()}  # noqa: PTH207
    by_us = {f"{tmp_path}/{name}" for name in NAMES if compiled(whole).fullmatch(f"{tmp_path}/{name}")}
    assert by_us == by_glob


@pytest.mark.parametrize(
    ("path", "dated", "predecessors", "others"),
    [
        ("/l/app.log", False, ["app.log.1", "app.log.12.gz"], ["app.log", "app.log-20240131", "app.log.old"]),
        ("/l/app.log", True, ["app.log-20240131", "app.log-20240131-120000.gz", "app.log.20240131"], ["app.log-1"]),
        ("/l/worker", False, ["worker.1"], ["worker-1", "worker-20240131"]),
        ("/l/a[1]*.log", False, ["a[1]*.log.1"], ["a1x.log.1"]),
    ],
)
def test_rotated_glob(path: str, dated: bool, predecessors: list[str], others: list[str]) -> None:
    pattern = compiled(rotated_glob(path, dated=dated))
    for name in predecessors:
        assert pattern.fullmatch(f"/l/{name}"), name
    for name in others:
        assert not pattern.fullmatch(f"/l/{name}"), name


def test_dated_bases() -> None:
    names = ["a.log", "a.log-20240131", "b.log", "b.log.1", "c.log-20240131.gz", "worker", "worker-1"]
    assert dated_bases(names) == {"a.log"}


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("/l/*.log", "/l"),
        ("/l/a*/x.log", "/l"),
        ("/l/**/x", "/l"),
        ("/l/x.log", "/l"),
        ("/*", "/"),
        ("/l/[ab]/c", "/l"),
    ],
)
def test_fixed_folder(pattern: str, folder: str) -> None:
    assert fixed_folder(pattern) == folder
    assert is_wild(pattern) == bool(re.search(r"[*?\[]", pattern))
