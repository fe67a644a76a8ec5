"""`python -m dashboards.grafana`: build the dashboards into the JSON files of this folder."""

from __future__ import annotations

from dashboards.grafana.boards import boards
from dashboards.grafana.export import FOLDER


def main() -> None:
    for board in boards():
        path = FOLDER / f"{board.uid}.json"
        path.write_text(board.json(), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
