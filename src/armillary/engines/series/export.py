# SPDX-License-Identifier: Apache-2.0
"""Points as files: writes CSV and Parquet and reads CSV, in parts, so that the size does not matter.

CSV (RFC 4180, UTF-8, CRLF) has one point a line::

    device_id,metric,time,kind,value,message
    1f0a...,air.co2,2026-11-24T22:00:00.000Z,number,612.5,
    1f0a...,door,2026-11-24T22:00:04.120Z,boolean,true,9c7a04d1f1c1f5f0

``message`` is the mark of the message's id (16 hexadecimal digits) or empty. A name or text that a spreadsheet would
compute, or that begins with an apostrophe, gets an apostrophe in front, which the reader removes. Numbers are written
so that they read back to the same double. Parquet has the columns device_id, metric, time (milliseconds, UTC), kind,
number, boolean, text, message. Points come by device, metric and time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from armillary.engines.series.reads import Reads, typed
from armillary.engines.series.values.chunks import Points, SeriesKey, ValueKind
from armillary.errors import InvalidArgumentError, ParquetMissingError
from armillary.wire.export.csv_table import shielded
from armillary.wire.hub.telemetry import MAX_NAME_CHARACTERS, MAX_STRING_CHARACTERS, Value

COLUMNS: Final = ("device_id", "metric", "time", "kind", "value", "message")

# Points of one row group of a Parquet file: tens of megabytes while it is written.
ROW_GROUP_POINTS = 50_000

# A line of an import: the longest text, its names, and quotes.
MAX_LINE_CHARACTERS = 4 * MAX_STRING_CHARACTERS

# Devices of which values begin later than those of all others: id -> Unix milliseconds.
Since = Mapping[str, int]
NOBODY: Final[Since] = MappingProxyType({})
Series = Iterable[tuple[str, str, SeriesKey]]
Row = tuple[str, str, int, Value, int]


def csv_parts(store: Reads, series: Series, start_ms: int, end_ms: int, since: Since = NOBODY) -> Iterator[bytes]:
    """A CSV file in parts.

    Raises:
        DataFolderError: damaged.
    """
    yield (",".join(COLUMNS) + "\r\n").encode()
    for device_id, metric, key in series:
        for points in _stream(store, key, max(start_ms, since.get(device_id, 0)), end_ms):
            yield _csv_part(device_id, metric, key.kind, points)


def _stream(store: Reads, key: SeriesKey, start_ms: int, end_ms: int) -> Iterable[Points]:
    return store.stream(key, start_ms, end_ms) if start_ms < end_ms else ()


def parquet_parts(store: Reads, series: Series, start_ms: int, end_ms: int, since: Since = NOBODY) -> Iterator[bytes]:
    """A Parquet file in parts.

    Raises:
        ParquetMissingError: pyarrow is not installed.
        DataFolderError: damaged.
    """
    arrow, parquet = _pyarrow()
    return _parquet_parts(arrow, parquet, store, series, start_ms, end_ms, since)


def read_csv(lines: Iterable[str], *, first_line: int = 1) -> Iterator[Row]:
    """Points of a CSV file: device id, metric, time, value, mark.

    The heading may be among the lines; ``first_line`` is the number of the first line, for messages.

    Raises:
        InvalidArgumentError: names line and column.
    """
    reader = csv.reader(lines, strict=True)
    try:
        for row in reader:
            where = f"line {first_line + reader.line_num - 1}"
            if row and tuple(row) != COLUMNS:
                yield _row(where, row)
    except csv.Error as error:
        raise InvalidArgumentError(
            f"line {first_line + reader.line_num - 1}: not CSV ({error})", remedy="Give a file of the export."
        ) from error


def time_text(at_ms: int) -> str:
    """ISO 8601 with milliseconds, UTC."""
    seconds, millis = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def _csv_part(device_id: str, metric: str, kind: ValueKind, points: Points) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    name, marks, shielded = kind.name.lower(), points.marks, _shielded(metric)
    for index, (at_ms, value) in enumerate(zip(points.times, _TEXTS[kind](points.values), strict=True)):
        mark = f"{marks[index]:016x}" if index in marks else ""
        writer.writerow((device_id, shielded, time_text(at_ms), name, value, mark))
    return out.getvalue().encode("utf-8")


def _shielded(text: str) -> str:
    """A text from a device for a cell, so that no spreadsheet computes it."""
    return "'" + text if text.startswith("'") else shielded(text)


_TEXTS: Mapping[ValueKind, Callable[[Any], Iterable[str]]] = {
    ValueKind.NUMBER: lambda values: map(repr, values),
    ValueKind.BOOLEAN: lambda values: ("true" if value else "false" for value in values),
    ValueKind.TEXT: lambda values: map(_shielded, values),
}


def _row(where: str, row: Sequence[str]) -> Row:
    if len(row) != len(COLUMNS):
        raise _refused(where, f"{len(COLUMNS)} columns", f"{len(row)}")
    device_id, metric, moment, kind, text, message = row
    metric = metric.removeprefix("'")
    if not 1 <= len(metric) <= MAX_NAME_CHARACTERS or not metric.isprintable():
        raise _refused(f"{where}: metric", f"1 to {MAX_NAME_CHARACTERS} printable characters", metric)
    try:
        stamp = datetime.fromisoformat(moment)
        at_ms = round((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp() * 1000)
        if at_ms < 0:
            raise ValueError(moment)  # noqa: TRY301 - as a time that cannot be read
    except (ValueError, OverflowError):
        raise _refused(f"{where}: time", "ISO 8601 from 1970 on", moment) from None
    try:
        mark = int(message, 16) if message else 0
        if not 0 <= mark < 1 << 64:
            raise ValueError(message)  # noqa: TRY301
    except ValueError:
        raise _refused(f"{where}: message", "nothing or 16 hexadecimal digits", message) from None
    return device_id, metric, at_ms, _value(where, kind, text), mark


def _value(where: str, kind: str, text: str) -> Value:
    if kind == "text":
        text = text.removeprefix("'")
        if len(text) > MAX_STRING_CHARACTERS:
            raise _refused(f"{where}: value", f"at most {MAX_STRING_CHARACTERS} characters", f"{len(text)}")
        return text
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "number":
        try:
            number = float(text)
        except ValueError:
            raise _refused(f"{where}: value", "a number", text) from None
        if number - number == 0:  # neither infinite nor not a number
            return number
        raise _refused(f"{where}: value", "a finite number", text)
    raise _refused(f"{where}: kind and value", "number, boolean (true, false) or text", f"{kind}, {text}")


def _refused(where: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{where}: expected {expected}, got {got[:60]!a}", remedy="Give a file of the export.")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as arrow  # noqa: ICN001, PLC0415 - an extra, and heavy: loaded by who asks for Parquet
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ParquetMissingError("pyarrow is not installed: Parquet cannot be written") from error
    return arrow, parquet


class _Sink(io.RawIOBase):
    """Collects written bytes until :meth:`taken`."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """All bytes since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _parquet_parts(
    arrow: Any, parquet: Any, store: Reads, series: Series, start_ms: int, end_ms: int, since: Since = NOBODY
) -> Iterator[bytes]:
    word = arrow.dictionary(arrow.int32(), arrow.string())
    types = (
        ("device_id", word),
        ("metric", word),
        ("time", arrow.timestamp("ms", tz="UTC")),
        ("kind", word),
        ("number", arrow.float64()),
        ("boolean", arrow.bool_()),
        ("text", arrow.string()),
        ("message", arrow.string()),
    )
    schema = arrow.schema(types)
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        columns: list[list[Any]] = [[] for _ in types]
        for device_id, metric, key in series:
            for points in _stream(store, key, max(start_ms, since.get(device_id, 0)), end_ms):
                _extend(columns, device_id, metric, key.kind, points)
                if len(columns[0]) >= ROW_GROUP_POINTS:
                    writer.write_table(_table(arrow, schema, columns))
                    columns = [[] for _ in types]
                    yield sink.taken()
        if columns[0]:
            writer.write_table(_table(arrow, schema, columns))
    yield sink.taken()


def _extend(columns: list[list[Any]], device_id: str, metric: str, kind: ValueKind, points: Points) -> None:
    count = len(points)
    nothing = [None] * count
    values = list(typed(points.values, kind))
    columns[0] += [device_id] * count
    columns[1] += [metric] * count
    columns[2] += points.times
    columns[3] += [kind.name.lower()] * count
    for place, of in enumerate((ValueKind.NUMBER, ValueKind.BOOLEAN, ValueKind.TEXT), 4):
        columns[place] += values if kind is of else nothing
    marks = points.marks
    columns[7] += [f"{marks[n]:016x}" if n in marks else None for n in range(count)] if marks else nothing


def _table(arrow: Any, schema: Any, columns: list[list[Any]]) -> Any:
    arrays = [arrow.array(column, type=each.type) for column, each in zip(columns, schema, strict=True)]
    return arrow.Table.from_arrays(arrays, schema=schema)
