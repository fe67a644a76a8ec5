"""When and how the collector is told of targets."""

from __future__ import annotations

import msgspec
import pytest

from agent.scrape.pool import AGAIN_S, CHANGED_S, MOST_DROPPED, Known, Telling, least_known, pool_frames
from deckwatch.wire.codec import decode_frame, pack_frame
from deckwatch.wire.model import ScrapeTarget

A = ScrapeTarget("http://a/metrics", (("__address__", "a"),), (("instance", "a"),), 15, 10)
DOWN = msgspec.structs.replace(A, trouble="it answered 500")


@pytest.mark.parametrize(
    ("known", "now_s", "due"),
    [
        (Known((A,)), 1.0, False),
        (Known((DOWN,)), CHANGED_S - 1, False),
        (Known((DOWN,)), CHANGED_S, True),
        (Known((A,), ((("x", "y"),),)), CHANGED_S, True),
        (Known((A,)), AGAIN_S - 1, False),
        (Known((A,)), AGAIN_S, True),
    ],
)
def test_it_is_told_on_changes_and_every_few_minutes(known: Known, now_s: float, due: bool) -> None:
    telling = Telling()
    assert telling.is_due(Known((A,)), 0)
    assert telling.is_due(known, now_s) is due
    assert not telling.is_due(known, now_s)


def test_many_targets_are_several_frames() -> None:
    many = [msgspec.structs.replace(A, url=f"http://{n:04}/") for n in reversed(range(450))]
    dropped = [(("n", str(n)),) for n in range(MOST_DROPPED + 7)]
    frames = pool_frames("j", "blue", 5, least_known(many, dropped))
    pools = [frame.pool for frame in frames if frame.pool]
    assert [(pool.name, pool.part, pool.parts, len(pool.active), len(pool.dropped)) for pool in pools] == [
        ("j", 0, 3, 200, MOST_DROPPED),
        ("j", 1, 3, 200, 0),
        ("j", 2, 3, 50, 0),
    ]
    assert [target.url for pool in pools for target in pool.active] == [f"http://{n:04}/" for n in range(450)]
    assert {(frame.tenant, frame.ts_ns, pool.dropped_count) for frame, pool in zip(frames, pools, strict=True)} == {
        ("blue", 5, MOST_DROPPED + 7)
    }
    packed = pack_frame(frames[0])
    assert decode_frame(packed, 0, len(packed)) == frames[0]


def test_a_job_without_targets_says_so() -> None:
    (frame,) = pool_frames("j", "default", 5, Known())
    assert frame.pool is not None
    assert (frame.pool.active, frame.pool.parts) == ((), 1)
