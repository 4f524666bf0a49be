# SPDX-License-Identifier: Apache-2.0
"""``armillary release``: OS releases and their reference values."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.output import JsonOption, print_record, print_table
from armillary.cli.remote import RemoteService, remote_command, segment

app = typer.Typer(no_args_is_help=True, help="OS releases and their reference values.", rich_markup_mode=None)

COLUMNS = ("release_id", "chip", "version", "feed", "created_at")


@remote_command(app, "list")
def list_releases(
    remote: RemoteService,
    chip: Annotated[str | None, typer.Option("--chip", metavar="NAME", help="Only for a chip.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List OS releases."""
    found = list(remote.pages("/releases", chip=chip))
    print_table(found, COLUMNS, as_json=as_json, empty="No OS release.")


@remote_command(app, "show")
def show(
    remote: RemoteService,
    release: Annotated[str, typer.Option("--release", metavar="ID", help="Release id.")],
    as_json: JsonOption = False,
) -> None:
    """Show a release with the digest of each boot component: the verifier's reference values."""
    found = remote.get(f"/releases/{segment(release)}")
    if as_json:
        print_record(found, as_json=True)
        return
    print_record({name: found[name] for name in COLUMNS}, as_json=False)
    columns = ("name", "image_type", "security_version", "size", "digest")
    print_table(found["components"], columns, as_json=False, empty="The release has no components.")
