"""Discovery without an engine: disk, pods and files on a host of its own."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from pathlib import Path

import pytest

from agent.discover import app
from agent.discover.app import Discovery
from agent.discover.files import FileGlobs
from agent.discover.looking import Looked
from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings, FilesSettings
from agent.discover.view import View
from agent.inotify import Inotify
from agent.model import ContainerState, Inventory
from tests.agent.discover.trees import write_container
from tests.agent.discover.watching import Watcher, watching


def settings(root: Path, *, slow: bool = False) -> DiscoverSettings:
    """No engine. `slow`: what is seen soon was seen by inotify."""
    interval_s = 60.0 if slow else 0.1
    return DiscoverSettings(
        docker=DockerSettings(
            socket=str(root / "docker.sock"), containers_dir=str(root / "containers"), disk_interval_s=interval_s
        ),
        cri=CriSettings(pods_dir=str(root / "pods"), links_dir=str(root / "links"), interval_s=interval_s),
        files=FilesSettings(interval_s=interval_s),
    )


def inventory(discovery: Discovery) -> Inventory:
    """mypy holds that it is one."""
    return discovery


async def test_first_look_is_whole(tmp_path: Path) -> None:
    web = write_container(tmp_path / "containers", "web")
    pod = tmp_path / "pods/shop_web_uid-1/nginx"
    pod.mkdir(parents=True)
    (pod / "0.log").write_text("")
    (tmp_path / "app.log").write_text("")
    watcher = Watcher(settings(tmp_path), [f"{tmp_path}/*.log", f"{tmp_path}/containers/*/*.log"])
    await watcher.discovery.first_look()
    assert list(inventory(watcher.discovery).sources) == [
        f"{web}/json.log", "shop/web/uid-1/nginx/0.log", f"{tmp_path}/app.log",
    ]  # fmt: skip
    assert watcher.calls == 1
    told = {finding.what: (finding.reached, finding.detail) for finding in watcher.discovery.findings()}
    assert told == {
        f"Docker socket {tmp_path}/docker.sock": (False, "not there"),
        f"Docker's containers {tmp_path}/containers": (True, "1 container, their logs can be read"),
        f"pod logs {tmp_path}/pods": (True, "1 pod, 1 log"),
        f"files {tmp_path}/*.log": (True, "1 file"),
        f"files {tmp_path}/containers/*/*.log": (True, "1 file"),
    }
    assert watcher.metric("containers", state="exited") == 1
    assert watcher.metric("sources") == 3


async def test_an_empty_host(tmp_path: Path) -> None:
    watcher = Watcher(settings(tmp_path), [f"{tmp_path}/none/*"])
    await watcher.discovery.first_look()
    assert watcher.calls == 0
    assert [finding.reached for finding in watcher.discovery.findings()] == [False] * 4
    assert all(finding.detail for finding in watcher.discovery.findings())
    assert "start Docker" in str(watcher.discovery.findings()[0])


async def test_switched_off(tmp_path: Path) -> None:
    write_container(tmp_path / "containers", "web")
    off = DiscoverSettings(
        docker=DockerSettings(enabled=False, containers_dir=str(tmp_path / "containers")),
        cri=CriSettings(enabled=False),
    )
    watcher = Watcher(off)
    await watcher.discovery.first_look()
    assert (watcher.discovery.sources, watcher.discovery.findings()) == ({}, [])


async def test_changes_on_disk_are_followed(tmp_path: Path) -> None:
    containers = tmp_path / "containers"
    async with watching(settings(tmp_path)) as watcher:
        web = write_container(containers, "web", like="dw-created", log=None)
        await watcher.until(lambda: watcher.container(web) is not None, "created")
        assert (source := watcher.source(web))
        assert not source.ended
        write_container(containers, "web", like="dw-done")
        await watcher.until(lambda: (seen := watcher.source(web)) is not None and seen.ended, "ended")
        shutil.rmtree(containers / web)
        await watcher.until(lambda: web not in watcher.discovery.containers, "removed")
        assert (source := watcher.source(web))  # for a while
        assert source.ended


async def test_new_folders_and_files_are_seen_at_once(tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    (tmp_path / "pods").mkdir()
    async with watching(settings(tmp_path, slow=True), [f"{tmp_path}/*.log"]) as watcher:
        await asyncio.sleep(0.3)
        web = write_container(tmp_path / "containers", "web")
        (tmp_path / "app.log").write_text("")
        pod = tmp_path / "pods/shop_web_uid-1/nginx"
        pod.mkdir(parents=True)
        (pod / "0.log").write_text("")
        wanted = {f"{web}/json.log", f"{tmp_path}/app.log", "shop/web/uid-1/nginx/0.log"}
        took_s = await watcher.until(lambda: wanted <= watcher.discovery.sources.keys(), "all three", timeout_s=5)
        assert took_s < 3
        (pod / "1.log").write_text("")
        await watcher.until(lambda: "shop/web/uid-1/nginx/1.log" in watcher.discovery.sources, "a restart", timeout_s=5)


async def test_without_inotify_time_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Inotify) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Inotify, "__init__", refuse)
    async with watching(settings(tmp_path), [f"{tmp_path}/*.log"]) as watcher:
        (tmp_path / "app.log").write_text("")
        await watcher.until(lambda: f"{tmp_path}/app.log" in watcher.discovery.sources, "found by looking")
    assert "fs.inotify.max_user_instances: Too many open files" in caplog.text


async def test_broken_files_end_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    containers = tmp_path / "containers"
    bad = write_container(containers, "bad")
    (containers / bad / "config.v2.json").write_text("{")
    async with watching(settings(tmp_path)) as watcher:
        good = write_container(containers, "good")
        await watcher.until(lambda: watcher.container(good) is not None, "the good one")
        assert watcher.source(bad) is not None
        (finding,) = (one for one in watcher.discovery.findings() if one.what == "containers' files")
        assert "1 broken file" in finding.detail
        assert watcher.metric("faults_total", part="docker", reason="config") == 1
        write_container(containers, "bad")
        await watcher.until_container(bad, lambda seen: seen.container.name == "bad", "mended")
    assert caplog.text.count("config.v2.json is no description") == 1  # not at each look


async def test_a_bad_listener_keeps_nothing_from_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(settings(tmp_path), [f"{tmp_path}/*.log"])
    called: list[int] = []

    def bad() -> None:
        raise ValueError("listener")

    watcher.discovery.on_change(bad)
    watcher.discovery.on_change(lambda: called.append(1))
    (tmp_path / "app.log").write_text("")
    await watcher.discovery.first_look()
    assert called == [1]
    assert watcher.metric("faults_total", part="listeners", reason="unexpected") == 1
    assert "please report this" in caplog.text


async def test_a_finder_that_fails_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look, failures = FileGlobs.look, [RuntimeError("a bug"), RuntimeError("a bug")]

    def fails_twice(self: FileGlobs) -> object:
        if failures:
            raise failures.pop()
        return look(self)

    monkeypatch.setattr(FileGlobs, "look", fails_twice)
    (tmp_path / "app.log").write_text("")
    async with watching(settings(tmp_path), [f"{tmp_path}/*.log"]) as watcher:
        await watcher.until(lambda: bool(watcher.discovery.sources), "found in the end")
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1


async def test_a_file_system_that_hangs_does_not_keep_us_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hung = threading.Event()

    def hang(self: FileGlobs) -> Looked:
        hung.wait()
        return Looked(View())

    monkeypatch.setattr(FileGlobs, "look", hang)
    monkeypatch.setattr(app, "FIRST_LOOK_S", 0.3)
    web = write_container(tmp_path / "containers", "web")
    watcher = Watcher(settings(tmp_path), [f"{tmp_path}/*.log"])
    try:
        await watcher.discovery.first_look()
    finally:
        hung.set()
    assert list(watcher.discovery.containers) == [web]
    assert watcher.metric("faults_total", part="files", reason="timeout") == 1
    assert "does a file system hang?" in caplog.text


async def test_a_thousand_containers(tmp_path: Path) -> None:
    for number in range(1000):
        write_container(tmp_path / "containers", f"c{number}", log=None)
    watcher = Watcher(settings(tmp_path))
    await watcher.discovery.first_look()
    states = {found.state for found in watcher.discovery.containers.values()}
    assert (len(watcher.discovery.sources), watcher.calls, states) == (1000, 1, {ContainerState.EXITED})
