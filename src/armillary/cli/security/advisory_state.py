# SPDX-License-Identifier: Apache-2.0
"""``armillary advisory state``: what operators say of an advisory themselves, as VEX statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from armillary.cli.release.release_view import path_of
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    LimitOption,
    OnlyCatalogOption,
    ReasonOption,
    catalog_name,
)

app = noun("What you say of an advisory yourself: signed statements (VEX).")

COLUMNS = ("statement_id", "advisory", "about", "status", "justification", "author", "stated_at", "holds")

Status = Literal["not_affected", "affected", "fixed", "under_investigation"]
Justification = Literal[
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
]


@remote_command(app, "set")
def set_(
    remote: RemoteService,
    advisory: Annotated[str, typer.Argument(metavar="ADVISORY", help="Id or alias, such as CVE-2026-1234.")],
    status: Annotated[Status, typer.Option("--status", help="How it stands, in OpenVEX's words.")],
    author: Annotated[str, typer.Option("--author", metavar="NAME", help="Who says so, and can be asked.")],
    image: Annotated[str | None, typer.Option("--image", metavar="ID", help="Of an image.")] = None,
    product: Annotated[
        str | None, typer.Option("--product", "-p", metavar="NAME", help="Of all devices of a product.")
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", metavar="ID", help="Of an OS release: its id, or CHIP/VERSION.")
    ] = None,
    component: Annotated[
        str, typer.Option("--component", metavar="PURL", help="Only of this part, as the bill of materials has it.")
    ] = "",
    justification: Annotated[
        Justification | None, typer.Option("--justification", help="Why it is not affected.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="In words: impact, or what to do.")] = "",
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """State how an image, a product or a release stands.

    The service signs it. It counts from now on, beside what VEX feeds say: the last statement holds.
    """
    body: dict[str, Any] = {"advisory": advisory, "status": status, "author": author}
    given = {"image": image, "product": product, "component": component, "justification": justification}
    body |= {name: value for name, value in {**given, "reason": reason}.items() if value}
    if release is not None:
        body["release"] = remote.get(path_of(remote, release))["release_id"]
    where = None if release is not None else catalog_name(remote, catalog)
    return record(remote.post("/advisory-statements", body, catalog=where), row=_row)


@remote_command(app, "list")
def list_states(
    remote: RemoteService,
    advisory: Annotated[str | None, typer.Option("--advisory", metavar="ID", help="Only of an advisory.")] = None,
    catalog: OnlyCatalogOption = None,
    limit: LimitOption = None,
) -> Shown:
    """List statements, also those that were withdrawn."""
    found = list(remote.pages("/advisory-statements", limit=limit, catalog=catalog, advisory=advisory))
    return table(found, COLUMNS, row=_row, empty="Nothing was stated here.")


@remote_command(app, "take-back")
def take_back(
    remote: RemoteService,
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help="Id of a statement, as listed.")],
    reason: ReasonOption,
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Say that a statement holds no more.

    It stays in the list, and in answers about the days when it held.
    """
    path, where = f"/advisory-statements/{segment(statement)}", catalog
    return record(remote.delete(path, reason=reason, catalog=where), row=_row)


def _row(found: Mapping[str, Any]) -> Mapping[str, Any]:
    about = f"{found['subject']} {found['subject_id']}" + (f" {found['component']}" if found["component"] else "")
    holds = "no: not signed by the service" if found["signature"] != "valid" else "yes"
    if found["taken_back_at"] is not None:
        holds = f"no: {found['taken_back_reason']}"
    return readable_of(*COLUMNS)({**found, "about": about, "holds": holds})
