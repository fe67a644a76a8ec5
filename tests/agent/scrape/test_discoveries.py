"""Consul, Kubernetes and DNS as discoveries, each from a server on loopback that speaks as they do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agent.checks.dns_message import Message, Record, RecordType
from agent.scrape.find.consul import Check, ConsulTargets, health
from agent.scrape.find.dns import DnsTargets, dns_targets
from agent.scrape.find.groups import read_groups
from agent.scrape.find.kubernetes import PodTargets, pods_url
from agent.scrape.settings import ConsulSd, DnsSd, KubernetesSd
from agent.scrape.target import IDENTITY, Found
from deckwatch.runtime.faults import Reject, Retry, Unusable
from deckwatch.runtime.http_settings import Authorization


class Api:
    """Answers JSON by path, as it was told."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []
        self.address = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((str(request.rel_url), request.headers.get("Authorization", "")))
        if request.path not in self.answers:
            return web.Response(status=404)
        return web.json_response(self.answers[request.path])


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    one, app = Api(), web.Application()
    app.router.add_get("/{path:.*}", one.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.address = "{}:{}".format(*runner.addresses[0][:2])
    yield one
    await runner.cleanup()


def metas(found: Found, prefix: str = "__meta_") -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in found.labels if name.startswith(prefix)}


def consul_entry(
    node: str, *, address: str = "", tags: tuple[str, ...] = (), status: str = "passing"
) -> dict[str, Any]:
    return {
        "Node": {
            "Node": node,
            "Address": "10.0.0.1",
            "Datacenter": "dc1",
            "Meta": {"rack-1": "r"},
            "TaggedAddresses": {"lan": "10.0.0.1"},
        },
        "Service": {
            "ID": f"web-{node}",
            "Service": "web",
            "Address": address,
            "Port": 8080,
            "Tags": list(tags),
            "Meta": {"v": "2"},
        },
        "Checks": [{"Status": "passing"}, {"Status": status}],
    }


async def test_consul(api: Api) -> None:
    api.answers["/v1/catalog/services"] = {"web": ["prod", "x"], "db": [], "consul": None}
    api.answers["/v1/health/service/web"] = [
        consul_entry("n2", tags=("prod",), status="critical"),
        consul_entry("n1", address="10.0.0.9", tags=("prod", "x")),
        consul_entry("n3", tags=("test",)),
    ]
    consul = ConsulTargets(ConsulSd(server=api.address, tags=("prod",), datacenter="dc1"))
    try:
        look = await consul.look()
    finally:
        await consul.close()
    assert [dict(one.labels)["__address__"] for one in look.found] == ["10.0.0.1:8080", "10.0.0.9:8080"]
    assert metas(look.found[1], "__meta_consul_") == {
        "address": "10.0.0.1",
        "dc": "dc1",
        "health": "passing",
        "metadata_rack_1": "r",
        "node": "n1",
        "service": "web",
        "service_address": "10.0.0.9",
        "service_id": "web-n1",
        "service_metadata_v": "2",
        "service_port": "8080",
        "tagged_address_lan": "10.0.0.1",
        "tags": ",prod,x,",
    }
    assert metas(look.found[0])["consul_health"] == "critical"
    assert [asked for asked, _ in api.asked] == ["/v1/catalog/services?dc=dc1", "/v1/health/service/web?dc=dc1"]


async def test_consul_that_answers_otherwise(api: Api) -> None:
    consul = ConsulTargets(ConsulSd(server=api.address))
    try:
        with pytest.raises(Retry, match="answered 404"):
            await consul.look()
        api.answers["/v1/catalog/services"] = ["no", "services"]
        with pytest.raises(Reject, match="not what it should be"):
            await consul.look()
    finally:
        await consul.close()
    gone = ConsulTargets(ConsulSd(server="127.0.0.1:1"))
    with pytest.raises(aiohttp.ClientError):
        await gone.look()
    await gone.close()


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ((), "passing"),
        (("passing", "warning"), "warning"),
        (("critical", "warning"), "critical"),
        (("maintenance",), "maintenance"),
    ],
)
def test_health_is_the_worst(states: tuple[str, ...], worst: str) -> None:
    assert health(tuple(Check(state) for state in states)) == worst


POD: dict[str, Any] = {
    "metadata": {
        "name": "cart-0",
        "namespace": "shop",
        "uid": "u-1",
        "labels": {"app.kubernetes.io/name": "cart"},
        "annotations": {"prometheus.io/scrape": "true"},
        "ownerReferences": [{"kind": "StatefulSet", "name": "cart", "controller": True}],
    },
    "spec": {
        "nodeName": "node1",
        "containers": [
            {
                "name": "app",
                "image": "cart:1",
                "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 9100}],
            },
            {"name": "side", "image": "envoy"},
        ],
    },
    "status": {
        "phase": "Running",
        "podIP": "10.1.0.5",
        "hostIP": "10.0.0.1",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "app", "containerID": "containerd://abc"}],
    },
}


