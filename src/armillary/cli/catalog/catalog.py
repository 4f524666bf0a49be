# SPDX-License-Identifier: Apache-2.0
"""``armillary catalog``: catalogs, which own devices."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.service import context
from armillary.cli.terminal import remote_names
from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.management import SUBSCRIPTION
from armillary.cli.terminal.output import Shown, counted, inert, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    PROVIDER,
    CatalogPath,
    ReplaceOption,
    ResourceGroupOption,
    YesOption,
    catalog_path,
    confirm,
    group_path,
    with_devices,
)
from armillary.errors import InvalidArgumentError

app = noun("Catalogs: who owns devices.")

NameOption = Annotated[
    str, typer.Option("--catalog", "-c", "--name", "-n", metavar="NAME", help="Name of the catalog.")
]
# Columns of an error report file, as az sphere writes them.
REPORT_COLUMNS = (
    ("Device ID", "deviceId"),
    ("Event Type", "eventType"),
    ("Event Class", "eventClass"),
    ("Event Category", "eventCategory"),
    ("Event Count", "eventCount"),
    ("Description", "description"),
    ("Start Time (UTC)", "startTimestampUtc"),
    ("End Time (UTC)", "endTimestampUtc"),
)


def _row(catalog: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": catalog["name"],
        "tenantId": catalog["properties"]["tenantId"],
        "tags": [f"{name}={value}" for name, value in sorted((catalog.get("tags") or {}).items())],
    }


def _tags(values: list[str] | None) -> dict[str, str]:
    tags = {}
    for value in values or []:
        name, equals, text = value.partition("=")
        if not name or not equals:
            raise InvalidArgumentError(f"--tags: expected NAME=VALUE, got {value!r}", remedy="Write --tags site=lab.")
        tags[name] = text
    return tags


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: NameOption,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
    tags: Annotated[list[str] | None, typer.Option("--tags", metavar="NAME=VALUE", help="Tag; repeatable.")] = None,
    replace: ReplaceOption = False,
) -> Shown:
    """Make a catalog with its own certificate authority."""
    path = f"{group_path(resource_group)}/providers/{PROVIDER}/catalogs/{segment(name)}"
    body = {"location": "global", "tags": _tags(tags)}
    return record(remote_names.create(remote, path, body, f"catalog {name!r}", replace=replace), row=_row)


remote_command(app, "use")(context.use)  # its name before there was a noun for it


@remote_command(app, "list")
def list_catalogs(
    remote: RemoteService,
    resource_group: Annotated[
        str | None, typer.Option("--resource-group", "-g", metavar="NAME", help="Only those of a resource group.")
    ] = None,
) -> Shown:
    """List catalogs."""
    scope = f"/subscriptions/{SUBSCRIPTION}" if resource_group is None else group_path(resource_group)
    found = remote.management.pages(f"{scope}/providers/{PROVIDER}/catalogs")
    empty = "No catalog. Make one: armillary catalog create --catalog NAME"
    return table(found, ("name", "tenantId", "tags"), row=_row, empty=empty)


@remote_command(app, "show")
def show(remote: RemoteService, base: CatalogPath) -> Shown:
    """Show a catalog."""
    return with_devices(remote, base, _row)


@remote_command(app, "delete")
def delete(
    remote: RemoteService,
    name: NameOption,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
    yes: YesOption = False,
) -> None:
    """Delete a catalog that has no devices."""
    confirm(f"Delete catalog {name} with its products, images and certificate authority?", yes=yes)
    remote.management.call("DELETE", catalog_path(remote, name, resource_group))
    note(f"catalog {name} is deleted")


@remote_command(app, "download-error-report")
def download_error_report(
    remote: RemoteService,
    output_file: Annotated[
        Path, typer.Option("--output-file", "--destination", metavar="FILE", help="CSV file to write; - is stdout.")
    ],
    base: CatalogPath,
) -> None:
    """Write the devices' error reports to a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([title for title, _ in REPORT_COLUMNS])
    count = 0
    for report in remote.management.pages(f"{base}/listDeviceInsights", method="POST"):
        writer.writerow([_spreadsheet_safe(report.get(key)) for _, key in REPORT_COLUMNS])
        count += 1
    write_file(output_file, text.getvalue().encode())
    note(counted(count, "error report"))


def _spreadsheet_safe(value: object) -> object:
    # A device chooses its descriptions: a spreadsheet must not run them as formulas, nor a terminal obey them.
    if not isinstance(value, str):
        return value
    shown = inert(value, keep="\n")
    return "'" + shown if shown.lstrip()[:1] in ("=", "+", "-", "@") else shown
