"""Images and volumes as series of the host. Pure."""

from __future__ import annotations

from agent.engine.answers import Image, Lists, Usage, Volume
from deckwatch.wire.model import Column, Labels

Series = dict[Column, float]


def series(lists: Lists, usage: Usage, most: int) -> Series:
    """`most`: images and volumes that get series of their own."""
    made = _sums(lists)
    for image in sorted(lists.images, key=lambda one: (-one.size_bytes, one.id))[:most]:
        made |= _image(image)
    sizes = usage.volumes
    for volume in sorted(lists.volumes, key=lambda one: (-sizes.get(one.name, 0), one.name))[:most]:
        made |= _volume(volume, sizes.get(volume.name))
    if usage.layers_bytes is not None:
        made[Column("container_image_layers_size_bytes")] = usage.layers_bytes
    if usage.build_cache_bytes is not None:
        made[Column("container_build_cache_size_bytes")] = usage.build_cache_bytes
    return made


def _sums(lists: Lists) -> Series:
    made: Series = {}
    for state, dangling in (("tagged", False), ("dangling", True)):
        images = [image for image in lists.images if (not image.name) is dangling]
        made[Column("container_images", (("state", state),))] = len(images)
        made[Column("container_images_size_bytes", (("state", state),))] = sum(image.size_bytes for image in images)
    for state, used in (("used", True), ("dangling", False)):
        number = sum(1 for volume in lists.volumes if (volume.containers > 0) is used)
        made[Column("container_volumes", (("state", state),))] = number
    return made


def _image(image: Image) -> Series:
    labels = _labels(image=image.name, image_id=image.id)
    return {
        Column("container_image_size_bytes", labels): image.size_bytes,
        Column("container_image_created_time_seconds", labels): image.created_s,
        Column("container_image_containers", labels): image.containers,
    }


def _volume(volume: Volume, size_bytes: int | None) -> Series:
    labels = _labels(driver=volume.driver, volume=volume.name)
    made: Series = {Column("container_volume_containers", labels): volume.containers}
    if volume.created_s is not None:
        made[Column("container_volume_created_time_seconds", labels)] = volume.created_s
    if size_bytes is not None:
        made[Column("container_volume_size_bytes", labels)] = size_bytes
    return made


def _labels(**labels: str) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value))
