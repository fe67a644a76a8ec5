"""Stands for a peer's binary in tests: reads one file from where it was, posts it, remembers the place, goes on.

Takes the peer's own command line (`-p name=value`). With STAND_IN_FORGETS it remembers before it has posted: what is
under way when it is killed is lost then.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from itertools import pairwise
from pathlib import Path


def main(words: list[str]) -> None:
    options = dict(word.split("=", 1) for flag, word in pairwise(words) if flag == "-p")
    place = Path(options["db"])
    url = f"http://{options['host']}:{options['port']}{options['uri']}"
    while True:
        for log in Path(options["path"]).parent.glob("*.log"):
            _send_new(log, place, url, forgets=bool(os.environ.get("STAND_IN_FORGETS")))
        time.sleep(0.05)


def _send_new(log: Path, place: Path, url: str, *, forgets: bool) -> None:
    at = int(place.read_text()) if place.exists() else 0
    with log.open("rb") as file:
        file.seek(at)
        data = file.read(200_000)
    data = data[: data.rfind(b"\n") + 1]
    if not data:
        return
    if forgets:
        place.write_text(str(at + len(data)))
    try:
        urllib.request.urlopen(url, data=data, timeout=5).close()
    except OSError:
        return
    place.write_text(str(at + len(data)))


if __name__ == "__main__":
    main(sys.argv[1:])
