# SPDX-License-Identifier: Apache-2.0
"""``armillary hub-enrolment``: which hub devices may register themselves (device provisioning)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.given import json_of
from armillary.cli.terminal.output import Shown, note, noun, only, present, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, confirm, in_catalog

app = noun("Enrolments: which hub devices may register themselves.")

PATH = "hub-enrolments"
COLUMNS = ("enrolment_id", "name", "group", "attestation", "verified", "enabled", "created_by")
REGISTRATION_COLUMNS = ("registration_id", "device_id", "changed_at")

IdOption = Annotated[str, typer.Option("--enrolment-id", "--id", metavar="ID", help="Enrolment id.")]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Registration id, or the group's name.")],
    catalog: CatalogOption = None,
    group: Annotated[bool, typer.Option("--group", help="For many devices.")] = False,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", metavar="FILE", help="The device's, or with --group its authority's, PEM."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", "-d", metavar="ID", help="What its one device will be called.")
    ] = "",
    twin: Annotated[str | None, typer.Option("--twin", metavar="JSON", help="Tags and desired of new devices.")] = None,
    payload: Annotated[
        str | None, typer.Option("--payload", metavar="JSON", help="What devices get with their registration.")
    ] = None,
) -> Shown:
    """Let one device, or a group of them, register.

    Without a certificate it is for symmetric keys, which are shown this once. A group with an authority
    lets nobody register before hub-enrolment verify.
    """
    body: dict[str, Any] = {
        "name": name,
        "group": group,
        "attestation": "symmetricKey" if certificate is None else "x509",
        "certificate": "" if certificate is None else certificate.read_text("utf-8"),
        "device_id": device,
        "initial_twin": None if twin is None else json_of("--twin", twin),
        "returned_payload": None if payload is None else json_of("--payload", payload),
    }
    made = remote.post(in_catalog(remote, catalog, PATH), body)
    sign = "Sign a certificate with this nonce as its common name, then: armillary hub-enrolment verify."
    return record(made, row=present(*COLUMNS, "possession_nonce", "primary_key", "secondary_key")).then(
        "The keys are shown this once." if "primary_key" in made else None, sign if made["possession_nonce"] else None
    )


@remote_command(app, "verify")
def verify(
    remote: RemoteService,
    enrolment_id: IdOption,
    certificate: Annotated[Path, typer.Option("--certificate", metavar="FILE", help="The proof, PEM.")],
    catalog: CatalogOption = None,
) -> Shown:
    """Prove possession of a group's authority."""
    body = {"certificate": certificate.read_text("utf-8")}
    return record(remote.post(in_catalog(remote, catalog, PATH, enrolment_id, "verify"), body), row=only(*COLUMNS))


@remote_command(app, "list")
def list_(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List a catalog's enrolments, and its id scope."""
    found = remote.get(in_catalog(remote, catalog, PATH))
    empty = "There is none: armillary hub-enrolment create --name NAME."
    enrolments = table(found["items"], COLUMNS, row=readable, empty=empty)
    return Shown(found).then(f"id scope: {found['id_scope']}\n", enrolments)


@remote_command(app, "registrations")
def registrations(remote: RemoteService, enrolment_id: IdOption, catalog: CatalogOption = None) -> Shown:
    """List what registered by an enrolment."""
    found = remote.get(in_catalog(remote, catalog, PATH, enrolment_id, "registrations"))["items"]
    return table(found, REGISTRATION_COLUMNS, row=readable, empty="Nothing has registered by it.")


@remote_command(app, "enable")
def enable(remote: RemoteService, enrolment_id: IdOption, catalog: CatalogOption = None) -> None:
    """Let devices register by an enrolment again."""
    remote.patch(in_catalog(remote, catalog, PATH, enrolment_id), {"enabled": True})
    note("devices may register by it")


@remote_command(app, "disable")
def disable(remote: RemoteService, enrolment_id: IdOption, catalog: CatalogOption = None) -> None:
    """Let nothing register by an enrolment for now."""
    remote.patch(in_catalog(remote, catalog, PATH, enrolment_id), {"enabled": False})
    note("nothing registers by it; what a group's authority signed opens the hub no more")


@remote_command(app, "delete")
def delete(
    remote: RemoteService, enrolment_id: IdOption, catalog: CatalogOption = None, yes: YesOption = False
) -> None:
    """Delete an enrolment; its devices stay."""
    confirm(f"Delete enrolment {enrolment_id}?", yes=yes)
    remote.delete(in_catalog(remote, catalog, PATH, enrolment_id))
    note("the enrolment is deleted")
