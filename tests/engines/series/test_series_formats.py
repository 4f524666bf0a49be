# SPDX-License-Identifier: Apache-2.0
"""Columns, chunks, segments and roll-ups: what goes in comes out, damage is an error, and it is small."""

from __future__ import annotations

import math
from array import array
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.engines.series.values.chunks import HOUR_MS, Points, ValueKind, decode_chunk, encode_chunk, in_order
from armillary.engines.series.values.columns import (
    ColumnReader,
    deflate,
    inflate,
    pack_doubles,
    pack_integers,
    pack_running,
)
from armillary.engines.series.values.rollups import (
    MINUTE_MS,
    decode_fleet,
    decode_minutes,
    encode_fleet,
    encode_minutes,
    folded,
    merged,
    minutes_of,
)
from armillary.engines.series.values.segments import Segment, encode_segment
from armillary.errors import WireError

START = 1_795_532_400_000  # a full hour

doubles = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**53), 2**53).map(float),
    st.integers(-(10**6), 10**6).map(lambda whole: whole / 100),
    st.just(-0.0),
)
times = st.integers(START, START + HOUR_MS - 1)
marks = st.one_of(st.just(0), st.integers(1, 2**64 - 1))


def points_of(rows: list[tuple[int, Any, int]], *, text: bool) -> Points:
    values = [value for _, value, _ in rows]
    return Points(
        [at for at, _, _ in rows],
        values if text else array("d", values),
        {index: mark for index, (_, _, mark) in enumerate(rows) if mark},
    )


def rows_of(points: Points) -> list[tuple[int, Any, int]]:
    return [
        (at, value, points.marks.get(index, 0))
        for index, (at, value) in enumerate(zip(points.times, points.values, strict=True))
    ]


number_rows = st.lists(st.tuples(times, doubles, marks), min_size=1, max_size=60)
text_rows = st.lists(st.tuples(times, st.text(max_size=12), marks), min_size=1, max_size=30)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_integers_survive(values: list[int]) -> None:
    assert list(ColumnReader(pack_integers(values)).integers(len(values))) == values


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1))
def test_running_numbers_survive(values: list[int]) -> None:
    assert ColumnReader(pack_running(values)).running(values[0], len(values)) == values


@given(st.lists(doubles))
def test_doubles_survive(values: list[float]) -> None:
    assert list(ColumnReader(pack_doubles(array("d", values))).doubles(len(values))) == values


def test_doubles_that_are_not_finite_survive() -> None:
    values = array("d", (1.0, math.inf, -math.inf))
    assert ColumnReader(pack_doubles(values)).doubles(3) == values
    assert math.isnan(ColumnReader(pack_doubles(array("d", (math.nan, 1.0)))).doubles(2)[0])


@given(st.binary(max_size=5000))
def test_deflated_survives(data: bytes) -> None:
    assert inflate(deflate(data)) == data


@given(number_rows)
def test_a_chunk_of_numbers_survives(rows: list[tuple[int, Any, int]]) -> None:
    points, _ = in_order([points_of(rows, text=False)])
    assert rows_of(decode_chunk(encode_chunk(ValueKind.NUMBER, points))) == rows_of(points)


@given(text_rows)
def test_a_chunk_of_texts_survives(rows: list[tuple[int, Any, int]]) -> None:
    points, _ = in_order([points_of(rows, text=True)], text=True)
    assert rows_of(decode_chunk(encode_chunk(ValueKind.TEXT, points))) == rows_of(points)


@given(number_rows, st.integers(0, 3))
def test_order_is_by_time_and_equal_points_count_once(rows: list[tuple[int, Any, int]], again: int) -> None:
    doubled = rows + rows[:again]
    points, duplicates = in_order([points_of(part, text=False) for part in (doubled[:5], doubled[5:]) if part])
    assert [at for at, _, _ in rows_of(points)] == sorted(at for at, _, _ in rows_of(points))
    assert set(rows_of(points)) == set(rows)
    assert len(points) == len(set(rows))
    assert duplicates == len(doubled) - len(set(rows))


def test_different_points_of_one_moment_stay_in_order_of_arrival() -> None:
    points, duplicates = in_order([Points([5, 3, 5, 5], array("d", (1, 2, 0, 1)))])
    assert (rows_of(points), duplicates) == ([(3, 2.0, 0), (5, 1.0, 0), (5, 0.0, 0)], 1)
    points, duplicates = in_order([Points([5, 5, 5], array("d", (1, 1, 1)), {1: 7, 2: 7})])
    assert (rows_of(points), duplicates) == ([(5, 1.0, 0), (5, 1.0, 7)], 1)


