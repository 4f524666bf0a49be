# SPDX-License-Identifier: Apache-2.0
"""``armillary finding export``: findings as a file for other tools, in OCSF's form, as JSON or as CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from armillary import __version__
from armillary.cli.terminal.files import explained
from armillary.cli.terminal.output import counted, note, noun
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import OnlyCatalogOption, OutputFileOption
from armillary.wire.export.csv_table import csv_head, csv_rows
from armillary.wire.notification import ocsf

verbs = noun()

Format = Literal["ocsf", "json", "csv"]
COLUMNS = (
    "finding_id", "kind", "severity", "status", "title", "cause", "proposed_action", "count", "device_count",
    "device_ids", "first_seen", "last_seen", "catalog_id", "group_id", "deployment_id", "rollout_id", "image_id",
    "component_id", "advisory_id",
)  # fmt: skip


@remote_command(verbs, "export")
def export(
    remote: RemoteService,
    output: OutputFileOption = Path("-"),
    form: Annotated[Format, typer.Option("--format", help="OCSF 1.8.0 and JSON: an object a line.")] = "ocsf",
    status: Annotated[
        str, typer.Option("--status", metavar="WORD", help="living (not closed), open, acknowledged, closed or all.")
    ] = "living",
    catalog: OnlyCatalogOption = None,
) -> None:
    """Write findings to a file, newest first.

    For a SIEM that is told as things happen: armillary notification-channel create.
    """
    wanted = None if status == "all" else status
    found = _Counted(remote.pages("/findings", status=wanted, catalog=catalog))
    lines = _csv(found) if form == "csv" else _json_lines(found, form, catalog)
    _write(output, lines)
    note(counted(found.count, "finding"))


class _Counted:
    """Findings as they are read, and how many."""

    def __init__(self, found: Iterator[dict[str, Any]]) -> None:
        self._found = found
        self.count = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for each in self._found:
            self.count += 1
            yield each


def _json_lines(found: Iterable[Mapping[str, Any]], form: Format, catalog: str | None) -> Iterator[str]:
    for each in found:
        document = each
        if form == "ocsf":
            owner = None if each["catalog_id"] is None else (UUID(each["catalog_id"]), catalog or "")
            document = ocsf.of_finding(each, catalog=owner, product_version=__version__)
        yield json.dumps(document, separators=(",", ":")) + "\n"  # ASCII: a terminal that shows it obeys nothing


def _csv(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield csv_head(COLUMNS)
    for each in found:
        yield csv_rows([{**each, "device_ids": " ".join(each["device_ids"])}], COLUMNS)


def _write(output: Path, lines: Iterable[str]) -> None:
    """Write everything or nothing: a file has its name once it is whole."""
    if str(output) == "-":
        for each in lines:
            sys.stdout.write(each)
        return
    part = output.with_name(f".{output.name}.part")
    with explained(output, "cannot be written"):
        try:
            with part.open("w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
            part.replace(output)
        except BaseException:  # undone, whatever was raised
            part.unlink(missing_ok=True)
            raise
