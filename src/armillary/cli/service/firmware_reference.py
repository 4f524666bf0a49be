# SPDX-License-Identifier: Apache-2.0
"""``armillary attestation-policy firmware``: reference values for the firmware of devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.attest import firmware_reference as rules
from armillary.cli.release.reference_values import (
    PATH,
    ask_to_state,
    missing_pcrs,
    read_values,
    state_values,
    values_row,
)
from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, catalog_name, confirm, in_catalog

VALUE_COLUMNS = ("kind", "pcr", "measures", "event_type", "digest")
LIST_COLUMNS = ("statement_id", "chip", "values", "expires_at", "stated_at", "stated_by", "note")

ExpiresOption = Annotated[
    str | None,
    typer.Option(
        "--expires", metavar="TIME", help="Until when the values are good, such as 2027-06-30; without: no end."
    ),
]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Where the values come from.")]


firmware = noun("Which firmware of TPM machines is good (step 20).")


@remote_command(firmware, "list")
def _list(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List the reference values of a catalog.

    Values that were stated together are one line; with --json each digest.
    """
    found = remote.get(in_catalog(remote, catalog, *PATH))["items"]
    empty = "No reference values are stated: firmware is not compared."
    chips = sorted({item["chip"] for item in found})
    return table(found, LIST_COLUMNS, row=values_row, empty=empty).then(*(missing_pcrs(chip, found) for chip in chips))


@remote_command(firmware, "show")
def _show(remote: RemoteService, device: DeviceOption) -> Shown:
    """Show what a device's firmware measured last.

    As its TPM vouched for it.

    With --json in the form that add takes.
    """
    found = remote.get(f"/devices/{segment(device)}/firmware")
    seen = f"Chip {found['chip']}, first told {readable(found)['at']}."
    return Shown(found).then(seen, _values(found["values"]))


@remote_command(firmware, "take")
def _take(
    remote: RemoteService,
    device: DeviceOption,
    catalog: CatalogOption = None,
    final_values: Annotated[
        bool,
        typer.Option(
            "--final-values",
            help="State what each PCR holds at the end, instead of each measurement: stricter, and any update of the "
            "firmware or boot loader changes it.",
        ),
    ] = False,
    expires: ExpiresOption = None,
    given_note: NoteOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the firmware of a known good device as reference.

    Shows what will be stored first. Devices of the same chip with other firmware, or that send no
    log of it, get only updates from their next check-in on.
    """
    found = remote.get(f"/devices/{segment(device)}/firmware")
    name = catalog or remote.get(f"/devices/{segment(device)}").get("catalog") or catalog_name(remote, catalog)
    values = rules.to_json(rules.statable(rules.from_json(found["values"]), final=final_values))
    given_note = given_note or f"taken from device {device[:16]}..."
    if not as_json:
        _values(values).print_text()
    ask_to_state(remote, name, found["chip"], values, yes=yes)
    state_values(remote, name, found["chip"], values, given_note, expires).show(as_json=as_json)


@remote_command(firmware, "add")
def _add(
    remote: RemoteService,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON, as show --json prints it; - is stdin.")],
    catalog: CatalogOption = None,
    chip: Annotated[
        str | None, typer.Option("--chip", metavar="NAME", help="Chip profile; without: what the file says.")
    ] = None,
    expires: ExpiresOption = None,
    given_note: NoteOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add the reference values in a file.

    The file holds a list of {"pcr": 4, "digest": "..."}, with "event_type" for people, or with
    "kind": "final-value"; or an object with such a list as "values", and "chip".
    """
    named, values = read_values(file, chip)
    name = catalog_name(remote, catalog)
    if not as_json:
        _values(values).print_text()
    ask_to_state(remote, name, named, values, yes=yes)
    state_values(remote, name, named, values, given_note or "", expires).show(as_json=as_json)


@remote_command(firmware, "remove")
def _remove(
    remote: RemoteService,
    statement: Annotated[str, typer.Option("--id", metavar="ID", help="Statement id, as list shows it.")],
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> None:
    """Withdraw reference values.

    Without any left for a chip, firmware is not compared on it.
    """
    name = catalog_name(remote, catalog)
    confirm(f"Remove these reference values from catalog {name}? Devices with that firmware get only updates.", yes=yes)
    remote.delete(in_catalog(remote, name, *PATH, statement))


def _values(values: Iterable[Mapping[str, Any]]) -> Shown:
    rows = [{**value, "measures": rules.JUDGED_PCRS.get(value["pcr"])} for value in values]
    return table(rows, VALUE_COLUMNS, empty="Nothing was measured.")
