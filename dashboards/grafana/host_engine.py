"""What the container engine keeps on a host's disk: images, volumes, build cache."""

from __future__ import annotations

from dashboards.grafana.board import Board
from dashboards.grafana.host_io import H
from dashboards.grafana.panels import Query, graph, number, warn
from dashboards.grafana.table import Column, figures

BY = "image, image_id"


def engine(made: Board) -> None:
    made.row(
        "Images and volumes",
        graph(
            "Space on disk",
            "Layers of all images, each once; images that no name leads to (shared layers included); build cache; "
            "volumes. The engine adds them up once an hour.",
            Query(f"container_image_layers_size_bytes{{{H}}}", "layers"),
            Query(f'container_images_size_bytes{{{H}, state="dangling"}}', "dangling images"),
            Query(f"container_build_cache_size_bytes{{{H}}}", "build cache"),
            Query(f"sum by (host) (container_volume_size_bytes{{{H}}})", "volumes"),
            unit="bytes",
        ),
        figures(
            "Images",
            "The largest first; age since the image was built; how many containers were made of it.",
            {"image": "Image", "image_id": "Id"},
            [
                Column("Size", f"max by ({BY}) (container_image_size_bytes{{{H}}})", "bytes"),
                Column("Age", f"time() - max by ({BY}) (container_image_created_time_seconds{{{H}}})", "dtdurations"),
                Column("Containers", f"max by ({BY}) (container_image_containers{{{H}}})", "none"),
            ],
            worst="Size",
            width=12,
            height=8,
        ),
        number(
            "Dangling images",
            "No name leads to them and, mostly, nobody needs them: docker image prune.",
            f'container_images{{{H}, state="dangling"}}',
            unit="none",
            steps=warn(20, 100),
        ),
        number(
            "Dangling volumes",
            "No container uses them, running or not.",
            f'container_volumes{{{H}, state="dangling"}}',
            unit="none",
            steps=warn(20, 100),
        ),
    )
