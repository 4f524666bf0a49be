# SPDX-License-Identifier: Apache-2.0
"""``armillary telemetry``: export and import of time series, and their retention."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from armillary.cli.terminal.authored import CatalogOption, FileOption, read_definition
from armillary.cli.terminal.device_reference import AnyDeviceOption
from armillary.cli.terminal.files import explained
from armillary.cli.terminal.output import Shown, counted, note, noun, record, table
from armillary.cli.terminal.progress import megabytes
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.times import moment
from armillary.errors import InvalidArgumentError

app = noun("Telemetry of the hub: export, import, retention.")
retention_app = noun("How long telemetry is kept.")
app.add_typer(retention_app, name="retention")

RETENTION_COLUMNS = ("template", "metric", "raw_days", "rollup_days")
# Bytes of CSV sent at a time: the service takes 4 MiB.
IMPORT_PART_BYTES = 3 << 20
# A line that is longer than this is no line of an export.
MAX_LINE_BYTES = 64 << 10

# What an export is written as.
FileFormat = Literal["csv", "parquet"]


@remote_command(app, "export")
def export(
    remote: RemoteService,
    output: Annotated[Path, typer.Option("--output-file", "-o", metavar="FILE", help="File to write.")],
    device: AnyDeviceOption = None,
    group: Annotated[
        str | None, typer.Option("--segment", "--group", "-g", metavar="ID", help="Of all devices of a segment.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", metavar="NAME", help="Only this name; repeatable.")
    ] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="TIME", help="From this time on (ISO 8601).")] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="Before this time.")] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="What to write.")] = "csv",
    catalog: CatalogOption = None,
) -> None:
    """Write the values of a device or a segment to a file.

    In parts and with progress, whatever the size; a file that is there is whole.
    """
    if (device is None) == (group is None):
        raise InvalidArgumentError("expected either --device or --segment", remedy="Name one of them.")
    place = f"/devices/{segment(device)}" if device is not None else f"/groups/{segment(group or '')}"
    parts = remote.download(
        f"{place}/telemetry/export",
        metric=metric or None,
        start_ms=None if start is None else moment("--start", start) * 1000,
        end_ms=None if end is None else moment("--end", end) * 1000,
        format=file_format,
        catalog=catalog if group is not None else None,
    )
    size = _write(parts, output)
    note(f"{output}: {size:,} bytes")


@remote_command(app, "import")
def import_(
    remote: RemoteService,
    file: Annotated[Path, typer.Option("--file", "-f", metavar="FILE", help="CSV file of an export.")],
) -> Shown:
    """Bring values back from a CSV file of an export.

    What is there counts once, so an import that broke off is simply begun again.
    """
    with explained(file, "cannot be read", remedy="Check the path."):
        size = file.stat().st_size
    points = 0
    with megabytes("imported", size or None) as further:  # a pipe has no size
        for first_line, part in _parts_of(file):
            try:
                points += remote.upload("/telemetry/import", part, "text/csv")["points"]
            except InvalidArgumentError as error:
                raise InvalidArgumentError(
                    f"{file}: in the part that begins with line {first_line}: {error.message}", remedy=error.remedy
                ) from error
            further(len(part))
    return record({"points": points})


@remote_command(retention_app, "show")
def show_retention(remote: RemoteService) -> Shown:
    """Show how long values are kept: rules, then settings."""
    found = remote.get("/telemetry/retention")
    last = {"template": "(settings)", "metric": "(settings)", **found["default"]}
    rows = [
        {name: "for ever" if each.get(name) is None else each[name] for name in RETENTION_COLUMNS}
        for each in [*found["rules"], last]
    ]
    return Shown(found).then(table(rows, RETENTION_COLUMNS, empty=""))


@remote_command(retention_app, "set")
def set_retention(remote: RemoteService, file: FileOption) -> Shown:
    """Replace the rules by those of a JSON file.

    {"rules": [{"template": "*", "metric": "air.*", "raw_days": 30, "rollup_days": null}]}: null is for ever, and the
    first rule that matches decides.
    """
    if file is None:
        raise InvalidArgumentError("expected --file", remedy="Write the rules to a JSON file; - reads stdin.")
    found = remote.put("/telemetry/retention", read_definition(file))
    return Shown(found, partial(note, counted(len(found["rules"]), "rule")))


def _write(parts: Iterator[bytes], output: Path) -> int:
    """Write a file beside its place and then put it there: what is there is whole."""
    unfinished = output.with_name(output.name + ".part")
    size = 0
    with explained(output, "cannot be written", remedy="Check the path and the room on its disk."):
        try:
            with unfinished.open("wb") as out:
                for part in parts:
                    out.write(part)
                    size += len(part)
                out.flush()
                os.fsync(out.fileno())
            unfinished.replace(output)
        finally:
            unfinished.unlink(missing_ok=True)
    return size


def _parts_of(file: Path) -> Iterator[tuple[int, bytes]]:
    """Parts of whole records of a CSV file, each with the number of its first line.

    A text may hold line breaks inside quotation marks; a record ends where their number is even.
    """
    with explained(file, "cannot be read"), file.open("rb") as source:
        part, first, line_number, quotes = bytearray(), 1, 0, 0
        while line := source.readline(MAX_LINE_BYTES):
            line_number += 1
            part += line
            quotes += line.count(b'"')
            if len(part) >= IMPORT_PART_BYTES and quotes % 2 == 0:
                yield first, bytes(part)
                part, first = bytearray(), line_number + 1
        if part:
            yield first, bytes(part)
