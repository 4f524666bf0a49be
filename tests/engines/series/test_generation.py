# SPDX-License-Identifier: Apache-2.0
"""What a generation says of its series is what a list of single points would say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, strategies as st

from armillary.engines.series.log.index import SeriesIndex
from armillary.engines.series.log.tail import Tail
from armillary.engines.series.values.chunks import HOUR_MS, Points, ValueKind
from armillary.wire.hub.telemetry import Telemetry

NOW = 1_795_532_400_000

VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=16).map(float), st.booleans(), st.sampled_from(["", "on"])
)
MESSAGES = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.integers(-2, 2).map(lambda step: NOW + step * HOUR_MS // 2),
        st.sampled_from([0, 0, 7, 8]),
        st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3),
    ),
    max_size=12,
)
Sent = tuple[int, int, int, dict[str, Any]]


def told(points: Points) -> list[tuple[int, Any, int]]:
    return [(at, points.values[index], points.marks.get(index, 0)) for index, at in enumerate(points.times)]


def sent_to(messages: Iterable[Sent], device: int, name: str, type_: type) -> list[tuple[int, Any, int]]:
    return [
        (at_ms, values[name], mark)
        for number, at_ms, mark, values in messages
        if number == device and type(values.get(name)) is type_
    ]


@given(MESSAGES)
def test_series_latest_values_and_sums(messages: list[Sent]) -> None:
    tail = Tail(SeriesIndex({}, ()))
    for seq, (device, at_ms, mark, values) in enumerate(messages, 1):
        tail.add(seq, device, Telemetry(at_ms, values), mark)
    generation = tail.present
    assert generation.points == sum(len(values) for *_, values in messages)
    assert generation.reaches == len(messages)
    every = dict(generation.series())
    wanted: dict[int, list[tuple[int, Any, int]]] = {}
    latest: dict[tuple[int, int], tuple[int, int, Any]] = {}
    for device in (1, 2):
        for name in ("a", "b", "c"):
            for kind, type_ in ((ValueKind.NUMBER, float), (ValueKind.BOOLEAN, bool), (ValueKind.TEXT, str)):
                points = sent_to(messages, device, name, type_)
                number = tail.index.series_of(device).get(name, {}).get(kind, 0)
                assert bool(number) == bool(points)
                if points:
                    wanted[number] = points
                    copy = generation.points_of(device, number)
                    assert copy is not None
                    assert told(copy) == points
    assert {number: told(points) for number, points in every.items()} == wanted
    assert generation.points_of(3, 1) is None

    for order, (device, at_ms, _, values) in enumerate(messages):
        for name, value in values.items():
            place = (tail.index.name_number(name) or 0, device)
            if place not in latest or latest[place][0] <= at_ms:
                latest[place] = (at_ms, order, value)
    found = tail.latest_of()
    assert {place: (at, value) for place, (at, _, value) in found.items()} == {
        place: (at, value) for place, (at, _, value) in latest.items()
    }
    assert tail.latest_of(device=1) == {place: last for place, last in found.items() if place[1] == 1}
    number_of_a = tail.index.name_number("a") or 0
    assert tail.latest_of(metric=number_of_a) == {
        place: last for place, last in found.items() if place[0] == number_of_a
    }

    numeric = {number for number in wanted if tail.index.key(number).kind is not ValueKind.TEXT}
    ((_, sums),) = tail.sums(numeric)
    expected: dict[int, list[float]] = {}
    for number in numeric:
        for at, value, _ in wanted[number]:
            count, low, high, total = expected.get(at - at % HOUR_MS, (0, value, value, 0.0))
            expected[at - at % HOUR_MS] = [count + 1, min(low, value), max(high, value), total + value]
    assert sums == expected


def test_a_message_without_values_takes_no_memory() -> None:
    tail = Tail(SeriesIndex({}, ()))
    tail.add(1, 1, Telemetry(NOW, {}))
    assert (tail.present.reaches, tail.present.points, tail.present.tables) == (1, 0, {})


def test_series_of_one_table_have_their_times_in_common_and_no_reader_changes_them() -> None:
    tail = Tail(SeriesIndex({}, ()))
    for at in (NOW, NOW + 1):
        tail.add(1, 1, Telemetry(at, {"a": 1.0, "b": "x"}))
    first, second = (points for _, points in tail.present.series())
    assert first.times is second.times
    copy = tail.present.points_of(1, 1)
    assert copy is not None
    copy.times[0] = 0
    assert told(first)[0][0] == NOW
