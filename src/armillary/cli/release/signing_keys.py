# SPDX-License-Identifier: Apache-2.0
"""``armillary release signing-keys``: the keys that sign releases and images, and which devices know of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import Shown, noun, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm

app = noun("Keys that sign releases and images: who knows them.")

KEY_COLUMNS = ("purpose", "serial", "state", "subject", "ends_at")
STORE_COLUMNS = ("kind", "number", "in_force_at", "have", "waiting", "refused", "unable", "away")


@remote_command(app, "show")
def show(remote: RemoteService) -> Shown:
    """Show the signing keys, and how many devices have which trust store.

    Devices without a store: "waiting" may take it, "refused" could not install it, "unable" have never said what they
    trust, "away" were not here for 30 days. A device has one store of each kind.
    """
    return _shown(remote.get("/signing-keys"))


@remote_command(app, "renew")
def renew(
    remote: RemoteService,
    purpose: Annotated[
        list[str] | None, typer.Option("--purpose", metavar="os|images", help="Repeatable; both where none is given.")
    ] = None,
) -> Shown:
    """Make the next signing keys.

    Devices get a trusted key store that names them. They sign nothing before the devices have it (use).
    """
    return _shown(remote.post("/signing-keys/renew", {"purposes": purpose or ["os", "images"]}))


@remote_command(app, "use")
def use(
    remote: RemoteService,
    despite: Annotated[
        bool, typer.Option("--despite", help="Although devices have not the store that names the next keys.")
    ] = False,
    yes: YesOption = False,
) -> Shown:
    """Sign with the next keys from now on.

    The service does it by itself once every device that is here has the store.
    """
    if despite:
        confirm("Sign with keys that some devices do not know? Those get nothing new before the store.", yes=yes)
    return _shown(remote.post("/signing-keys/use", {"despite": despite}))


@remote_command(app, "drop")
def drop(
    remote: RemoteService,
    serial: Annotated[str, typer.Argument(metavar="SERIAL", help="As show prints it.", show_default=False)],
    yes: YesOption = False,
) -> Shown:
    """Have devices trust a signing key no longer.

    Images that it signed are signed again. It is refused while releases that devices get are signed by it: it says of
    which chips and feeds, and the command for each.
    """
    confirm(f"Drop signing key {serial}? What only it signed runs on no device afterwards.", yes=yes)
    return _shown(remote.delete(f"/signing-keys/{segment(serial)}"))


def _shown(found: dict[str, Any]) -> Shown:
    keys = table(found["keys"], KEY_COLUMNS, row=readable, empty="")
    stores = table(found["stores"], STORE_COLUMNS, row=_store_row, empty="")
    return Shown(found, keys.print_text).then("", stores)


def _store_row(one: dict[str, Any]) -> dict[str, Any]:
    return {**readable(one), **one["devices"]}
