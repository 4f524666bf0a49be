# SPDX-License-Identifier: Apache-2.0
"""``armillary crash``: which bugs devices run into, where, and since which image; symbols that name their places."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, LimitOption, in_catalog
from armillary.wire.image import elf_symbols, symbol_list

app = noun("Crashes of applications, one group for each bug.")
symbols = noun("Symbols: functions of a build, by its build id.", within=app, name="symbols")

COLUMNS = ("fingerprint", "title", "count", "devices", "last_seen")
FACTS = (
    "fingerprint", "title", "cause", "basis", "component_id", "count", "devices", "first_seen", "last_seen",
    "grouping_version",
)  # fmt: skip
IMAGE_COLUMNS = ("image_id", "count", "first_seen", "last_seen")
REPORT_COLUMNS = ("received_at", "device_id", "event_type", "count", "image_id")
SYMBOL_COLUMNS = ("build_id", "machine", "functions", "uploaded_at", "uploaded_by")

GroupOption = Annotated[
    str, typer.Option("--group", "-g", metavar="FINGERPRINT", help="Crash group, as crash list names it.")
]
ImageOption = Annotated[str | None, typer.Option("--image", "-i", metavar="ID", help="Only those seen on an image.")]


@remote_command(app, "list")
def list_groups(
    remote: RemoteService, catalog: CatalogOption = None, image: ImageOption = None, limit: LimitOption = None
) -> Shown:
    """List crash groups, newest first."""
    found = remote.pages(in_catalog(remote, catalog, "crash-groups"), limit=limit, image=image)
    return table(list(found), COLUMNS, row=readable_of(*COLUMNS), empty="Nothing has crashed.")


@remote_command(app, "show")
def show(remote: RemoteService, group: GroupOption, catalog: CatalogOption = None, limit: LimitOption = None) -> Shown:
    """Show a crash group: where it happens and its latest reports."""
    place = in_catalog(remote, catalog, "crash-groups", group)
    found = remote.get(place)
    reports = list(remote.pages(f"{place}/reports", limit=limit or 10))
    return record({**found, "reports": reports}, row=_facts).then(
        "On images:",
        table(found["images"], IMAGE_COLUMNS, row=readable_of(*IMAGE_COLUMNS), empty="None that the service offered."),
        "Latest reports:",
        table(reports, REPORT_COLUMNS, row=readable_of(*REPORT_COLUMNS), empty="None is kept."),
    )


def _facts(group: Mapping[str, Any]) -> Mapping[str, Any]:
    """Places one below the other would be lines that a device chooses."""
    return {**readable_of(*FACTS)(group), "where": " < ".join(group["places"]) or "not known: nothing was captured"}


@remote_command(symbols, "add")
def add(
    remote: RemoteService,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="Program as it was linked, or its debug file.")],
    catalog: CatalogOption = None,
) -> Shown:
    """Upload the names of a build's functions.

    The ELF file is read here.

    Crashes of this build that are known by addresses alone are grouped anew.
    """
    found = elf_symbols.read_elf(read_file(file, limit=elf_symbols.MAX_ELF_BYTES))
    place = in_catalog(remote, catalog, "symbols")
    kept = remote.upload(place, symbol_list.encode(found), "text/plain")
    note(f"{kept['regrouped']} reports have another group now")
    return record(kept, row=readable_of(*SYMBOL_COLUMNS))


@remote_command(symbols, "list")
def list_symbols(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List the builds that have symbols."""
    found = remote.get(in_catalog(remote, catalog, "symbols"))["items"]
    empty = "No symbols. Add them: armillary crash symbols add --file PROGRAM."
    return table(found, SYMBOL_COLUMNS, row=readable_of(*SYMBOL_COLUMNS), empty=empty)


@remote_command(symbols, "remove")
def remove(
    remote: RemoteService,
    build_id: Annotated[
        str, typer.Option("--build-id", metavar="HEX", help="Build id, as crash symbols list names it.")
    ],
    catalog: CatalogOption = None,
) -> None:
    """Remove the symbols of a build."""
    remote.delete(f"{in_catalog(remote, catalog, 'symbols')}/{segment(build_id)}")
    note(f"symbols of {build_id} are removed")