@given(number_rows, text_rows)
def test_a_segment_survives(numbers: list[tuple[int, Any, int]], texts: list[tuple[int, Any, int]]) -> None:
    items = [
        (3, ValueKind.NUMBER, points_of(numbers, text=False)),
        (7, ValueKind.TEXT, points_of(texts, text=True)),
        (512, ValueKind.BOOLEAN, points_of([(START, 1.0, 0)], text=False)),
    ]
    segment = Segment(encode_segment(items))
    assert [(series, kind, rows_of(points)) for series, kind, points in segment] == [
        (series, kind, rows_of(points)) for series, kind, points in items
    ]
    found = segment.find(7)
    assert found is not None
    assert rows_of(found) == texts
    assert segment.find(8) is segment.find(1) is segment.find(600) is None


@given(number_rows)
def test_minutes_say_what_the_points_were(rows: list[tuple[int, Any, int]]) -> None:
    points, _ = in_order([points_of(rows, text=False)])
    minutes = minutes_of(points)
    for each in minutes:
        inside = [value for at, value, _ in rows_of(points) if each.start_ms <= at < each.start_ms + MINUTE_MS]
        assert each == (each.start_ms, len(inside), min(inside), max(inside), sum(inside), inside[0], inside[-1])
    decoded = decode_minutes(START, encode_minutes(START, minutes, text=False), text=False)
    assert [each[:2] for each in decoded] == [each[:2] for each in minutes]
    assert repr(decoded).replace("-0.0", "0.0") == repr(minutes).replace("-0.0", "0.0")
    assert folded(START, minutes).points == len(points)


def test_minutes_of_texts_are_counts() -> None:
    minutes = minutes_of(Points([START, START + 1, START + 61_000], ["a", "b", "c"]))
    assert [each[:2] for each in minutes] == [(START, 2), (START + MINUTE_MS, 1)]
    assert decode_minutes(START, encode_minutes(START, minutes, text=True), text=True) == minutes


def test_minutes_are_added_to_those_whose_points_are_gone() -> None:
    known = minutes_of(Points([START, START + 1], array("d", (1, 5))))
    more = minutes_of(Points([START + 2, START + 60_000], array("d", (-1, 9))))
    assert merged(known, more) == [
        (START, 3, -1.0, 5.0, 5.0, 1.0, -1.0),
        (START + MINUTE_MS, 1, 9.0, 9.0, 9.0, 9.0, 9.0),
    ]


@given(
    st.dictionaries(
        st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 2**32 - 1), doubles, doubles, doubles), max_size=20
    )
)
def test_a_fleet_hour_survives(hours: dict[int, tuple[int, float, float, float]]) -> None:
    series, *columns = decode_fleet(encode_fleet(hours))
    assert dict(zip(series, zip(*columns, strict=True), strict=True)) == hours


DAMAGED = [
    (encode_chunk(ValueKind.NUMBER, Points([START, START + 5], array("d", (1.5, 2)))), decode_chunk),
    (encode_segment([(1, ValueKind.NUMBER, Points([START], array("d", (1,))))]), Segment),
    (
        encode_minutes(START, minutes_of(Points([START], array("d", (1,)))), text=False),
        lambda data: decode_minutes(START, data, text=False),
    ),
    (encode_fleet({1: (1, 2.0, 3.0, 4.0)}), decode_fleet),
]


@pytest.mark.parametrize(("data", "decode"), DAMAGED, ids=("chunk", "segment", "minutes", "fleet"))
def test_every_changed_or_missing_byte_is_an_error(data: bytes, decode: Any) -> None:
    decode(data)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x40
        with pytest.raises(WireError):
            decode(bytes(changed))
        with pytest.raises(WireError):
            decode(data[:at])


@given(st.binary(max_size=80))
def test_no_bytes_make_a_reader_fail_in_another_way(data: bytes) -> None:
    for _, decode in DAMAGED:
        with pytest.raises(WireError):
            decode(data)


def test_an_hour_of_a_sensor_is_small() -> None:
    every_minute = [(START + n * 60_000, 20 + math.sin(n / 9) // 0.01 * 0.01, 0) for n in range(60)]
    rounded = points_of([(at, round(value, 2), 0) for at, value, _ in every_minute], text=False)
    assert len(encode_chunk(ValueKind.NUMBER, rounded)) < 60 * 3
    switches = points_of([(START + n * 60_000, float(n % 7 == 0), 0) for n in range(60)], text=False)
    assert len(encode_chunk(ValueKind.BOOLEAN, switches)) < 60
