# SPDX-License-Identifier: Apache-2.0
"""``armillary authority``: the service's own certificate authorities, and their renewal by hand."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.output import Shown, counted, note, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, OutputFileOption, YesOption, catalog_name, confirm
from armillary.errors import InvalidArgumentError
from armillary.wire.encoding.pem import armour

app = noun("The service's own certificate authorities.")

COLUMNS = ("kind", "state", "not_before", "not_after", "subject", "serial")

# What can be renewed.
Kind = Literal["root", "policy", "silicon", "catalog", "issuing"]


@remote_command(app, "list")
def list_authorities(remote: RemoteService) -> Shown:
    """List the service's living certificates, from the root down.

    "active" signs now, "next" takes over later, "old" is trusted until its end. Catalogs have their own list:
    armillary ca-certificate list.
    """
    return table(remote.get("/service-authorities")["items"], COLUMNS, row=_row, empty="No authority.")


@remote_command(app, "renew")
def renew(
    remote: RemoteService,
    kind: Annotated[
        Kind,
        typer.Argument(
            metavar="KIND", help="What to renew: root, policy, silicon, catalog or issuing.", show_default=False
        ),
    ],
    maker: Annotated[
        str | None, typer.Option("--maker", metavar="NAME", help="Chip maker of a silicon authority.")
    ] = None,
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> Shown:
    """Make the successor of an authority now.

    All of them are renewed by themselves in time; this is for sooner. The old one is trusted until its end, so nothing
    that it signed is refused: this does not revoke a stolen key. A new root signs policy authorities after 45 days and
    server certificates after five years, when every device that was switched on meanwhile knows it; policy and catalog
    authorities take over after 45 days, the others at once.
    """
    if (maker is not None) != (kind == "silicon"):
        raise InvalidArgumentError("--maker: expected it with silicon, and with nothing else", remedy="See --help.")
    name = maker or (catalog_name(remote, catalog) if kind in ("catalog", "issuing") else "")
    confirm(f"Renew the {kind} authority{' of ' + name if name else ''} now?", yes=yes)
    return record(remote.post("/service-authorities/renew", {"kind": kind, "name": name}), row=_row)


@remote_command(app, "roots")
def roots(remote: RemoteService, output_file: OutputFileOption) -> None:
    """Write the service's living roots as one PEM file.

    It is what tools and applications have to trust; armillary login takes it with --ca.
    """
    found = [one for one in remote.get("/service-authorities")["items"] if one["kind"] == "root"]
    write_file(output_file, b"".join(armour("CERTIFICATE", base64.b64decode(one["certificate"])) for one in found))
    note(f"{counted(len(found), 'root')} written to {output_file}")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    times = readable({"start_at": one["not_before"], "end_at": one["not_after"]})
    shown = {name: value for name, value in one.items() if name != "certificate"}
    return {**shown, "not_before": times["start_at"], "not_after": times["end_at"]}