async def test_pods(api: Api, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    done = {**POD, "status": {**POD["status"], "phase": "Succeeded"}}
    other = {**POD, "metadata": {**POD["metadata"], "namespace": "other"}}
    api.answers["/api/v1/pods"] = {"items": [POD, done, other, {"metadata": {"name": "pending", "namespace": "shop"}}]}
    config = KubernetesSd(
        url=f"http://{api.address}",
        node_name="node1",
        namespaces=("shop",),
        authorization=Authorization(tmp_path / "token"),
    )
    pods = PodTargets(config)
    try:
        look = await pods.look()
    finally:
        await pods.close()
    assert api.asked == [("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1", "Bearer t")]
    assert [dict(one.labels)["__address__"] for one in look.found] == ["10.1.0.5", "10.1.0.5:80", "10.1.0.5:9100"]
    assert metas(look.found[1], "__meta_kubernetes_") == {
        "namespace": "shop",
        "pod_annotation_prometheus_io_scrape": "true",
        "pod_annotationpresent_prometheus_io_scrape": "true",
        "pod_container_id": "abc",
        "pod_container_image": "cart:1",
        "pod_container_init": "false",
        "pod_container_name": "app",
        "pod_container_port_name": "http",
        "pod_container_port_number": "80",
        "pod_container_port_protocol": "TCP",
        "pod_controller_kind": "StatefulSet",
        "pod_controller_name": "cart",
        "pod_host_ip": "10.0.0.1",
        "pod_ip": "10.1.0.5",
        "pod_label_app_kubernetes_io_name": "cart",
        "pod_labelpresent_app_kubernetes_io_name": "true",
        "pod_name": "cart-0",
        "pod_node_name": "node1",
        "pod_phase": "Running",
        "pod_ready": "true",
        "pod_uid": "u-1",
    }
    assert metas(look.found[1], IDENTITY) == {
        "container": "app",
        "container_id": "abc",
        "namespace": "shop",
        "pod": "cart-0",
    }


async def test_a_kubelet_without_pods(api: Api) -> None:
    api.answers["/pods"] = {"kind": "PodList", "items": None}
    pods = PodTargets(KubernetesSd(url=f"http://{api.address}/pods"))
    try:
        assert (await pods.look()).found == []
    finally:
        await pods.close()


@pytest.mark.parametrize(
    ("config", "env", "url"),
    [
        (KubernetesSd(url="https://k:6443"), {}, "https://k:6443/api/v1/pods"),
        (KubernetesSd(url="https://k:10250/pods", node_name="n"), {}, "https://k:10250/pods"),
        (
            KubernetesSd(),
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443", "NODE_NAME": "n"},
            "https://10.0.0.1:6443/api/v1/pods?fieldSelector=spec.nodeName%3Dn",
        ),
        (KubernetesSd(), {"KUBERNETES_SERVICE_HOST": "fd00::1"}, "https://[fd00::1]:443/api/v1/pods"),
    ],
)
def test_where_pods_are_asked_for(config: KubernetesSd, env: dict[str, str], url: str) -> None:
    assert pods_url(config, env) == url


def test_pods_of_nowhere() -> None:
    with pytest.raises(Unusable, match="KUBERNETES_SERVICE_HOST"):
        pods_url(KubernetesSd(), {})


def test_dns_targets_are_in_order() -> None:
    answers = (
        Record("_m._tcp.x.", RecordType.CNAME, 1, "y."),
        Record("y.", RecordType.SRV, 1, "0 5 9100 b.example."),
        Record("y.", RecordType.SRV, 1, "0 5 9100 a.example."),
    )
    found = dns_targets("_m._tcp.x", Message(1, 0, False, answers), 0)
    assert [dict(one.labels)["__address__"] for one in found] == ["a.example:9100", "b.example:9100"]
    assert metas(found[0], "__meta_dns_") == {
        "name": "_m._tcp.x",
        "srv_record_target": "a.example.",
        "srv_record_port": "9100",
    }
    addresses = (Record("x.", RecordType.AAAA, 1, "fd00::1"), Record("x.", RecordType.A, 1, "10.0.0.1"))
    found = dns_targets("x", Message(1, 0, False, addresses), 80)
    assert {dict(one.labels)["__address__"] for one in found} == {"[fd00::1]:80", "10.0.0.1:80"}


async def test_a_name_that_can_not_be_asked_for_keeps_its_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Message | Exception] = {
        "a": Message(1, 0, False, (Record("a.", RecordType.A, 1, "10.0.0.1"),)),
        "b": Retry("no answer"),
    }

    async def look_up(name: str, kind: RecordType) -> Message:
        answer = answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("agent.scrape.find.dns.look_up", look_up)
    dns = DnsTargets(DnsSd(names=("a", "b"), type="A", port=80))
    first = await dns.look()
    assert (len(first.found), first.trouble) == (1, "no answer")
    answers["a"], answers["b"] = Retry("gone"), Message(1, 3, False)
    second = await dns.look()
    assert (second.found, second.trouble) == (first.found, "gone")
    answers["a"] = Message(1, 3, False)  # NXDOMAIN: there is nothing any more
    assert (await dns.look()).found == []


@pytest.mark.parametrize(
    ("body", "as_json", "says"),
    [
        (b"[{", True, "is no list of target groups"),
        (b"{}", True, "is no list of target groups"),
        (b'[{"target": []}]', True, "unknown field"),
        (b"- targets: [a:1\n", False, "is no list of target groups"),
        (b"- targets: a:1\n", False, "is no list of target groups"),
    ],
)
def test_files_that_are_none(body: bytes, as_json: bool, says: str) -> None:
    with pytest.raises(Reject, match=says):
        read_groups(body, json=as_json, path="x")


def test_labels_of_files_are_texts() -> None:
    found = read_groups(b"- targets: ['a:1']\n  labels: {n: 1, b: true, t: x}\n", json=False, path="f.yml")
    assert dict(found[0].labels) == {"__address__": "a:1", "__meta_filepath": "f.yml", "b": "true", "n": "1", "t": "x"}
    assert read_groups(b"", json=False, path="f.yml") == []
