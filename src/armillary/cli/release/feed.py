# SPDX-License-Identifier: Apache-2.0
"""``armillary feed``: OS feeds, which say whose releases a device group gets."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm

app = noun("OS feeds: whose releases a device group gets.")

COLUMNS = ("name", "follows", "created_at", "created_by")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Feed name.")]


@remote_command(app, "list")
def list_feeds(remote: RemoteService) -> Shown:
    """List OS feeds.

    Retail and RetailEval are always there.
    """
    return table(remote.get("/os-feeds")["items"], COLUMNS, empty="There is no feed.", row=_row)


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: NameArgument,
    follows: Annotated[
        str, typer.Option("--follows", metavar="NAME", help="The feed whose releases its groups get as well.")
    ] = "Retail",
) -> Shown:
    """Make a feed.

    Give it to groups with armillary device-group update --os-feed, publish with armillary release create --os-feed.
    """
    return record(remote.post("/os-feeds", {"name": name, "follows": follows}), row=_row)


@remote_command(app, "delete")
def delete(remote: RemoteService, name: NameArgument, yes: YesOption = False) -> Shown:
    """Delete a feed that nothing uses.

    No device group, no release that is not revoked, no other feed and no roll-out.
    """
    confirm(f"Delete the feed {name}?", yes=yes)
    return record(remote.delete(f"/os-feeds/{segment(name)}"))


def _row(feed: dict[str, Any]) -> dict[str, Any]:
    shown = readable(feed)
    is_built_in = not feed["created_by"]
    return {
        **shown,
        "follows": feed["follows"] or "none",
        "created_at": "always there" if is_built_in else shown["created_at"],
        "created_by": feed["created_by"] or "the service",
    }
