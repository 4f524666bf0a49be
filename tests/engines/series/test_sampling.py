# SPDX-License-Identifier: Apache-2.0
"""Series for who computes with them: points where they are few or a fine grain is asked for, else minutes and hours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.series.play import DEVICE, START, Play

from armillary.engines.series.retention import DAY_MS
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.engines.series.values.rollups import MINUTE_MS
from armillary.engines.series.values.sampling import Sampled

pytestmark = pytest.mark.usefixtures("engine")
STEP_MS = 20_000
POINTS = 3 * HOUR_MS // STEP_MS  # three hours; two are sealed, the last is in the tail


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    playing = Play(tmp_path / "hub", values_days=20, rollups_days=30)
    yield playing
    playing.store.close(START)


def filled(play: Play) -> None:
    for part in (range(360), range(360, POINTS)):
        play.keep(*((START + n * STEP_MS, {"t": n}) for n in part))
        if part.start == 0:
            play.flush(START + 2 * HOUR_MS)
            play.seal(START + 4 * HOUR_MS)
        else:
            play.decode()


def read(play: Play, grain_ms: int, most: int, start_ms: int = START, end_ms: int = START + 3 * HOUR_MS) -> Sampled:
    ((_, _, key),) = play.store.fleet.series((DEVICE,), None)
    ((found, sampled),) = play.store.fleet.samples((key,), start_ms, end_ms, grain_ms, most)
    assert found == key
    return sampled


@pytest.mark.parametrize(
    ("grain_ms", "most", "width_ms", "count"),
    [
        (0, 1, 0, POINTS), (MINUTE_MS - 1, 1, 0, POINTS), (HOUR_MS, POINTS, 0, POINTS),
        (MINUTE_MS, 100, MINUTE_MS, 180), (HOUR_MS - 1, 100, MINUTE_MS, 180), (HOUR_MS, 100, HOUR_MS, 3),
    ],
)  # fmt: skip
def test_the_width_is_as_fine_as_asked_and_no_finer_than_needed(
    play: Play, grain_ms: int, most: int, width_ms: int, count: int
) -> None:
    filled(play)
    found = read(play, grain_ms, most)
    assert (found.width_ms, found.count) == (width_ms, count)
    if width_ms:
        assert sum(each.points for each in found.rollups) == POINTS
        assert sum(each.total for each in found.rollups) == sum(range(POINTS))
        assert found.rollups[-1].last == POINTS - 1
    else:
        assert [value for part in found.points for value in part.values] == list(range(POINTS))


def test_a_range_ends_where_it_ends(play: Play) -> None:
    filled(play)
    some = read(play, 0, 1, START + STEP_MS, START + HOUR_MS + 1)
    assert [value for part in some.points for value in part.values] == list(range(1, 181))
    minutes = read(play, MINUTE_MS, 1, START + HOUR_MS, START + HOUR_MS + MINUTE_MS)
    assert [each.start_ms for each in minutes.rollups] == [START + HOUR_MS]


def test_past_their_retention_points_are_read_as_minutes(play: Play) -> None:
    filled(play)
    now = START + 25 * DAY_MS
    play.flush(now)
    play.maintain(now)
    found = read(play, 0, 10**6)
    assert found.width_ms == MINUTE_MS
    assert found.rollups[0].start_ms == START
