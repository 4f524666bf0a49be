# SPDX-License-Identifier: Apache-2.0
"""``armillary token``: operator tokens."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import TokenIdOption

app = noun("Operator tokens.")

COLUMNS = ("token_id", "name", "role", "created_by", "expires_at", "last_used_at", "revoked_at")

# What a token allows.
Role = Literal["Administrator", "Contributor", "Reader"]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Who or what will use it.")],
    role: Annotated[Role, typer.Option("--role", help="What it allows.")] = "Reader",
    catalog: Annotated[
        str | None, typer.Option("--catalog", "-c", metavar="NAME", help="The only catalog it speaks for.")
    ] = None,
    organisation: Annotated[
        str | None,
        typer.Option("--organisation", "-o", metavar="ID", help="The only organisation of that catalog it speaks for."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, metavar="N", help="Days until it expires.")
    ] = None,
) -> Shown:
    """Make a token; its secret is shown this once.

    One of a catalog reaches that catalog and the devices in it, one of an organisation single devices of that
    organisation and of those below it; the console shows the same.
    """
    body = {"name": name, "role": role, "lifetime_s": days * 86400 if days else None, "catalog": catalog}
    if organisation is not None:
        body["organisation"] = organisation
    made = remote.post("/tokens", body)
    shown = record(made, row=lambda token: {"token": token["secret"], "name": name, "role": role})
    return shown.then("keep it now: the service cannot show it again")


@remote_command(app, "list")
def list_tokens(remote: RemoteService) -> Shown:
    """List tokens, without their secrets."""
    return table(remote.pages("/tokens"), COLUMNS, row=readable, empty="No token.")


@remote_command(app, "revoke")
def revoke(remote: RemoteService, token_id: TokenIdOption) -> None:
    """Make a token useless at once."""
    remote.delete(f"/tokens/{segment(token_id)}")
    note(f"token {token_id} is revoked")
