from __future__ import annotations

import pytest

from agent.sample.attribution import GroupIdentity, GroupKind, identify

A = "a" * 64
B = "0123456789abcdef" * 4
POD = "11111111-2222-3333-4444-555555555551"
POD_ = POD.replace("-", "_")
STATIC = "0123456789abcdef0123456789abcdef"
ALLOC = "01234567-89ab-cdef-0123-456789abcdef"
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice"


def container(ident: str, runtime: str = "", pod: str = "") -> GroupIdentity:
    return GroupIdentity(GroupKind.CONTAINER, ident, runtime, pod)


def unit(name: str, system: str = "systemd") -> GroupIdentity:
    return GroupIdentity(GroupKind.UNIT, name, system)


@pytest.mark.parametrize(
    ("path", "want"),
    [
        # Docker
        (f"/docker/{A}", container(A, "docker")),
        (f"/system.slice/docker-{A}.scope", container(A, "docker")),
        (f"/P/{A}", container(A)),  # --cgroup-parent with cgroupfs: nothing says which runtime
        (f"/P.slice/docker-{A}.scope", container(A, "docker")),
        (f"/docker/{A}/docker/{B}", container(B, "docker")),  # Docker in Docker: the last id
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope", container(A, "docker")),
        (f"/docker/{A}/init.scope", None),  # a container's own inside
        ("/docker", None),
        (f"/docker/{A[:-1]}", None),
        # Kubernetes
        (f"/kubepods/burstable/pod{POD}/{A}", container(A, "", POD)),
        (f"/kubepods/pod{POD}/{A}", container(A, "", POD)),
        (f"/kubepods/burstable/pod{POD}", None),
        (f"/kubepods/besteffort/pod{STATIC}/{A}", container(A, "", STATIC)),  # a static pod
        (f"{SLICE}/cri-containerd-{A}.scope", container(A, "containerd", POD)),
        (f"{SLICE}/docker-{A}.scope", container(A, "docker", POD)),  # dockershim, cri-dockerd
        (f"{SLICE}/crio-{A}.scope", container(A, "cri-o", POD)),
        (f"{SLICE}/crio-{A}.scope/container", container(A, "cri-o", POD)),
        (f"{SLICE}/crio-conmon-{A}.scope", None),
        (f"{SLICE}/crio-{A}", None),  # the sandbox
        (f"/kubepods/burstable/pod{POD}/crio-{A}", container(A, "cri-o", POD)),  # cgroupfs driver: a container
        (SLICE, None),
        (
            f"/system.slice/containerd.service/kubepods-burstable-pod{POD_}.slice:cri-containerd:{A}",
            container(A, "containerd", POD),
        ),
        # Podman
        (f"/machine.slice/libpod-{A}.scope", container(A, "podman")),
        (f"/machine.slice/libpod-{A}.scope/container", container(A, "podman")),
        (f"/machine.slice/libpod-conmon-{A}.scope", None),
        (f"/libpod_parent/libpod-{A}", container(A, "podman")),
        (f"/system.slice/web.service/libpod-payload-{A}", container(A, "podman")),
        (
            f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
            container(A, "podman"),
        ),
        # containerd
        (f"/system.slice/nerdctl-{A}.scope", container(A, "containerd")),
        ("/default/redis", container("redis", "containerd")),
        (f"/default/{A}", container(A, "containerd")),
        (f"/k8s.io/{A}", container(A, "containerd")),
        # others
        (f"/ecs/{STATIC}/{A}", container(A, "docker")),
        (f"/ecs/{STATIC}-1234567890", container(f"{STATIC}-1234567890", "ecs")),
        (f"/garden/{ALLOC}", container(ALLOC, "garden")),
        ("/garden/01234567-89ab-cdef-0123-4567", container("01234567-89ab-cdef-0123-4567", "garden")),
        (f"/nomad.slice/share.slice/{ALLOC}.web.scope", container(f"{ALLOC}.web", "nomad")),
        (f"/nomad/{ALLOC}.web", container(f"{ALLOC}.web", "nomad")),
        (f"/nomad/reserve/{ALLOC}.web", container(f"{ALLOC}.web", "nomad")),
        (f"/mesos/{ALLOC}", container(ALLOC, "mesos")),
        (f"/mesos/{POD}/mesos/{ALLOC}", container(ALLOC, "mesos")),
        ("/lxc/web", container("web", "lxc")),
        ("/lxc.payload.web", container("web", "lxc")),
        ("/lxc.monitor.web", None),
        (f"/lxc/101/docker/{A}", container(A, "docker")),
        (r"/machine.slice/systemd-nspawn@web\x2d1.service", container("web-1", "systemd-nspawn")),
        ("/machine.slice/machine-web.scope", container("web", "systemd-nspawn")),
        (
            r"/machine.slice/machine-qemu\x2d3\x2dvm.scope",
            GroupIdentity(GroupKind.MACHINE, "qemu-3-vm", "libvirt"),
        ),
        # units
        ("/system.slice/nginx.service", unit("nginx.service")),
        (r"/system.slice/my\x2dapp.service", unit("my-app.service")),
        ("/runtime.slice/kubelet.service", unit("kubelet.service")),
        ("/podruntime/kubelet", unit("kubelet", "talos")),
        ("/system.slice/dev-hugepages.mount", None),
        ("/system.slice", None),
        ("/init.scope", None),
        ("/", None),
        ("", None),
    ],
)
def test_identify(path: str, want: GroupIdentity | None) -> None:
    assert identify(path) == want
