# SPDX-License-Identifier: Apache-2.0
"""``armillary bridge``: how a catalog's controllers authenticate; devices and artifacts are nouns of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.bridge import artifact, device
from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, confirm, in_catalog

app = noun("The bridge: devices that speak hawkBit's DDI (swupdate, RAUC's updater).")
authority = noun("Authorities of devices' client certificates.", within=app, name="authority")
app.add_typer(device.app, name="device")
app.add_typer(artifact.app, name="artifact")

AUTHORITY_COLUMNS = ("fingerprint", "subject", "not_after", "added_at")
# A chain of certificates is larger than one.
MAX_PEM_BYTES = 16 << 10

# On or off.
Switch = Literal["on", "off"]


@remote_command(app, "admission")
def admission(
    remote: RemoteService,
    catalog: CatalogOption = None,
    target_tokens: Annotated[
        Switch | None, typer.Option("--target-tokens", help="Let in devices with a token of their own.")
    ] = None,
    certificates: Annotated[
        Switch | None, typer.Option("--certificates", help="Let in devices with client certificates.")
    ] = None,
    gateway_token: Annotated[
        str | None,
        typer.Option("--gateway-token", metavar="new|off|TOKEN", help="One token for all devices of the catalog."),
    ] = None,
    registers_into: Annotated[
        str | None,
        typer.Option(
            "--registers-into", metavar="PRODUCT/GROUP|off", help="Where devices go that register themselves."
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="NAME", help="What devices call the catalog; its name at first.")
    ] = None,
    polling: Annotated[
        int | None, typer.Option("--polling", metavar="SECONDS", help="Time between two polls of a device.")
    ] = None,
) -> Shown:
    """Show or change how devices of hawkBit are allowed.

    Without a change none is. They attest nothing, whatever they show.
    """
    switches = {"target_tokens": target_tokens, "certificates": certificates}
    body: dict[str, Any] = {name: value == "on" for name, value in switches.items() if value is not None}
    given = {
        "gateway_token": gateway_token,
        "registers_into": registers_into,
        "tenant": tenant,
        "polling_s": polling,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    path = in_catalog(remote, catalog, "bridge-admission")
    found = remote.patch(path, body) if body else remote.get(path)
    return record(found, row=readable).then("The token is shown this once." if "token" in found else None)


@remote_command(authority, "add")
def authority_add(
    remote: RemoteService,
    certificate: Annotated[Path, typer.Option("--certificate", metavar="FILE", help="The authority's, PEM.")],
    catalog: CatalogOption = None,
) -> Shown:
    """Admit client certificates of an authority.

    It signs them directly, and their common name is the controller id.
    """
    body = {"certificate": read_file(certificate, limit=MAX_PEM_BYTES).decode("ascii", "replace")}
    return record(remote.post(in_catalog(remote, catalog, "bridge-authorities"), body), row=readable)


@remote_command(authority, "list")
def authority_list(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List the authorities of a catalog's devices."""
    found = remote.get(in_catalog(remote, catalog, "bridge-authorities"))["items"]
    return table(found, AUTHORITY_COLUMNS, row=readable, empty="There is none.")


@remote_command(authority, "remove")
def authority_remove(
    remote: RemoteService,
    fingerprint: Annotated[str, typer.Option("--fingerprint", metavar="SHA-256", help="Of the certificate.")],
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> None:
    """Admit an authority's certificates no more."""
    confirm(f"Refuse all certificates of authority {fingerprint[:16]}...?", yes=yes)
    remote.delete(in_catalog(remote, catalog, "bridge-authorities", fingerprint))
    note(f"{fingerprint[:16]}... is removed")
