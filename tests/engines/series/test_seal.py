# SPDX-License-Identifier: Apache-2.0
"""Sealing: late points, points that come twice, cuts at every statement, kill -9 at any moment, damaged rows."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from tests.engines.series.kill_runner import measured_at
from tests.engines.series.play import DEVICE, START, Play, packet
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process
from tests.postgresql import database_of

from armillary.engines.series.values import seal
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.engines.series.values.rollups import ALLOWED_LATENESS_MS
from armillary.errors import DataFolderError

HERE = Path(__file__).parent
OVER = START + HOUR_MS + ALLOWED_LATENESS_MS

pytestmark = pytest.mark.usefixtures("engine")


def stored(play: Play, table: str) -> int:
    query = f"SELECT count(*) FROM {table}"  # noqa: S608 - a constant
    return int(play.store.read(lambda connection: connection.execute(query).fetchone()[0]))


def every_point(play: Play, metric: str = "t") -> list[tuple[int, object]]:
    return play.store.raw(DEVICE, metric, 0, 2**52, 10_000)


def hour(play: Play, metric: str = "t") -> list[tuple[int, float, float, float]]:
    """The whole hour as a chart has it: count, lowest, highest, mean."""
    found = play.store.query(DEVICE, metric, START, START + HOUR_MS, 1).buckets
    return [(each.count, each.low, each.high, each.mean) for each in found]


def fleet(play: Play) -> list[tuple[int, float, float, float]]:
    found = play.store.fleet.over_time(None, "t", START, START + HOUR_MS, 10).buckets
    return [(each.count, each.low, each.high, each.total) for each in found]


def test_an_hour_is_sealed_when_it_is_over_and_its_lateness_too(play: Play) -> None:
    play.keep((START, {"t": 1}), (START + 1, {"t": 2}))
    play.seal(OVER - 1)
    assert (stored(play, "hot"), stored(play, "chunk"), stored(play, "rollup")) == (1, 0, 0)
    play.maintain(OVER)
    assert (stored(play, "hot"), stored(play, "hot_hour"), stored(play, "chunk")) == (0, 0, 1)
    assert (stored(play, "rollup"), stored(play, "fleet")) == (1, 1)
    assert play.means("t") == [(START, 1.0), (START + 1, 2.0)]
    assert play.store.counts()["points_late"] == 0


def test_late_points_are_seen_at_once_counted_and_merged_by_the_next_pass(play: Play) -> None:
    play.keep((START + 10, {"t": 1, "s": "a"}), (START + 30, {"t": 3, "s": "c"}))
    play.flush(START)
    play.maintain(OVER)
    play.keep((START + 20, {"t": 8, "s": "b"}))
    for step in (play.decode, lambda: play.flush(OVER + 1), lambda: play.maintain(OVER + 2)):
        step()
        assert every_point(play) == [(START + 10, 1.0), (START + 20, 8.0), (START + 30, 3.0)]
        assert every_point(play, "s") == [(START + 10, "a"), (START + 20, "b"), (START + 30, "c")]
        assert hour(play) == [(3, 1.0, 8.0, 4.0)]
        assert play.store.texts(DEVICE, "s", START, START + 99, 2) == [(START + 20, "b"), (START + 30, "c")]
        assert fleet(play) == [(3, 1.0, 8.0, 12.0)]
    assert (stored(play, "hot"), stored(play, "chunk"), stored(play, "hot_hour")) == (0, 2, 0)
    assert play.store.counts()["points_late"] == 2  # of two series


def test_points_that_come_twice_count_once_and_are_counted(play: Play) -> None:
    def keep() -> None:
        play.keep((START, {"t": 1, "s": "a", "b": True}), (START, {"t": 2, "s": "a", "b": False}))

    keep()
    keep()
    play.flush(START)
    keep()
    play.decode()
    assert every_point(play) == [(START, 1.0), (START, 2.0)]
    assert every_point(play, "b") == [(START, True), (START, False)]
    play.seal(OVER)
    keep()
    play.seal(OVER + 1)
    assert every_point(play) == [(START, 1.0), (START, 2.0)]
    assert every_point(play, "s") == [(START, "a")]
    assert hour(play) == [(2, 1.0, 2.0, 1.5)]
    assert fleet(play) == [(2, 1.0, 2.0, 3.0)]
    # Of 4 times 2 points: 6 of t and of b, 7 of s.
    assert play.store.counts()["points_duplicate"] == 6 + 6 + 7


def test_equal_points_of_messages_with_different_ids_are_two(play: Play) -> None:
    for message_id in ("a", "b", "b", "a"):
        play.keep((START, packet({"t": 1, "s": "x"}, f"$.mid={message_id}")))
    play.keep((START, {"t": 1}))  # and one without an id
    for at in (START, OVER):
        play.seal(at)
        assert every_point(play) == [(START, 1.0)] * 3
        assert every_point(play, "s") == [(START, "x")] * 2
        play.keep((START, packet({"t": 1}, "$.mid=b")))
    play.seal(OVER)
    assert every_point(play) == [(START, 1.0)] * 3


points = st.lists(
    st.tuples(st.integers(0, 3 * HOUR_MS - 1), st.integers(-50, 50), st.sampled_from(["", "", "a", "b"])), max_size=12
)


Steps = list[tuple[list[tuple[int, int, str]], str]]


def test_whatever_the_order_every_point_is_there_once(engine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    # On a server each example makes a database.
    @settings(max_examples=effort(40 if engine == "sqlite" else 10, 40), deadline=None)
    @given(st.lists(st.tuples(points, st.sampled_from(["keep", "flush", "seal"])), max_size=6))
    def holds(steps: Steps) -> None:
        there_once(Play(tmp_path_factory.mktemp("model") / "hub"), steps)

    holds()


def there_once(play: Play, steps: Steps) -> None:
    model: set[tuple[int, float, str]] = set()
    now_ms = START
    for batch, then in steps:
        for at, value, message_id in batch:
            play.keep((START + at, packet({"t": value}, f"$.mid={message_id}" if message_id else "")))
            model.add((START + at, float(value), message_id))
        play.decode()
        now_ms += HOUR_MS
        if then == "flush":
            play.flush(now_ms)
        elif then == "seal":
            play.seal(now_ms)
    if model:
        assert sorted(every_point(play)) == sorted((at, value) for at, value, _ in model)
        newest = max(at for at, _, _ in model)
        assert play.store.last_values(DEVICE)[0].at_ms == newest
        for width, most in ((60_000, 180), (HOUR_MS, 3)):
            found = play.store.query(DEVICE, "t", START, START + 3 * HOUR_MS, most)
            if found.bucket_ms:
                assert found.bucket_ms == width
                assert sum(each.count for each in found.buckets) == len(model)
                assert min(each.low for each in found.buckets) == min(value for _, value, _ in model)
                assert max(each.high for each in found.buckets) == max(value for _, value, _ in model)
    play.store.close(now_ms)


@pytest.mark.parametrize("kind", ["flush", "seal"])
def test_a_cut_at_any_statement_loses_and_doubles_nothing(tmp_path: Path, kind: str) -> None:
    play = Play(tmp_path / "pristine")
    play.keep((START, {"t": 1, "s": "a"}), (START + 61_000, {"t": 2, "s": "b"}))
    play.seal(OVER)
    play.keep((START + 5, {"t": 3, "s": "c"}), (START, {"t": 1}), (START + HOUR_MS, {"t": 4, "u": True}))
    if kind == "seal":
        play.flush(OVER)
    play.store.commits.close()  # as a crash leaves it
    play.store._database.release()
    later = OVER + HOUR_MS
    # Copying a database of a server for each statement takes most of a minute: in the long run only.
    every = effort(4, 1) if database_of(tmp_path / "pristine") else 1
    command = [
        sys.executable,
        "-m",
        "tests.engines.series.cut_runner",
        kind,
        str(tmp_path / "pristine"),
        str(tmp_path),
        str(later),
        str(every),
    ]
    cuts = int(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=100, cwd=HERE.parents[2]).stdout
    )
    assert cuts > (8 if kind == "flush" else 20)
    for cut in range(0, cuts, every):
        left = Play(tmp_path / str(cut))
        for step in (left.decode, lambda left=left: left.seal(later)):  # type: ignore[misc]
            step()
            assert every_point(left) == [
                (START, 1.0),
                (START + 5, 3.0),
                (START + 61_000, 2.0),
                (START + HOUR_MS, 4.0),
            ]
            assert every_point(left, "s") == [(START, "a"), (START + 5, "c"), (START + 61_000, "b")]
            assert every_point(left, "u") == [(START + HOUR_MS, True)]
            assert hour(left) == [(3, 1.0, 3.0, 2.0)]
        assert fleet(left) == [(3, 1.0, 3.0, 6.0)]
        assert stored(left, "hot") == 0
        assert left.store.counts()["points_duplicate"] == 1
        left.store.close(later)


@pytest.mark.e2e
def test_kill_9_while_sealing_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(11)  # noqa: S311 - moments to kill at
    committed: list[range] = []
    first = 0
    for _ in range(effort(3, 5)):
        command = [sys.executable, "-m", "tests.engines.series.kill_runner", str(tmp_path / "hub"), str(first)]
        with killed_process(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parents[2]) as process:
            assert process.stdout is not None
            deadline = time.monotonic() + 60
            last, wanted = first - 1, first + chance.randint(1000, 6000)
            while last < wanted:
                assert time.monotonic() < deadline
                last = int(process.readline())
            time.sleep(chance.random() * 0.05)  # anywhere in the next step, too
            process.kill()
            rest = process.stdout.read().split("\n")
        last = max([last, *(int(line) for line in rest[:-1])])
        committed.append(range(first, last + 1))
        first = (last // 40 + 10) * 40
    play = Play(tmp_path / "hub")
    now_ms = START + (first + 20_000) * 1000
    play.seal(now_ms)
    (key,) = (key for _, _, key in play.store.fleet.series([DEVICE], None))
    found = [
        (at, int(value))
        for part in play.store.stream(key, 0, now_ms)
        for at, value in zip(part.times, part.values, strict=True)
    ]
    numbers = [number for _, number in found]
    assert len(numbers) == len(set(numbers))
    assert {number for each in committed for number in each} <= set(numbers)
    assert all(at == measured_at(number) for at, number in found)
    assert stored(play, "hot") == 0
    assert play.store.counts()["points_late"] > 0
    play.store.close(now_ms)


def test_rows_that_are_damaged_are_put_aside_and_stop_nothing(play: Play) -> None:
    play.keep((START, {"t": 1}))
    play.seal(OVER)
    play.keep((START + 1, {"t": 2}))
    play.flush(OVER)
    play.keep((START + 2, {"t": 3}))
    play.flush(OVER)

    def damage(connection: object) -> None:
        connection.execute("UPDATE chunk SET data = substr(data, 1, 20)")  # type: ignore[attr-defined]
        connection.execute("UPDATE hot SET data = substr(data, 1, 20) WHERE number = 2")  # type: ignore[attr-defined]

    play.store.commits.submit(damage).result()
    with pytest.raises(DataFolderError, match="damaged"):
        play.store.raw(DEVICE, "t", START, START + 9, 9)
    play.maintain(OVER)
    assert play.store.counts()["series_rows_damaged"] == 2
    assert [value for _, value in every_point(play)] == [3.0]


def test_sealing_gives_way_after_its_time_slice(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "SEAL_SLICE_S", 0.0)
    play.keep(*((START + n * HOUR_MS, {"t": n}) for n in range(3)))
    play.flush(START + 9 * HOUR_MS)
    assert play.store.commits.submit(lambda c: seal.seal_some(c, START + 9 * HOUR_MS, 0.0)).result()
    assert stored(play, "hot") == 2
