"""Containers as targets: which of them ask for it, where they are, and with a real Docker engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from agent.discover.app import Discovery
from agent.discover.docker_container import endpoint, from_api, from_disk
from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.model import ContainerState, Endpoint, FoundContainer
from agent.scrape.app import Scraper
from agent.scrape.find.docker import asking, described, hints
from agent.scrape.settings import ContainerScrapes, DockerSd, JobSettings, ScrapeSettings
from agent.scrape.target import IDENTITY, Found, job_defaults, make_target
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Container, Samples, Workload
from tests.fixtures.docker_engine import Engine

SETTINGS = ContainerScrapes()
NET = (("bridge", "172.17.0.2"), ("shop", "172.18.0.3"))


def found(
    ident: str = "a",
    labels: dict[str, str] | None = None,
    *,
    networks: tuple[tuple[str, str], ...] = NET,
    ports: tuple[int, ...] = (),
    mode: str = "bridge",
    workload: Workload | None = None,
    state: ContainerState = ContainerState.RUNNING,
    service: str = "",
) -> FoundContainer:
    known = Container(ident, f"web-{ident}", "nginx", "docker", (), workload, service)
    return FoundContainer(
        known, state, network_mode=mode, endpoint=Endpoint(networks, ports, tuple(sorted((labels or {}).items())))
    )


def ask(*containers: FoundContainer) -> list[dict[str, str]]:
    targets = asking({one.container.id: one for one in containers}, SETTINGS)
    return [{k: v for k, v in one.labels if not k.startswith(IDENTITY)} for one in targets]


@pytest.mark.parametrize(
    "names",
    [
        ("prometheus.io/scrape", "prometheus.io/port"),
        ("prometheus.scrape", "prometheus.port"),
        ("prometheus_io_scrape", "prometheus_io_port"),
        ("prometheus-scrape", "prometheus-port"),
        ("io.prometheus.scrape", "io.prometheus.port"),
        ("annotation.prometheus.io/scrape", "annotation.prometheus.io/port"),
    ],
)
def test_forms_of_labels(names: tuple[str, str]) -> None:
    assert hints(dict(zip(names, ("true", "80"), strict=True))) == {"scrape": "true", "port": "80"}


@pytest.mark.parametrize("name", ["prometheus", "prometheus.io", "prometheus.io/x", "my.prometheus.scrape", "x"])
def test_what_is_no_hint(name: str) -> None:
    assert hints({name: "true"}) == {}


@pytest.mark.parametrize(
    ("container", "want"),
    [
        (found(labels={}), []),
        (found(labels={"prometheus.io/scrape": "false", "prometheus.io/port": "80"}), []),
        (found(labels={"prometheus.io/scrape": "true"}, ports=(80,), state=ContainerState.EXITED), []),
        (
            found(labels={"prometheus.io/scrape": "True"}, ports=(80, 9100)),
            [{"__address__": "172.17.0.2:80", "job": "web-a"}],
        ),
        (
            found(
                labels={
                    "prometheus.scrape": "true",
                    "prometheus.port": "9100",
                    "prometheus.path": "/m",
                    "prometheus.scheme": "HTTPS",
                    "prometheus.job": "own",
                },
                ports=(80,),
            ),
            [{"__address__": "172.17.0.2:9100", "__metrics_path__": "/m", "__scheme__": "https", "job": "own"}],
        ),
        (
            found(labels={"prometheus.io/scrape": "1", "prometheus.io/port": "9100"}, mode="host", networks=()),
            [{"__address__": "127.0.0.1:9100", "job": "web-a"}],
        ),
        (
            found(labels={"prometheus.io/scrape": "1"}, ports=(80,), networks=(("n", "fd00::2"),), service="shop"),
            [{"__address__": "[fd00::2]:80", "job": "shop"}],
        ),
        (
            found(labels={"prometheus.io/scrape": "1"}, ports=(80,), workload=Workload("compose", "shop", "web")),
            [{"__address__": "172.17.0.2:80", "job": "web"}],
        ),
        (found(labels={"prometheus.io/scrape": "1"}), [{"__address__": "", "job": "containers"}]),
        (
            found(labels={"prometheus.io/scrape": "1"}, ports=(80,), networks=(), mode="none"),
            [{"__address__": "", "job": "containers"}],
        ),
    ],
)
def test_who_is_scraped_where(container: FoundContainer, want: list[dict[str, str]]) -> None:
    assert ask(container) == want


def test_a_shared_network_is_its_owners() -> None:
    side = found("b", {"prometheus.io/scrape": "1", "prometheus.io/port": "9"}, networks=(), mode="container:a")
    assert ask(found("a"), side) == [{"__address__": "172.17.0.2:9", "job": "web-b"}]
    host = found("a", mode="host", networks=())
    assert ask(host, side) == [{"__address__": "127.0.0.1:9", "job": "web-b"}]


def test_identity_stands_on_the_series() -> None:
    pod = Workload("kubernetes", "shop", "cart", "cart-0", "app")
    [one] = asking({"a": found(labels={"prometheus.io/scrape": "1"}, ports=(80,), workload=pod)}, SETTINGS)
    job = JobSettings(job_name="containers")
    target = make_target(one, job, job_defaults(job, ScrapeSettings()))
    assert target is not None
    assert dict(target.soft) == {
        "container": "app",
        "container_id": "a",
        "image": "nginx",
        "name": "web-a",
        "namespace": "shop",
        "pod": "cart-0",
    }
    assert dict(target.labels) == {"instance": "172.17.0.2:80", "job": "cart"}


def test_docker_sd_gives_each_port_of_each_network() -> None:
    web = found(labels={"com.docker.compose.service": "web"}, ports=(80, 9100))
    targets = [dict(one.labels) for one in described({"a": web}, DockerSd())]
    assert [one["__address__"] for one in targets] == [
        "172.17.0.2:80",
        "172.17.0.2:9100",
        "172.18.0.3:80",
        "172.18.0.3:9100",
    ]
    first = {name: value for name, value in targets[0].items() if name.startswith("__meta")}
    assert first == {
        "__meta_docker_container_id": "a",
        "__meta_docker_container_label_com_docker_compose_service": "web",
        "__meta_docker_container_name": "/web-a",
        "__meta_docker_container_network_mode": "bridge",
        "__meta_docker_network_ip": "172.17.0.2",
        "__meta_docker_network_name": "bridge",
        "__meta_docker_port_private": "80",
    }


def test_docker_sd_without_ports_and_in_the_hosts_network() -> None:
    assert [dict(one.labels)["__address__"] for one in described({"a": found()}, DockerSd(port=8080))] == [
        "172.17.0.2:8080",
        "172.18.0.3:8080",
    ]
    [host] = described({"a": found(mode="host", networks=(("host", ""),))}, DockerSd(host_networking_host="h"))
    assert dict(host.labels)["__address__"] == "h"
    assert described({"a": found(state=ContainerState.PAUSED)}, DockerSd()) == []


def test_what_an_engine_says_of_the_network() -> None:
    about = {
        "Config": {"ExposedPorts": {"9100/tcp": {}, "53/udp": {}, "80/tcp": {}}, "Labels": {"b": "2", "a": "1"}},
        "NetworkSettings": {
            "Networks": {
                "z": {"IPAddress": "10.0.0.2"},
                "none": {"IPAddress": ""},
                "six": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"},
            }
        },
    }
    want = Endpoint((("six", "fd00::2"), ("z", "10.0.0.2")), (80, 9100), (("a", "1"), ("b", "2")))
    assert endpoint(from_api(json.dumps(about).encode())) == want
    assert endpoint(from_disk(json.dumps(about).encode(), None)) == want
    assert endpoint(from_api(b"{}")) == Endpoint()


@pytest.fixture
def engine(docker_engine: Engine) -> Iterator[Engine]:
    yield docker_engine
    docker_engine.close_containers()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.docker
async def test_a_real_container_that_asks_is_scraped_from_start_to_stop(engine: Engine) -> None:
    port, name = free_port(), f"dw-exporter-{uuid.uuid4().hex[:8]}"
    frames: list[Samples] = []
    settings = DiscoverSettings(
        docker=DockerSettings(socket=str(engine.socket), containers_dir=str(engine.containers_dir)),
        cri=CriSettings(enabled=False),
    )
    registry = CollectorRegistry()
    discovery = Discovery(settings, (), SystemClock(), registry)
    scrapes = ScrapeSettings(scrape_interval="1s", scrape_timeout="1s")
    scraper = Scraper(scrapes, discovery, frames.append, SystemClock(), registry)
    await discovery.first_look()
    tasks = [asyncio.create_task(discovery.run()), asyncio.create_task(scraper.run())]
    try:
        ident = await asyncio.to_thread(
            engine.run,
            name,
            f"mkdir /w; echo 'hits 7' > /w/metrics; exec httpd -f -p 127.0.0.1:{port} -h /w",
            labels={"prometheus.io/scrape": "true", "prometheus.io/port": str(port)},
            network="host",
        )
        async with asyncio.timeout(30):
            while not any(len(frame.schemas) > 1 and frame.schemas[1][0].name == "hits" for frame in frames):
                await asyncio.sleep(0.05)
        labels = dict(frames[-1].targets[0].labels)
        assert labels == {
            "container_id": ident,
            "image": engine.image,
            "instance": f"127.0.0.1:{port}",
            "job": name,
            "name": name,
        }
        await asyncio.to_thread(engine.post, ident, "kill")
        async with asyncio.timeout(30):
            while not frames[-1].ended:
                await asyncio.sleep(0.05)
        assert dict(frames[-1].ended[0]) == labels
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def test_found_targets_compare_by_their_labels() -> None:
    assert Found.of({"b": "1"}, {"a": "2", "b": "3"}) == Found((("a", "2"), ("b", "3")))
