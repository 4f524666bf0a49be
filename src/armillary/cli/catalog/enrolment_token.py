# SPDX-License-Identifier: Apache-2.0
"""``armillary enrolment-token``: tokens by which a device enrols itself without a factory and without a login."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.terminal.output import Shown, note, noun, only, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, TokenIdOption, in_catalog
from armillary.cli.terminal.times import ExpiresOption, seconds_of

app = noun("Enrolment tokens: let an owner's device enrol itself.")

COLUMNS = ("token_id", "product", "group", "chip", "used", "uses", "expires_at", "created_by", "revoked_at")


@remote_command(app, "create")
def create(
    remote: RemoteService,
    catalog: CatalogOption = None,
    product: Annotated[
        str | None, typer.Option("--product", "-p", metavar="NAME", help="Product that its devices go to.")
    ] = None,
    device_group: Annotated[
        str | None, typer.Option("--device-group", "-dg", metavar="NAME", help="Device group that they go to.")
    ] = None,
    chip: Annotated[str | None, typer.Option("--chip", metavar="NAME", help="Only for devices with this chip.")] = None,
    uses: Annotated[int, typer.Option("--uses", min=1, metavar="N", help="How many devices it enrols.")] = 1,
    expires: ExpiresOption = "1h",
) -> Shown:
    """Make a token; its secret is shown this once.

    Whoever has it can enrol devices into the named group, and nothing else.
    """
    if (product is None) != (device_group is None):
        raise typer.BadParameter("--product and --device-group go together")
    body = {"product": product, "group": device_group, "chip": chip}
    made = remote.post(
        in_catalog(remote, catalog, "enrolment-tokens"),
        {name: value for name, value in body.items() if value is not None}
        | {"uses": uses, "lifetime_s": seconds_of(expires)},
    )
    facts = only("token_id", "catalog", "product", "group", "chip", "uses", "expires_at")
    return record(made, row=lambda token: {"token": token["secret"], **readable(facts(token))}).then(
        "keep it now: the service cannot show it again",
        f"on the device: armillary device create --data DIR --service {remote.address} --ca FILE --token TOKEN",
    )


@remote_command(app, "list")
def list_tokens(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List a catalog's tokens, without their secrets."""
    found = remote.pages(in_catalog(remote, catalog, "enrolment-tokens"))
    return table(found, COLUMNS, row=readable, empty="No enrolment token.")


@remote_command(app, "revoke")
def revoke(remote: RemoteService, token_id: TokenIdOption, catalog: CatalogOption = None) -> None:
    """Make a token useless at once.

    The devices it enrolled stay.
    """
    remote.delete(in_catalog(remote, catalog, "enrolment-tokens", token_id))
    note(f"enrolment token {token_id} is revoked")
