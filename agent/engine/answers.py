"""Docker's answers about images, volumes and disk usage, and what we take of them. Pure.

Form: Docker Engine API 1.24 to 1.5x, "List images", "List volumes", "List containers", "Get data usage information";
Podman serves the same. What an engine doesn't tell is -1, null or missing there, and None here.
"""

from __future__ import annotations

from collections import Counter as Tally
from typing import TypeVar

import msgspec

from agent.discover.docker_container import time_ns
from deckwatch.runtime.faults import Reject

T = TypeVar("T")

_NONE = "<none>"


class ListedImage(msgspec.Struct, frozen=True, rename="pascal"):
    id: str = ""
    repo_tags: tuple[str, ...] | None = None
    repo_digests: tuple[str, ...] | None = None
    created: int = 0  # Unix seconds
    size: int = 0


class Mounted(msgspec.Struct, frozen=True, rename="pascal"):
    type: str = ""
    name: str = ""


class ListedContainer(msgspec.Struct, frozen=True, rename="pascal"):
    image_id: str = msgspec.field(default="", name="ImageID")
    mounts: tuple[Mounted, ...] | None = None


class UsageData(msgspec.Struct, frozen=True, rename="pascal"):
    size: int = -1
    ref_count: int = -1


class ListedVolume(msgspec.Struct, frozen=True, rename="pascal"):
    name: str = ""
    driver: str = ""
    created_at: str = ""  # since API 1.25
    usage_data: UsageData | None = None  # of disk usage alone


class ListedVolumes(msgspec.Struct, frozen=True, rename="pascal"):
    volumes: tuple[ListedVolume, ...] | None = None


class CacheRecord(msgspec.Struct, frozen=True, rename="pascal"):
    size: int = 0


class DiskUsage(msgspec.Struct, frozen=True, rename="pascal"):
    layers_size: int | None = None
    volumes: tuple[ListedVolume, ...] | None = None
    build_cache: tuple[CacheRecord, ...] | None = None


class Image(msgspec.Struct, frozen=True):
    id: str  # 12 hex digits
    name: str  # its first tag, else repository@digest; empty: dangling
    size_bytes: int
    created_s: int
    containers: int  # made of it, ended ones included


class Volume(msgspec.Struct, frozen=True):
    name: str
    driver: str
    created_s: float | None
    containers: int


class Lists(msgspec.Struct, frozen=True):
    images: tuple[Image, ...] = ()
    volumes: tuple[Volume, ...] = ()


class Usage(msgspec.Struct, frozen=True):
    """None: not told."""

    layers_bytes: int | None = None  # of all images, shared layers once
    build_cache_bytes: int | None = None
    volumes: dict[str, int] = {}  # by name; only those whose driver tells


def decode(kind: type[T], body: bytes, what: str) -> T:
    """Raises Reject."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Reject(f"the engine's {what} can't be understood: {error}") from None


def lists(images: list[ListedImage], volumes: ListedVolumes, containers: list[ListedContainer]) -> Lists:
    of_image = Tally(container.image_id for container in containers)
    of_volume = Tally(
        name for container in containers for name in {m.name for m in container.mounts or () if m.type == "volume"}
    )
    return Lists(
        tuple(_image(one, of_image[one.id]) for one in images if one.id),
        tuple(_volume(one, of_volume[one.name]) for one in volumes.volumes or () if one.name),
    )


def usage(told: DiskUsage) -> Usage:
    sizes = {one.name: one.usage_data.size for one in told.volumes or () if one.usage_data is not None}
    cache = None if told.build_cache is None else sum(max(0, record.size) for record in told.build_cache)
    layers = told.layers_size if told.layers_size is not None and told.layers_size >= 0 else None
    return Usage(layers, cache, {name: size for name, size in sizes.items() if size >= 0})


def image_name(image: ListedImage) -> str:
    """Pulled by digest alone an image has no tag, but it isn't dangling: a name leads to it."""
    tags = sorted(tag for tag in image.repo_tags or () if _NONE not in tag)
    digests = sorted(digest for digest in image.repo_digests or () if _NONE not in digest)
    return (tags or digests or [""])[0]


def short_id(ident: str) -> str:
    return ident.removeprefix("sha256:")[:12]


def _image(listed: ListedImage, containers: int) -> Image:
    return Image(short_id(listed.id), image_name(listed), listed.size, listed.created, containers)


def _volume(listed: ListedVolume, containers: int) -> Volume:
    created_ns = time_ns(listed.created_at)
    return Volume(listed.name, listed.driver, None if created_ns is None else created_ns / 1e9, containers)
