# SPDX-License-Identifier: Apache-2.0
"""``armillary session``: who is signed in to the console now."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from armillary.cli.service.person import own_catalog
from armillary.cli.terminal.output import Shown, note, noun, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import OnlyCatalogOption

app = noun("Sessions of the console: who is signed in.")

COLUMNS: Final = (
    "name", "role", "catalog", "method", "started_at", "seen_at", "address", "browser", "session_id",
)  # fmt: skip
OwnOption = Annotated[bool, typer.Option("--own", help="Only those that this command's own token has opened.")]
SessionOption = Annotated[str, typer.Option("--session-id", "--id", metavar="ID", help="Session id.")]


@remote_command(app, "list")
def list_sessions(remote: RemoteService, catalog: OnlyCatalogOption = None, *, own: OwnOption = False) -> Shown:
    """List sessions, the one used last first."""
    within = None if own else catalog or own_catalog(remote)
    return table(remote.pages(_place(own=own), catalog=within), COLUMNS, row=readable, empty="Nobody is signed in.")


@remote_command(app, "end")
def end(remote: RemoteService, session_id: SessionOption, *, own: OwnOption = False) -> None:
    """Sign a browser out at once."""
    remote.delete(f"{_place(own=own)}/{segment(session_id)}", catalog=None if own else own_catalog(remote))
    note(f"session {session_id} is ended")


def _place(*, own: bool) -> str:
    return "/me/sessions" if own else "/sessions"
