"""Answers of engines in several versions, and what we make of them."""

from __future__ import annotations

import json

import pytest

from agent.engine.answers import (
    DiskUsage,
    Image,
    ListedContainer,
    ListedImage,
    ListedVolumes,
    Lists,
    Usage,
    Volume,
    decode,
    image_name,
    lists,
    usage,
)
from agent.engine.series import series
from deckwatch.runtime.faults import Reject
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Column

IMAGES = json.dumps(
    [
        {"Id": "sha256:" + "a" * 64, "RepoTags": ["web:2", "web:1"], "Created": 100, "Size": 50, "Containers": -1},
        {"Id": "sha256:" + "b" * 64, "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "Size": 30},
        {"Id": "sha256:" + "c" * 64, "RepoTags": None, "RepoDigests": ["db@sha256:dd"], "Created": 7, "Size": 20},
    ]
).encode()
VOLUMES = b"""{"Volumes": [
    {"Name": "data", "Driver": "local", "CreatedAt": "1970-01-01T00:01:40Z"},
    {"Name": "old", "Driver": "nfs"}], "Warnings": null}"""
CONTAINERS = json.dumps(
    [
        {"ImageID": "sha256:" + "a" * 64, "Mounts": [{"Type": "volume", "Name": "data"}, {"Type": "bind"}]},
        {
            "ImageID": "sha256:" + "a" * 64,
            "Mounts": [{"Type": "volume", "Name": "data", "Destination": x} for x in ("/a", "/b")],
        },
        {"ImageID": "sha256:" + "c" * 64},
    ]
).encode()
FOUND = Lists(
    (
        Image("a" * 12, "web:1", 50, 100, 2),
        Image("b" * 12, "", 30, 0, 0),
        Image("c" * 12, "db@sha256:dd", 20, 7, 1),
    ),
    (Volume("data", "local", 100.0, 2), Volume("old", "nfs", None, 0)),
)


def test_lists() -> None:
    found = lists(
        decode(list[ListedImage], IMAGES, "images"),
        decode(ListedVolumes, VOLUMES, "volumes"),
        decode(list[ListedContainer], CONTAINERS, "containers"),
    )
    assert found == FOUND
    assert lists([], ListedVolumes(), []) == Lists()


@pytest.mark.parametrize(
    ("told", "want"),
    [
        (
            {
                "LayersSize": 500,
                "Volumes": [
                    {"Name": "data", "UsageData": {"Size": 10, "RefCount": 1}},
                    {"Name": "old", "UsageData": {"Size": -1, "RefCount": 0}},
                    {"Name": "unknown", "UsageData": None},
                ],
                "BuildCache": [{"Size": 3}, {"Size": 4}],
            },
            Usage(500, 7, {"data": 10}),
        ),
        ({"LayersSize": -1, "Volumes": None, "BuildCache": None}, Usage()),
        ({"LayersSize": 0, "Volumes": [], "BuildCache": []}, Usage(0, 0)),
        ({}, Usage()),
    ],
)
def test_usage(told: dict[str, object], want: Usage) -> None:
    assert usage(decode(DiskUsage, json.dumps(told).encode(), "usage")) == want


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"Volumes": 3}', b'{"Volumes": [{"Name": "\xff"}]}'])
def test_what_cannot_be_understood(body: bytes) -> None:
    with pytest.raises(Reject, match="list of volumes can't be understood"):
        decode(ListedVolumes, body, "list of volumes")


@pytest.mark.parametrize(
    ("tags", "digests", "want"),
    [
        (("b:1", "a:1"), None, "a:1"),
        ((), ("a@sha256:dd",), "a@sha256:dd"),
        (("<none>:<none>",), ("<none>@<none>",), ""),
        (None, None, ""),
    ],
)
def test_image_name(tags: tuple[str, ...] | None, digests: tuple[str, ...] | None, want: str) -> None:
    assert image_name(ListedImage("x", tags, digests)) == want


def test_series() -> None:
    made = series(FOUND, Usage(500, 7, {"data": 10}), most=100)
    assert {column.name for column in made} <= set(CATALOGUE)
    web = (("image", "web:1"), ("image_id", "a" * 12))
    data, old = (("driver", "local"), ("volume", "data")), (("driver", "nfs"), ("volume", "old"))
    assert made[Column("container_image_size_bytes", web)] == 50
    assert made[Column("container_image_containers", web)] == 2
    assert made[Column("container_image_size_bytes", (("image_id", "b" * 12),))] == 30
    assert made[Column("container_images", (("state", "tagged"),))] == 2
    assert made[Column("container_images_size_bytes", (("state", "dangling"),))] == 30
    assert made[Column("container_volumes", (("state", "dangling"),))] == 1
    assert made[Column("container_volume_size_bytes", data)] == 10
    assert made[Column("container_volume_created_time_seconds", data)] == 100
    assert Column("container_volume_size_bytes", old) not in made
    assert Column("container_volume_created_time_seconds", old) not in made
    assert made[Column("container_image_layers_size_bytes")] == 500
    assert made[Column("container_build_cache_size_bytes")] == 7


def test_only_the_largest_have_series_of_their_own() -> None:
    made = series(FOUND, Usage(volumes={"old": 10}), most=1)
    assert [dict(column.labels)["image"] for column in made if column.name == "container_image_size_bytes"] == ["web:1"]
    assert [dict(c.labels)["volume"] for c in made if c.name == "container_volume_containers"] == ["old"]
    assert made[Column("container_images", (("state", "tagged"),))] == 2
    assert not [column for column in made if column.name in ("container_build_cache_size_bytes",)]
